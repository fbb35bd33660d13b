/// A line of another server's configuration, with its number.
struct SourceLine: Equatable {
    /// Counts from 1; of a joined line the number of its first part.
    let number: Int
    let text: String

    /// The lines of a file as they stand.
    static func all(in text: String) -> [SourceLine] {
        text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated().map {
            SourceLine(number: $0.offset + 1, text: String($0.element))
        }
    }

    /// The lines of a file as a shell or systemd joins them: at a backslash at the end, and within
    /// quotes. A comment ends with its line.
    static func joined(in text: String) -> [SourceLine] {
        var lines: [SourceLine] = []
        var isOpen = false
        for line in all(in: text) {
            if isOpen, let first = lines.popLast() {
                // The backslash goes with the line break; within quotes the break is a blank.
                let start = first.text.hasSuffix("\\") ? String(first.text.dropLast()) : first.text
                let gap = first.text.hasSuffix("\\") ? "" : " "
                lines.append(SourceLine(number: first.number, text: start + gap + line.text))
            } else {
                lines.append(line)
            }
            isOpen = lines.last.map { goesOn($0.text) } ?? false
        }
        return lines
    }

    private static func goesOn(_ line: String) -> Bool {
        var quoting = ShellQuoting()
        var last: Character = " "
        for character in line {
            defer { last = character }
            if case .plain = quoting.meaning(of: character), character == "#", last.isWhitespace {
                return false
            }
        }
        return quoting.isOpen
    }

    /// What messages call line `number` of the file at `path`.
    static func place(_ path: String?, _ number: Int) -> String {
        path.map { "\($0):\(number)" } ?? "line \(number)"
    }
}
