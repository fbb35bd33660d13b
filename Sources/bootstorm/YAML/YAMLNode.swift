/// A node of a YAML document, and where it stands.
struct YAMLNode: Sendable {
    let content: Content
    /// Line and column count from 1.
    let line: Int
    let column: Int

    enum Content: Sendable {
        case scalar(String)
        case sequence([YAMLNode])
        case mapping([Pair])
    }

    /// One line of a mapping.
    struct Pair: Sendable {
        let key: YAMLNode
        let value: YAMLNode
    }

    /// The text of a scalar; nil for a list or a mapping.
    var text: String? {
        if case .scalar(let text) = content { text } else { nil }
    }

    var sequence: [YAMLNode]? {
        if case .sequence(let items) = content { items } else { nil }
    }

    var mapping: [Pair]? {
        if case .mapping(let pairs) = content { pairs } else { nil }
    }
}

/// What is wrong with a YAML text. Lines and columns count from 1.
struct YAMLError: Error, Equatable, CustomStringConvertible {
    enum Problem: Equatable {
        /// libyaml's words.
        case syntax(String)
        case keyTwice(String)
        /// Deeper than `YAMLDocument.depthMax`: an alias to a node around it, for instance.
        case tooDeep
        case tooLarge
    }

    let problem: Problem
    /// nil: of the text as a whole.
    let line: Int?
    let column: Int?

    /// Without the place.
    var description: String {
        switch problem {
        case .syntax(let words): "not YAML: \(words)"
        case .keyTwice(let key): "\(key): given twice"
        case .tooDeep: "more than \(YAMLDocument.depthMax) levels of lists and mappings"
        case .tooLarge:
            "more than \(YAMLDocument.nodesMax) values, or \(YAMLDocument.byteCountMax) bytes of them"
        }
    }
}
