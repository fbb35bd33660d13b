/// How large an expression becomes when the C library compiles it.
extension POSIXPattern {
    /// The product of all counts in braces: more than repetitions within each other can come to.
    static func repeats(in text: String) -> Int {
        var product = 1
        for part in text.split(separator: "{").dropFirst() {
            let (value, isOverflow) = product.multipliedReportingOverflow(by: count(part.utf8))
            guard !isOverflow else { return .max }
            product = max(product, value)
        }
        return product
    }

    /// The larger number of `3,7}`; 1 where there is none.
    private static func count(_ bytes: some Collection<UInt8>) -> Int {
        let counts = bytes.prefix { "0123456789,".utf8.contains($0) }
            .split(separator: UInt8(ascii: ","))
            .compactMap { Int(String(decoding: $0, as: UTF8.self)) }
        return counts.max() ?? 1
    }

    /// How many parts the library makes of `text` at most, or more. It copies what is repeated, so
    /// a repetition of a repetition doubles it.
    static func compiledSize(of text: String) -> Int {
        let bytes = Array(text.utf8)
        // Of the groups that are open, without their latest part; the innermost last.
        var groups = [0]
        var latest = 0
        func begin(_ size: Int) {
            groups[groups.count - 1] += latest
            latest = size
        }
        func multiply(by factor: Int) { latest = min(latest * factor, 1 << 40) }
        var index = 0
        while index < bytes.count {
            let first = index
            index += 1
            switch bytes[first] {
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"): multiply(by: 2)
            case UInt8(ascii: "{"):
                multiply(by: max(1, min(count(bytes[index...]), 1 << 20)))
                index += bytes[index...].prefix { "0123456789,}".utf8.contains($0) }.count
            case UInt8(ascii: "("):
                begin(0)
                groups.append(1)
            case UInt8(ascii: ")") where groups.count > 1:
                latest = min(latest + groups.removeLast(), 1 << 40)
            case UInt8(ascii: "["):
                begin(1)
                index = min(bytes.count, endOfBracket(bytes, from: first))
            case UInt8(ascii: "\\"):
                begin(1)
                index = min(bytes.count, index + 1)
            default: begin(1)
            }
        }
        return groups.reduce(latest, +)
    }
}
