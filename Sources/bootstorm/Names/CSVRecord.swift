/// A line of a CSV text (RFC 4180): cells in quotes may hold commas, line breaks, and quotes twice.
///
/// Blanks around a cell are no part of it, unless it is in quotes. Blank lines are passed over, and
/// so are those behind the first that begin with `#`.
struct CSVRecord: Equatable {
    /// Counts from 1.
    let line: Int
    let cells: [String]

    /// - Throws: `HostsFile.Problem` with the line of a quote that is not closed, or that is
    ///   followed by more than blanks.
    static func all(in text: String) throws -> [CSVRecord] {
        var reader = Reader(bytes: Array(text.utf8))
        var records: [CSVRecord] = []
        while let record = try reader.next(isFirst: records.isEmpty) { records.append(record) }
        return records
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0
        var line = 1

        private static let quote = UInt8(ascii: "\"")
        private static let comma = UInt8(ascii: ",")
        private static let lineFeed = UInt8(ascii: "\n")

        init(bytes: [UInt8]) { self.bytes = bytes }

        private var byte: UInt8? { index < bytes.count ? bytes[index] : nil }

        private static func isBlank(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
        }

        /// Nil at the end of the text.
        mutating func next(isFirst: Bool) throws -> CSVRecord? {
            while byte != nil {
                let start = line
                if byte == UInt8(ascii: "#"), !isFirst {
                    while let byte, byte != Reader.lineFeed { index += 1 }
                    endLine()
                    continue
                }
                var cells = [try cell()]
                while byte == Reader.comma {
                    index += 1
                    cells.append(try cell())
                }
                endLine()
                if cells != [""] { return CSVRecord(line: start, cells: cells) }
            }
            return nil
        }

        private mutating func endLine() {
            if byte == Reader.lineFeed { (index, line) = (index + 1, line + 1) }
        }

        /// Ends at a comma, a line feed or the end of the text.
        private mutating func cell() throws -> String {
            while let byte, Reader.isBlank(byte) { index += 1 }
            if byte == Reader.quote { return try quoted() }
            let start = index
            while let byte, byte != Reader.comma, byte != Reader.lineFeed { index += 1 }
            var end = index
            while end > start, Reader.isBlank(bytes[end - 1]) { end -= 1 }
            return String(decoding: bytes[start..<end], as: UTF8.self)
        }

        private mutating func quoted() throws -> String {
            let start = line
            var text: [UInt8] = []
            index += 1
            while let byte {
                index += 1
                if byte == Reader.quote {
                    guard self.byte == Reader.quote else { return try ended(text) }
                    index += 1
                }
                if byte == Reader.lineFeed { line += 1 }
                text.append(byte)
            }
            throw HostsFile.Problem(line: start, text: "a quote is not closed")
        }

        private mutating func ended(_ text: [UInt8]) throws -> String {
            while let byte, Reader.isBlank(byte) { index += 1 }
            if let byte, byte != Reader.comma, byte != Reader.lineFeed {
                throw HostsFile.Problem(line: line, text: "more behind a closing quote")
            }
            return String(decoding: text, as: UTF8.self)
        }
    }
}
