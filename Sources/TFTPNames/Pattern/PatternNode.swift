/// An expression as it was read.
indirect enum PatternNode: Sendable {
    /// Nothing, which always matches.
    case empty
    /// One byte of a set.
    case byte(ByteSet)
    case sequence([PatternNode])
    case alternation([PatternNode])
    case capture(PatternNode, number: Int)
    case repetition(PatternNode, least: Int, most: Int?, Greed)
    case assertion(Assertion)
    case backreference(number: Int, ignoresCase: Bool)
    case lookahead(PatternNode, isNegative: Bool)
    /// Once it has matched, no other way of matching it is tried.
    case atomic(PatternNode)

    enum Greed: Sendable { case greedy, lazy, possessive }

    enum Assertion: Sendable {
        case begin
        case end
        /// At the end, or before a newline that is the last byte.
        case endOrLastNewline
        case lineBegin
        case lineEnd
        case wordBoundary
        case noWordBoundary
        case wordBegin
        case wordEnd
    }
}

extension PatternNode {
    /// The bytes that a match can begin with; nil when it can begin with any, or be empty.
    var firstBytes: ByteSet? {
        switch self {
        case .empty, .assertion, .backreference, .lookahead: return nil
        case .byte(let set): return set
        case .capture(let node, _), .atomic(let node): return node.firstBytes
        case .repetition(let node, let least, _, _): return least > 0 ? node.firstBytes : nil
        case .alternation(let nodes):
            var union = ByteSet()
            for node in nodes {
                guard let set = node.firstBytes else { return nil }
                union.formUnion(set)
            }
            return union
        case .sequence(let nodes):
            // An assertion takes no byte, so what follows it comes first.
            for node in nodes {
                if case .assertion = node { continue }
                if case .lookahead = node { continue }
                return node.firstBytes
            }
            return nil
        }
    }

    /// Whether a match can only begin where the name does.
    var isAnchored: Bool {
        switch self {
        case .assertion(.begin): return true
        case .capture(let node, _), .atomic(let node): return node.isAnchored
        case .sequence(let nodes): return nodes.first?.isAnchored ?? false
        case .alternation(let nodes): return nodes.allSatisfy(\.isAnchored)
        default: return false
        }
    }
}
