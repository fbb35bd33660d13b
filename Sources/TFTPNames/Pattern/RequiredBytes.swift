/// Bytes that stand in a row in every match of an expression, with their cases: a name without them
/// needs no matcher.
///
/// Of several such rows the longest one. Most rules do not match most names, and this finds out at
/// a few nanoseconds a byte.
struct RequiredBytes: Sendable {
    private(set) var sets: [ByteSet] = []
    /// What the nodes taken so far end with.
    private var row: [ByteSet] = []

    /// A letter in both cases; a larger set rules out little.
    private static let setCountMax = 2
    private static let rowCountMax = 16

    init(_ node: PatternNode) {
        take(node)
        endRow()
        row = []
    }

    private mutating func take(_ node: PatternNode) {
        switch node {
        // These take no byte, so what stands around them is in a row.
        case .empty, .assertion, .lookahead, .lookbehind, .begin: break
        case .byte(let set) where set.count <= RequiredBytes.setCountMax: row.append(set)
        case .byte, .alternation, .backreference: endRow()
        case .capture(let node, _), .atomic(let node): take(node)
        case .sequence(let nodes): for node in nodes { take(node) }
        case .repetition(let node, let least, let most, _):
            // The first turn follows what stands before the loop.
            if least > 0 { take(node) }
            if least != 1 || most != 1 { endRow() }
        }
    }

    private mutating func endRow() {
        if row.count > sets.count { sets = Array(row.prefix(RequiredBytes.rowCountMax)) }
        row = []
    }

    /// Whether the row is in `name`, at `start` or behind it.
    func isIn(_ name: [UInt8], from start: Int) -> Bool {
        guard !sets.isEmpty else { return true }
        var position = start
        let last = name.count - sets.count
        while position <= last {
            if stands(at: position, in: name) { return true }
            position += 1
        }
        return false
    }

    private func stands(at position: Int, in name: [UInt8]) -> Bool {
        for offset in sets.indices where !sets[offset].contains(name[position + offset]) {
            return false
        }
        return true
    }
}
