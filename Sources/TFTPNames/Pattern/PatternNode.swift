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
    /// What stands in front of this place, which has `byteCount` bytes.
    case lookbehind(PatternNode, byteCount: Int, isNegative: Bool)
    /// What was matched begins here.
    case begin
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
    /// What every match begins with: a set for each of the first bytes, as far as they are known.
    /// Whatever does not begin so needs no matcher.
    var leading: [ByteSet] {
        var sets: [ByteSet] = []
        _ = collectLeading(&sets)
        return Array(sets.prefix(PatternNode.leadingMax))
    }

    private static let leadingMax = 12

    /// False when what follows this node has no fixed place.
    private func collectLeading(_ sets: inout [ByteSet]) -> Bool {
        guard sets.count < PatternNode.leadingMax else { return false }
        switch self {
        // These take no byte, so what follows them comes first.
        case .empty, .assertion, .lookahead, .lookbehind, .begin: return true
        case .byte(let set):
            sets.append(set)
            return true
        case .capture(let node, _), .atomic(let node): return node.collectLeading(&sets)
        case .sequence(let nodes):
            for node in nodes where !node.collectLeading(&sets) { return false }
            return true
        case .repetition(let node, let least, let most, _):
            for _ in 0..<min(least, PatternNode.leadingMax) where !node.collectLeading(&sets) {
                return false
            }
            return least == most
        case .alternation(let nodes):
            let all = nodes.map(\.leading)
            for index in 0..<(all.map(\.count).min() ?? 0) {
                var union = ByteSet()
                for branch in all { union.formUnion(branch[index]) }
                sets.append(union)
            }
            return false
        case .backreference: return false
        }
    }

    /// More than any name has.
    private static let byteCountMax = 4096

    /// How many bytes every match takes; nil where that differs, or is more than any name has.
    var byteCount: Int? {
        switch self {
        case .empty, .assertion, .lookahead, .lookbehind, .begin: return 0
        case .byte: return 1
        case .capture(let node, _), .atomic(let node): return node.byteCount
        case .sequence(let nodes):
            var sum = 0
            for node in nodes {
                guard let count = node.byteCount else { return nil }
                sum += count
                guard sum <= PatternNode.byteCountMax else { return nil }
            }
            return sum
        case .alternation(let nodes):
            let counts = Set(nodes.map(\.byteCount))
            return counts.count == 1 ? counts.first ?? nil : nil
        case .repetition(let node, let least, let most, _):
            guard let count = node.byteCount, least == most || count == 0 else { return nil }
            // Both factors are at most some thousands.
            let product = count * least
            return product <= PatternNode.byteCountMax ? product : nil
        case .backreference: return nil
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
