internal import CYAML

/// Reads YAML texts, with the lines of their nodes.
enum YAMLDocument {
    /// Lists and mappings inside of each other.
    static let depthMax = 16
    /// Nodes of a document, those behind aliases as often as they are used.
    static let nodesMax = 1 << 21
    /// Bytes of all scalars, those behind aliases as often as they are used.
    static let byteCountMax = 1 << 26

    /// The root of the only document of `text`; nil where there is nothing but comments.
    static func root(
        of text: String, nodesMax: Int = nodesMax
    ) throws(YAMLError) -> YAMLNode? {
        var failure = unsafe cyaml_error()
        var text = text
        // libyaml copies what it keeps, and writes to neither.
        let document = text.withUTF8 { bytes in
            unsafe cyaml_open(bytes.baseAddress, bytes.count, &failure)
        }
        guard let document = unsafe document else { throw unsafe YAMLError(failure) }
        defer { unsafe cyaml_close(document) }
        let root = unsafe cyaml_root(document)
        guard root > 0 else { return nil }
        var reader = unsafe Reader(document: document, nodesMax: nodesMax)
        return try reader.node(root, depth: 1)
    }

    /// Makes values of a document that libyaml has read.
    @safe
    private struct Reader {
        /// Open for as long as the reader is in use.
        let document: UnsafeMutableRawPointer
        let nodesMax: Int
        var nodeCount = 0
        var byteCount = 0

        init(document: UnsafeMutableRawPointer, nodesMax: Int) {
            unsafe self.document = document
            self.nodesMax = nodesMax
        }

        mutating func node(_ number: Int32, depth: Int) throws(YAMLError) -> YAMLNode {
            let node = unsafe cyaml_node_at(document, number)
            let (line, column) = unsafe (Int(node.line), Int(node.column))
            nodeCount += 1
            guard depth <= depthMax else { throw YAMLError(.tooDeep, line, column) }
            guard nodeCount <= nodesMax else { throw YAMLError(.tooLarge, line, column) }
            if unsafe node.kind == UInt32(CYAML_SCALAR) {
                let bytes = unsafe UnsafeBufferPointer(start: node.bytes, count: node.byte_count)
                byteCount += bytes.count
                guard byteCount <= byteCountMax else { throw YAMLError(.tooLarge, line, column) }
                let text = unsafe String(decoding: bytes, as: UTF8.self)
                return YAMLNode(content: .scalar(text), line: line, column: column)
            }
            var children: [YAMLNode] = []
            for index in unsafe 0..<node.child_count {
                let child = unsafe cyaml_child(document, number, index)
                children.append(try self.node(child, depth: depth + 1))
            }
            let isSequence = unsafe node.kind == UInt32(CYAML_SEQUENCE)
            let content: YAMLNode.Content =
                isSequence ? .sequence(children) : .mapping(try Reader.pairs(children))
            return YAMLNode(content: content, line: line, column: column)
        }

        /// - Parameter nodes: keys and values, in turn.
        private static func pairs(_ nodes: [YAMLNode]) throws(YAMLError) -> [YAMLNode.Pair] {
            var seen: Set<String> = []
            var pairs: [YAMLNode.Pair] = []
            for index in stride(from: 0, to: nodes.count, by: 2) {
                let key = nodes[index]
                if let text = key.text, !seen.insert(text).inserted {
                    throw YAMLError(.keyTwice(text), key.line, key.column)
                }
                pairs.append(YAMLNode.Pair(key: key, value: nodes[index + 1]))
            }
            return pairs
        }
    }
}

extension YAMLError {
    fileprivate init(_ problem: Problem, _ line: Int, _ column: Int) {
        self.init(problem: problem, line: line, column: column)
    }

    fileprivate init(_ failure: cyaml_error) {
        // A text of libyaml's own, that stays.
        let words = unsafe failure.problem.map { unsafe String(cString: $0) } ?? "unknown error"
        let (line, column) = unsafe (Int(failure.line), Int(failure.column))
        self.init(
            problem: .syntax(words), line: line > 0 ? line : nil, column: line > 0 ? column : nil)
    }
}
