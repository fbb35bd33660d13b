/// Reads an expression.
///
/// Two syntaxes: the common core of Perl, PCRE and Swift, and POSIX extended as the C library reads
/// it.
struct PatternParser {
    enum Syntax: Sendable { case perl, posixExtended }

    /// What `(?i)` and its like set, until the group ends.
    struct Flags {
        var ignoresCase = false
        var dotMatchesNewline = false
        var isMultiline = false
        var isExtended = false
    }

    let bytes: [UInt8]
    let syntax: Syntax
    var flags: Flags
    var position = 0
    var groupCount = 0
    var groupNames: [String: Int] = [:]
    private var depth = 0
    /// Back-references by number, with where they stand, to be checked once all groups are known.
    var references: [(number: Int, offset: Int)] = []
    /// Look-arounds around this place.
    var lookAroundDepth = 0
    /// Inside `\Q…\E`.
    var isQuoting = false

    static let depthMax = 64
    static let groupsMax = 99
    static let repeatsMax = 1000

    init(_ bytes: [UInt8], syntax: Syntax, ignoresCase: Bool) {
        self.bytes = bytes
        self.syntax = syntax
        flags = Flags(ignoresCase: ignoresCase)
    }

    mutating func parse() throws(PatternError) -> PatternNode {
        let node = try parseAlternation()
        if position < bytes.count { throw .syntax("unmatched ')'", at: position) }
        for reference in references where reference.number > groupCount {
            throw .syntax("reference to group \(reference.number)", at: reference.offset)
        }
        return node
    }

    // MARK: Reading

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    func peek(_ offset: Int) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    mutating func skip(_ text: StaticString) -> Bool {
        let wanted = Array(text.description.utf8)
        guard position + wanted.count <= bytes.count,
            bytes[position..<position + wanted.count].elementsEqual(wanted)
        else { return false }
        position += wanted.count
        return true
    }

    // MARK: Structure

    mutating func parseAlternation() throws(PatternError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        if depth > PatternParser.depthMax { throw .tooLarge }
        var branches = [try parseSequence()]
        while next == UInt8(ascii: "|") {
            position += 1
            branches.append(try parseSequence())
        }
        return branches.count == 1 ? branches[0] : .alternation(branches)
    }

    private mutating func parseSequence() throws(PatternError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let byte = next {
            if !isQuoting && (byte == UInt8(ascii: "|") || byte == UInt8(ascii: ")")) { break }
            if skipExtendedSpace() { continue }
            guard let atom = try parseAtom() else { continue }
            nodes.append(try parseQuantifiers(atom))
        }
        switch nodes.count {
        case 0: return .empty
        case 1: return nodes[0]
        default: return .sequence(nodes)
        }
    }

    /// Skips a space or a comment where `(?x)` says that they mean nothing.
    private mutating func skipExtendedSpace() -> Bool {
        guard flags.isExtended, !isQuoting, let byte = next else { return false }
        if ByteSet.space.contains(byte) {
            position += 1
            return true
        }
        guard byte == UInt8(ascii: "#") else { return false }
        while let byte = next, byte != 0x0A { position += 1 }
        return true
    }

    /// One place of the expression; nil when it was only a setting.
    private mutating func parseAtom() throws(PatternError) -> PatternNode? {
        guard let byte = next else { return nil }
        if isQuoting { return parseQuoted(byte) }
        position += 1
        switch byte {
        case UInt8(ascii: "("): return try parseGroup()
        case UInt8(ascii: "["): return .byte(folded(try parseClass()))
        case UInt8(ascii: "."): return .byte(dot)
        case UInt8(ascii: "^"): return .assertion(flags.isMultiline ? .lineBegin : .begin)
        case UInt8(ascii: "$"): return .assertion(dollar)
        case UInt8(ascii: "\\"): return try parseEscape()
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
            throw .syntax("nothing to repeat", at: position - 1)
        default: return .byte(folded(ByteSet(byte)))
        }
    }

    /// A byte between `\Q` and `\E`, which stands for itself.
    private mutating func parseQuoted(_ byte: UInt8) -> PatternNode? {
        if skip("\\E") {
            isQuoting = false
            return nil
        }
        position += 1
        // What repeats the last byte stands behind the end of the quotation.
        if skip("\\E") { isQuoting = false }
        return .byte(folded(ByteSet(byte)))
    }

    private var dot: ByteSet {
        if syntax == .posixExtended || flags.dotMatchesNewline { return .all }
        return ByteSet.newline.inverted
    }

    private var dollar: PatternNode.Assertion {
        if syntax == .posixExtended { return .end }
        return flags.isMultiline ? .lineEnd : .endOrLastNewline
    }

    func folded(_ set: ByteSet) -> ByteSet { flags.ignoresCase ? set.ignoringCase : set }

    // MARK: Quantifiers

    private mutating func parseQuantifiers(_ atom: PatternNode) throws(PatternError) -> PatternNode
    {
        var node = atom
        var count = 0
        while !isQuoting, let range = try parseRange() {
            count += 1
            if count > PatternParser.depthMax { throw .tooLarge }
            node = .repetition(node, least: range.least, most: range.most, parseGreed())
        }
        return node
    }

    mutating func parseGreed() -> PatternNode.Greed {
        guard syntax == .perl else { return .greedy }
        if skip("?") { return .lazy }
        return skip("+") ? .possessive : .greedy
    }

    mutating func parseRange() throws(PatternError) -> (least: Int, most: Int?)? {
        if skip("*") { return (0, nil) }
        if skip("+") { return (1, nil) }
        if skip("?") { return (0, 1) }
        guard next == UInt8(ascii: "{") else { return nil }
        let begin = position
        position += 1
        let least = parseNumber()
        let hasComma = skip(",")
        let most = hasComma ? parseNumber() : least
        // Without a number at the front it is not a range: in Perl the brace stands for itself.
        let isRange = skip("}") && (least != nil || (syntax == .posixExtended && most != nil))
        guard isRange else {
            position = begin
            if syntax == .posixExtended { throw .syntax("invalid repetition", at: begin) }
            return nil
        }
        guard max(least ?? 0, most ?? 0) <= PatternParser.repeatsMax else { throw .tooLarge }
        if let most, most < least ?? 0 { throw .syntax("repetition out of order", at: begin) }
        return (least ?? 0, most)
    }

    mutating func parseNumber() -> Int? {
        var value: Int?
        while let byte = next, ByteSet.digits.contains(byte) {
            value = min((value ?? 0) * 10 + Int(byte - 0x30), 1 << 20)
            position += 1
        }
        return value
    }
}
