/// What is wrong with a configuration, and where: one line.
struct ConfigurationError: Error, Equatable, CustomStringConvertible, Sendable {
    let source: Source
    let message: String

    /// Where a value comes from.
    enum Source: Equatable, Sendable, CustomStringConvertible {
        /// Lines and columns count from 1; without a line it is the file as a whole.
        case file(String, line: Int?, column: Int? = nil)
        case variable(String)

        /// Nil where it is no line of a file.
        var line: Int? {
            if case .file(_, let line, _) = self { line } else { nil }
        }

        var description: String {
            switch self {
            case .file(let path, let line?, let column?): "\(path):\(line):\(column)"
            case .file(let path, let line?, nil): "\(path):\(line)"
            case .file(let path, nil, _): path
            case .variable(let name): name
            }
        }
    }

    var description: String { "\(source): \(message)" }
}

/// Everything that is wrong, in the order of the file.
struct ConfigurationErrors: Error, Equatable, CustomStringConvertible, Sendable {
    let all: [ConfigurationError]

    init(_ all: [ConfigurationError]) { self.all = all }

    var description: String { all.map(\.description).joined(separator: "\n") }
}
