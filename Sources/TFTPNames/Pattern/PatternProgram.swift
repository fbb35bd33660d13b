/// An expression as the matcher runs it: instructions in a row, which name others by index.
struct PatternProgram: Sendable {
    enum Instruction: Sendable, BitwiseCopyable {
        case byte(ByteSet)
        /// Continue at `first`; if that fails, at `second`.
        case split(first: Int32, second: Int32)
        case jump(Int32)
        /// Note the position as one end of a group.
        case save(Int32)
        case assertion(PatternNode.Assertion)
        case backreference(group: Int32, ignoresCase: Bool)
        /// Run what follows by itself up to its `accept`; then go on at `next`.
        case lookahead(next: Int32, isNegative: Bool)
        /// The same, `byteCount` bytes before the position.
        case lookbehind(next: Int32, byteCount: Int32, isNegative: Bool)
        case atomic(next: Int32)
        /// Note the position as the beginning of a turn of a loop.
        case loopBegin(register: Int32)
        /// Leave the loop when the turn has taken no byte: it would go on for ever.
        case loopCheck(register: Int32)
        case accept
    }

    private(set) var instructions: [Instruction] = []
    private(set) var registerCount = 0

    /// More, and the expression is refused.
    static let instructionsMax = 4096

    init(_ node: PatternNode) throws(PatternError) {
        try emit(node)
        try append(.accept)
    }

    private var end: Int32 { Int32(instructions.count) }

    private mutating func append(_ instruction: Instruction) throws(PatternError) {
        guard instructions.count < PatternProgram.instructionsMax else { throw .tooLarge }
        instructions.append(instruction)
    }

    private mutating func emit(_ node: PatternNode) throws(PatternError) {
        switch node {
        case .empty: break
        case .byte(let set): try append(.byte(set))
        case .sequence(let nodes): for node in nodes { try emit(node) }
        case .alternation(let nodes): try emitAlternation(nodes[...])
        case .capture(let node, let number):
            try append(.save(Int32(number * 2)))
            try emit(node)
            try append(.save(Int32(number * 2 + 1)))
        case .repetition(let node, let least, let most, let greed):
            guard greed != .possessive else {
                return try emitAside(
                    .repetition(node, least: least, most: most, .greedy), .atomic(next: 0))
            }
            try emitRepetition(node, least: least, most: most, isLazy: greed == .lazy)
        case .assertion(let assertion): try append(.assertion(assertion))
        case .backreference(let number, let ignoresCase):
            try append(.backreference(group: Int32(number), ignoresCase: ignoresCase))
        case .lookahead(let node, let isNegative):
            try emitAside(node, .lookahead(next: 0, isNegative: isNegative))
        case .lookbehind(let node, let byteCount, let isNegative):
            try emitAside(
                node,
                .lookbehind(next: 0, byteCount: Int32(byteCount), isNegative: isNegative))
        case .begin: try append(.save(0))
        case .atomic(let node): try emitAside(node, .atomic(next: 0))
        }
    }

    private mutating func emitAlternation(_ nodes: ArraySlice<PatternNode>) throws(PatternError) {
        var jumps: [Int] = []
        for (index, node) in zip(nodes.indices, nodes) {
            guard index < nodes.endIndex - 1 else {
                try emit(node)
                break
            }
            let split = instructions.count
            try append(.split(first: end + 1, second: 0))
            try emit(node)
            jumps.append(instructions.count)
            try append(.jump(0))
            instructions[split] = .split(first: Int32(split + 1), second: end)
        }
        for jump in jumps { instructions[jump] = .jump(end) }
    }

    private mutating func emitRepetition(
        _ node: PatternNode, least: Int, most: Int?, isLazy: Bool
    ) throws(PatternError) {
        for _ in 0..<least { try emit(node) }
        guard let most else { return try emitLoop(node, isLazy: isLazy) }
        guard most > least else { return }
        var splits: [Int] = []
        for _ in least..<most {
            splits.append(instructions.count)
            try append(.split(first: 0, second: 0))
            try emit(node)
        }
        for split in splits {
            let body = Int32(split + 1)
            instructions[split] =
                isLazy ? .split(first: end, second: body) : .split(first: body, second: end)
        }
    }

    private mutating func emitLoop(_ node: PatternNode, isLazy: Bool) throws(PatternError) {
        let register = Int32(registerCount)
        registerCount += 1
        let split = instructions.count
        try append(.split(first: 0, second: 0))
        try append(.loopBegin(register: register))
        try emit(node)
        try append(.loopCheck(register: register))
        try append(.jump(Int32(split)))
        let body = Int32(split + 1)
        instructions[split] =
            isLazy ? .split(first: end, second: body) : .split(first: body, second: end)
    }

    private mutating func emitAside(
        _ node: PatternNode, _ instruction: Instruction
    ) throws(PatternError) {
        let place = instructions.count
        try append(instruction)
        try emit(node)
        try append(.accept)
        switch instruction {
        case .lookahead(_, let isNegative):
            instructions[place] = .lookahead(next: end, isNegative: isNegative)
        case .lookbehind(_, let byteCount, let isNegative):
            instructions[place] = .lookbehind(
                next: end, byteCount: byteCount, isNegative: isNegative)
        default: instructions[place] = .atomic(next: end)
        }
    }
}
