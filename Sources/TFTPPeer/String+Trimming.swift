extension StringProtocol {
    /// Without the characters at either end for which `isPadding` is true.
    package func trimming(_ isPadding: (Character) -> Bool) -> String {
        guard let first = firstIndex(where: { !isPadding($0) }),
            let last = lastIndex(where: { !isPadding($0) })
        else { return "" }
        return String(self[first...last])
    }

    /// Without white space and line ends at either end.
    package func trimmingWhitespace() -> String { trimming(\.isWhitespace) }
}

extension String {
    /// Where `word` stands last. Compares bytes, from the end: a long text costs nothing.
    func lastRange(of word: String) -> Range<Index>? {
        let bytes = utf8
        let word = word.utf8
        guard
            var start = bytes.index(
                bytes.endIndex, offsetBy: -word.count, limitedBy: bytes.startIndex)
        else { return nil }
        while !bytes[start...].starts(with: word) {
            guard start > bytes.startIndex else { return nil }
            bytes.formIndex(before: &start)
        }
        return start..<bytes.index(start, offsetBy: word.count)
    }
}
