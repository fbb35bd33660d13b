/// What the argument parser says of wrong usage, made one line: what is wrong, what the flag takes,
/// where to read on.
enum UsageError {
    /// - Parameter message: the parser's whole message: `Error: …`, then perhaps `Help: …`, `Usage:
    ///   …` and `  See …`.
    /// - Parameter command: the command that ran, such as `fleet status`. The parser does not know
    ///   it, and names the program's own help.
    static func line(of message: String, command: String = "") -> String {
        var problem = ""
        var help = ""
        var hint = ""
        var section = Section.error
        for line in message.split(separator: "\n", omittingEmptySubsequences: true) {
            let text = String(line)
            if let rest = text.removing(prefix: "Error: ") {
                (section, problem) = (.error, rest)
            } else if let rest = text.removing(prefix: "Help: ") {
                (section, help) = (.help, rest)
            } else if text.hasPrefix("Usage: ") {
                section = .usage
            } else if let range = text.firstRange(of: "See '") {
                hint = String(text[range.lowerBound...]).replacing(
                    " for more information.", with: "")
            } else if section == .error {
                problem += (problem.isEmpty ? "" : " ") + text.words
            } else if section == .help {
                help += " " + text
            }
        }
        if hint == "See 'bootstorm --help'", !command.isEmpty {
            hint = "See 'bootstorm help \(command)'"
        }
        return join(problem, help: about(help), hint: hint)
    }

    private enum Section { case error, help, usage }

    /// The explanation behind the flag's name.
    private static func about(_ help: String) -> String {
        let words = help.words
        guard let end = words.firstRange(of: "> ") else { return words }
        return String(words[end.upperBound...])
    }

    private static func join(_ problem: String, help: String, hint: String) -> String {
        var text = problem
        if !help.isEmpty { text += " (\(help))" }
        guard !hint.isEmpty else { return text }
        if text.hasSuffix(".") { text.removeLast() }
        return text + "; " + hint.prefix(1).lowercased() + hint.dropFirst()
    }
}

extension String {
    /// What follows `prefix`; nil where the text begins otherwise.
    fileprivate func removing(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }

    /// The text with single spaces.
    fileprivate var words: String { split(separator: " ").joined(separator: " ") }
}
