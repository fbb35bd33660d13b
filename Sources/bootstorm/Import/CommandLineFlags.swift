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
