/// Words of a line as a shell parts them: blanks, quotes and backslashes, without variables.
enum ShellWords {
    static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in line {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if character == quote {
                quote = nil
            } else if quote == nil, character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if quote == nil, character.isWhitespace {
                if let complete = word { words.append(complete) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}

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
            values[String(name)] =
                ShellWords.split(String(line[line.index(after: equals)...])).first ?? ""
        }
    }
}

/// A line of inetd.conf: service, socket type, protocol, wait, user, program, arguments.
struct InetdLine {
    let user: String
    let program: String
    /// Without the program's own name.
    let arguments: [String]

    /// The first line of the service `tftp` that is not commented out.
    init?(in text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = ShellWords.split(String(line))
            guard words.count >= 6, words[0] == "tftp" || words[0].hasSuffix(":tftp") else {
                continue
            }
            user = String(words[4].prefix { $0 != "." && $0 != ":" })
            // TCP wrappers start what their argument names.
            program = words[5]
            arguments = Array(words.dropFirst(7))
            return
        }
        return nil
    }
}

/// Flags of a command line in the style of getopt_long.
struct CommandLineFlags {
    /// A flag that takes a value: always, never, or only behind an equals sign.
    enum Value { case none, required, optional }

    struct Flag: Equatable {
        /// The long name without dashes.
        let name: String
        let value: String?
    }

    private(set) var flags: [Flag] = []
    private(set) var operands: [String] = []
    /// Words that look like flags and are none.
    private(set) var unknown: [String] = []

    /// - Parameters:
    ///   - long: the long names, and whether they take values.
    ///   - short: the long name of each letter.
    init(_ words: [String], long: [String: Value], short: [Character: String]) {
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                return
            } else if word.hasPrefix("--") {
                readLong(word, &rest, long)
            } else if word.hasPrefix("-"), word.count > 1 {
                readShort(word, &rest, long, short)
            } else {
                operands.append(word)
            }
        }
    }

    private mutating func readLong(
        _ word: String, _ rest: inout ArraySlice<String>, _ long: [String: Value]
    ) {
        let parts = word.dropFirst(2).split(
            separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let asked = String(parts[0])
        // getopt_long takes a beginning that only one name has.
        let candidates = long[asked] != nil ? [asked] : long.keys.filter { $0.hasPrefix(asked) }
        guard candidates.count == 1, let name = candidates.first, let takes = long[name] else {
            return unknown.append(word)
        }
        var value = parts.count == 2 ? String(parts[1]) : nil
        if takes == .required, value == nil { value = rest.popFirst() }
        flags.append(Flag(name: name, value: value))
    }

    private mutating func readShort(
        _ word: String, _ rest: inout ArraySlice<String>, _ long: [String: Value],
        _ short: [Character: String]
    ) {
        var letters = word.dropFirst()
        while let letter = letters.popFirst() {
            guard let name = short[letter], let takes = long[name] else {
                unknown.append("-\(letter)")
                continue
            }
            guard takes == .required else {
                flags.append(Flag(name: name, value: nil))
                continue
            }
            let value = letters.isEmpty ? rest.popFirst() : String(letters)
            flags.append(Flag(name: name, value: value))
            return
        }
    }
}
