/// What quotes and backslashes make of a line's characters, one after the other.
struct ShellQuoting {
    enum Meaning {
        /// A quote, or the backslash before a character that stands for itself.
        case mark
        /// Within quotes, or behind a backslash.
        case quoted
        case plain
    }

    private var quote: Character?
    private var isEscaped = false

    /// Whether the line goes on behind its end.
    var isOpen: Bool { isEscaped || quote != nil }

    mutating func meaning(of character: Character) -> Meaning {
        if isEscaped {
            isEscaped = false
            return .quoted
        }
        if character == "\\", quote != "'" {
            isEscaped = true
            return .mark
        }
        if character == quote {
            quote = nil
            return .mark
        }
        guard quote == nil else { return .quoted }
        guard character == "'" || character == "\"" else { return .plain }
        quote = character
        return .mark
    }
}

/// Words of a line as a shell parts them: blanks, quotes and backslashes, without variables.
enum ShellWords {
    static func split(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quoting = ShellQuoting()
        for character in line {
            switch quoting.meaning(of: character) {
            case .plain where character.isWhitespace:
                if let complete = word { words.append(complete) }
                word = nil
            case .mark:
                // A pair of quotes with nothing in it is a word.
                if character != "\\" { word = word ?? "" }
            case .plain, .quoted:
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}
