internal import FoundationEssentials

extension Encodable {
    /// As an indented JSON document with sorted keys, for files.
    var jsonDocument: String { get throws { try json([.prettyPrinted, .sortedKeys]) } }

    /// As one line of JSON with sorted keys, for programs that read line by line.
    var jsonLine: String { get throws { try json([.sortedKeys, .withoutEscapingSlashes]) } }

    private func json(_ format: JSONEncoder.OutputFormatting) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = format
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}
