internal import TFTPWire

/// Names that lead to a file by way of something else.
extension FileName {
    /// Where the file's own name begins in a normalised name: behind what a node asks another about
    /// it (`.bootstorm/WORD/`), and behind its snapshot (`sets/NAME/`). 0 for any other name.
    package static func fileOffset(in name: RawSpan) -> Int {
        let start = skip(".bootstorm/", in: name, from: 0)
        return skip("sets/", in: name, from: start)
    }

    /// The place behind `folder` and the component that follows it; `start` where `name` does not
    /// go on so.
    private static func skip(_ folder: StaticString, in name: RawSpan, from start: Int) -> Int {
        let end = start + folder.utf8CodeUnitCount
        guard name.byteCount > end else { return start }
        for index in 0..<folder.utf8CodeUnitCount
        where unsafe name.byte(at: start + index) != folder.utf8Start[index] { return start }
        for index in end..<name.byteCount where name.byte(at: index) == UInt8(ascii: "/") {
            return index + 1
        }
        return start
    }
}
