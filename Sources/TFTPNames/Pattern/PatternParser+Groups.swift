extension PatternParser {
    /// Behind a `(`.
    mutating func parseGroup() throws(PatternError) -> PatternNode? {
        let begin = position - 1
        guard syntax == .perl, next == UInt8(ascii: "?") else {
            return try parseCapture(named: nil, from: begin)
        }
        position += 1
        if skip("#") { return try skipComment(from: begin) }
        if skip(":") { return try parseBody(from: begin) { $0 } }
        if skip(">") { return try parseBody(from: begin) { .atomic($0) } }
        if skip("=") { return .lookahead(try parseAside(from: begin), isNegative: false) }
        if skip("!") { return .lookahead(try parseAside(from: begin), isNegative: true) }
        if skip("<=") { return try parseLookbehind(isNegative: false, from: begin) }
        if skip("<!") { return try parseLookbehind(isNegative: true, from: begin) }
        if skip("P=") { return try parseNamedReference(until: ")", from: begin) }
        if skip("P<") || skip("<") { return try parseNamedCapture(until: ">", from: begin) }
        if skip("'") { return try parseNamedCapture(until: "'", from: begin) }
        return try parseFlags(from: begin)
    }

    /// What stands in the group, up to its `)`. Flags that are set in it end with it.
    private mutating func parseBody(
        from begin: Int, _ wrap: (PatternNode) -> PatternNode
    ) throws(PatternError) -> PatternNode {
        let outer = flags
        let node = try parseAlternation()
        flags = outer
        guard skip(")") else { throw .syntax("missing ')'", at: begin) }
        return wrap(node)
    }

    /// The body of a look-around.
    private mutating func parseAside(from begin: Int) throws(PatternError) -> PatternNode {
        lookAroundDepth += 1
        defer { lookAroundDepth -= 1 }
        return try parseBody(from: begin) { $0 }
    }

    /// Each alternative has a length of its own, as in PCRE.
    private mutating func parseLookbehind(
        isNegative: Bool, from begin: Int
    ) throws(PatternError) -> PatternNode {
        let body = try parseAside(from: begin)
        var alternatives = [body]
        if case .alternation(let nodes) = body { alternatives = nodes }
        var nodes: [PatternNode] = []
        for node in alternatives {
            guard let byteCount = node.byteCount else {
                throw .syntax("a look-behind without a fixed length, or too long,", at: begin)
            }
            nodes.append(.lookbehind(node, byteCount: byteCount, isNegative: isNegative))
        }
        if nodes.count == 1 { return nodes[0] }
        return isNegative ? .sequence(nodes) : .atomic(.alternation(nodes))
    }

    private mutating func parseCapture(
        named name: String?, from begin: Int
    ) throws(PatternError) -> PatternNode {
        groupCount += 1
        if groupCount > PatternParser.groupsMax { throw .tooLarge }
        let number = groupCount
        if let name {
            guard groupNames.updateValue(number, forKey: name) == nil else {
                throw .syntax("two groups named '\(name)'", at: begin)
            }
        }
        return try parseBody(from: begin) { .capture($0, number: number) }
    }

    private mutating func parseNamedCapture(
        until end: StaticString, from begin: Int
    ) throws(PatternError) -> PatternNode {
        let name = try parseName(until: end, from: begin)
        return try parseCapture(named: name, from: begin)
    }

    mutating func parseNamedReference(
        until end: StaticString, from begin: Int
    ) throws(PatternError) -> PatternNode {
        let name = try parseName(until: end, from: begin)
        guard let number = groupNames[name] else {
            throw .syntax("no group named '\(name)'", at: begin)
        }
        return .backreference(number: number, ignoresCase: flags.ignoresCase)
    }

    private mutating func parseName(
        until end: StaticString, from begin: Int
    ) throws(PatternError) -> String {
        let first = position
        while let byte = next, ByteSet.word.contains(byte) { position += 1 }
        let name = String(decoding: bytes[first..<position], as: UTF8.self)
        guard !name.isEmpty, name.utf8.count <= 32, skip(end) else {
            throw .syntax("invalid name of a group", at: begin)
        }
        return name
    }

    private mutating func skipComment(from begin: Int) throws(PatternError) -> PatternNode? {
        while let byte = next, byte != UInt8(ascii: ")") { position += 1 }
        guard skip(")") else { throw .syntax("missing ')'", at: begin) }
        return nil
    }

    /// `(?i)` for the rest of the group, `(?i:…)` for a group of its own.
    private mutating func parseFlags(from begin: Int) throws(PatternError) -> PatternNode? {
        let outer = flags
        var isSetting = true
        while let byte = next, byte != UInt8(ascii: ")"), byte != UInt8(ascii: ":") {
            switch byte {
            case UInt8(ascii: "-") where isSetting: isSetting = false
            case UInt8(ascii: "i"): flags.ignoresCase = isSetting
            case UInt8(ascii: "s"): flags.dotMatchesNewline = isSetting
            case UInt8(ascii: "m"): flags.isMultiline = isSetting
            case UInt8(ascii: "x"): flags.isExtended = isSetting
            default: throw .unsupported("this kind of group", at: begin)
            }
            position += 1
        }
        if skip(")") {
            // A setting that is repeated is one setting.
            if try parseRange() != nil { _ = parseGreed() }
            return nil
        }
        guard skip(":") else { throw .syntax("missing ')'", at: begin) }
        let node = try parseAlternation()
        flags = outer
        guard skip(")") else { throw .syntax("missing ')'", at: begin) }
        return node
    }
}
