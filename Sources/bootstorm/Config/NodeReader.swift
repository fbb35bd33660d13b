/// Reads values off YAML nodes, and says what is wrong with the file and the line.
struct NodeReader: Sendable {
    let path: String

    func error(_ node: YAMLNode, _ message: String) -> ConfigurationError {
        ConfigurationError(source: .file(path, line: node.line), message: message)
    }

    /// A key that does not exist, and what was probably meant.
    func unknown(_ node: YAMLNode, _ key: String, among keys: [String]) -> ConfigurationError {
        error(node, "\(key): unknown key; \(Spelling.hint(for: key, among: keys))")
    }

    /// The values of a setting, as flags take them; nil after an error.
    func values(
        of setting: Setting, _ node: YAMLNode, _ errors: inout [ConfigurationError]
    ) -> [String]? {
        let nodes: [YAMLNode]
        switch node.content {
        case .sequence(let sequence) where setting.isRepeatable: nodes = sequence
        case .scalar: nodes = [node]
        default:
            errors.append(error(node, "\(setting.key): expected \(setting.expected)"))
            return nil
        }
        let countBefore = errors.count
        var values: [String] = []
        for node in nodes {
            guard let text = node.text else {
                errors.append(error(node, "\(setting.key): expected \(setting.expected)"))
                continue
            }
            if let problem = setting.problem(with: text) {
                errors.append(error(node, "\(setting.key): \(problem)"))
            }
            values.append(text)
        }
        return errors.count == countBefore ? values : nil
    }
}

/// Finds the name that was probably meant.
enum Spelling {
    /// What to write instead of `word`.
    static func hint(for word: String, among names: [String]) -> String {
        let meant = word.lowercased().replacing("_", with: "-")
        let near = names.min { distance(meant, $0) < distance(meant, $1) }
        if let near, distance(meant, near) <= max(1, near.count / 3) {
            return "did you mean \(near)?"
        }
        return "allowed are \(names.joined(separator: ", "))"
    }

    /// How many letters have to be inserted, removed or changed (Levenshtein).
    static func distance(_ first: String, _ second: String) -> Int {
        let (first, second) = (Array(first.utf8), Array(second.utf8))
        var row = Array(0...second.count)
        for (index, byte) in first.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in second.enumerated() {
                let changed = diagonal + (byte == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, row[column] + 1, row[column + 1] + 1)
            }
        }
        return row[second.count]
    }
}
