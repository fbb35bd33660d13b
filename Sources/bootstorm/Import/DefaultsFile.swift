/// A file of `NAME="value"` lines, as in /etc/default.
struct DefaultsFile {
    /// A value that the file sets.
    struct Assignment {
        let name: String
        let value: String
        let line: Int
        /// It is a setting, or a later line has its value.
        fileprivate(set) var isUsed = false
    }

    private var assignments: [Assignment] = []
    /// What no value comes from, and why.
    private var problems: [(line: Int, text: String)] = []

    init(_ text: String) {
        for line in SourceLine.joined(in: text) { read(line) }
    }

    private mutating func read(_ line: SourceLine) {
        let text = line.text.trimmingBlanks
        guard !text.isEmpty, !text.hasPrefix("#") else { return }
        guard let equals = text.firstIndex(of: "="),
            let name = DefaultsFile.name(String(text[..<equals]))
        else {
            return problems.append((line.number, "\(text): is not a NAME=VALUE line"))
        }
        // What follows the first word is a comment, or another command.
        let words = ShellWords.split(
            expanded(String(text[text.index(after: equals)...]), line.number))
        if words.count > 1, !words[1].hasPrefix("#") {
            problems.append((line.number, "\(name): what follows the first blank needs quotes"))
        }
        assignments.append(Assignment(name: name, value: words.first ?? "", line: line.number))
    }

    private static func name(_ text: String) -> String? {
        let name = text.hasPrefix("export ") ? String(text.dropFirst("export ".count)) : text
        let isName = name.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        }
        return isName && !name.isEmpty ? name : nil
    }

    /// The value of the first of these names that the file sets.
    mutating func take(firstOf names: [String]) -> Assignment? {
        for name in names {
            guard let index = assignments.lastIndex(where: { $0.name == name }) else { continue }
            assignments[index].isUsed = true
            return assignments[index]
        }
        return nil
    }

    /// With the variables of the lines before in their place.
    private mutating func expanded(_ text: String, _ line: Int) -> String {
        var unknown: [String] = []
        let result = text.replacing(/\$(?:\{([A-Z_0-9]+)\}|([A-Z_0-9]+))/) { match in
            let name = String(match.output.1 ?? match.output.2 ?? "")
            guard let index = assignments.lastIndex(where: { $0.name == name }) else {
                unknown.append(name)
                return ""
            }
            assignments[index].isUsed = true
            return assignments[index].value
        }
        for name in unknown { problems.append((line, "$\(name): is not set in this file")) }
        return result
    }

    /// Tells of every line that no setting comes from. To be called when all are taken.
    func tellRest(to result: inout ImportedConfiguration, path: String?) {
        for assignment in assignments where !assignment.isUsed {
            let isSetAgain = assignments.contains {
                $0.name == assignment.name && $0.line > assignment.line
            }
            result.place = SourceLine.place(path, assignment.line)
            result.note(
                "\(assignment.name)=\(assignment.value)",
                isSetAgain ? "a later line sets it again" : "is not taken over")
        }
        for problem in problems {
            result.place = SourceLine.place(path, problem.line)
            result.note(problem.text)
        }
        result.place = nil
    }
}
