/// A file of `NAME="value"` lines, as in /etc/default.
struct DefaultsFile {
    private(set) var values: [String: String] = [:]

    init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop(while: \.isWhitespace)
            guard !line.hasPrefix("#"), let equals = line.firstIndex(of: "=") else { continue }
            var name = line[..<equals]
            if name.hasPrefix("export ") { name = name.dropFirst("export ".count) }
            let isName = name.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                    || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
            }
            guard isName, !name.isEmpty else { continue }
            // What follows the first word is a comment, or another command.
            let text = expanded(String(line[line.index(after: equals)...]))
            values[String(name)] = ShellWords.split(text).first ?? ""
        }
    }

    /// The value of the first of these that the file sets.
    func first(of names: [String]) -> String? { names.lazy.compactMap { values[$0] }.first }

    /// With the variables of the lines before in their place.
    private func expanded(_ text: String) -> String {
        text.replacing(/\$(?:\{([A-Z_0-9]+)\}|([A-Z_0-9]+))/) { match in
            values[String(match.output.1 ?? match.output.2 ?? "")] ?? ""
        }
    }
}
