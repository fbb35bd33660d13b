/// One attempt to match a program, step by step, with a bound.
///
/// Choices that are left, and what has to be put back when one of them is taken, are on one stack.
struct PatternMatcher {
    /// Thrown when the steps are used up: whether the name matches stays unknown.
    struct Exhausted: Error {}

    private struct Entry: BitwiseCopyable {
        /// Where to go on; negative: what to put back (`~slot` of `places`).
        var index: Int32
        var value: Int32
    }

    private let program: [PatternProgram.Instruction]
    private let name: [UInt8]
    /// Positions: both ends of each group (−1 while it has not matched), then the registers of
    /// loops.
    private var places: [Int32]
    private var stack: [Entry] = []
    private let groupPlaceCount: Int
    private let wantsLongest: Bool
    private var longest: [Int32]?
    /// Steps that are left for this request.
    private(set) var stepsLeft: Int

    /// Choices at once.
    private static let stackMax = 1 << 16

    init(
        _ program: PatternProgram, groupCount: Int, name: [UInt8], wantsLongest: Bool, steps: Int
    ) {
        self.program = program.instructions
        self.name = name
        groupPlaceCount = (groupCount + 1) * 2
        places = Array(repeating: -1, count: groupPlaceCount + program.registerCount)
        self.wantsLongest = wantsLongest
        stepsLeft = steps
    }

    /// Matches at `start`; returns both ends of each group.
    mutating func match(at start: Int) throws(Exhausted) -> [Int32]? {
        stack.removeAll(keepingCapacity: true)
        for index in places.indices { places[index] = -1 }
        longest = nil
        places[0] = Int32(start)
        if let end = try run(from: 0, at: start, isOutermost: true) {
            places[1] = Int32(end)
            return Array(places[..<groupPlaceCount])
        }
        return longest
    }

    /// Runs up to an `accept` and returns the position there; nil when nothing is left to try.
    private mutating func run(
        from first: Int, at start: Int, isOutermost: Bool = false
    ) throws(Exhausted) -> Int? {
        let base = stack.count
        var index = first
        var position = start
        while true {
            guard stepsLeft > 0, stack.count < PatternMatcher.stackMax else { throw Exhausted() }
            stepsLeft -= 1
            if case .accept = program[index] {
                guard isOutermost && wantsLongest else { return position }
                noteLongest(position)
            } else if try step(&index, &position) {
                continue
            }
            guard backtrack(to: base, &index, &position) else { return nil }
        }
    }

    /// Does one instruction; false when it does not match.
    private mutating func step(_ index: inout Int, _ position: inout Int) throws(Exhausted) -> Bool
    {
        switch program[index] {
        case .byte(let set):
            guard position < name.count, set.contains(name[position]) else { return false }
            position += 1
        case .split(let first, let second):
            stack.append(Entry(index: second, value: Int32(position)))
            index = Int(first)
            return true
        case .jump(let target):
            index = Int(target)
            return true
        case .save(let place): set(Int(place), to: position)
        case .assertion(let assertion):
            guard holds(assertion, at: position) else { return false }
        case .backreference(let group, let ignoresCase):
            guard let end = repeats(Int(group), at: position, ignoresCase) else { return false }
            position = end
        case .lookahead(let next, let isNegative):
            guard try holds(from: index + 1, at: position, isNegative) else { return false }
            index = Int(next)
            return true
        case .lookbehind(let next, let byteCount, let isNegative):
            let begin = position - Int(byteCount)
            guard begin >= 0 ? try holds(from: index + 1, at: begin, isNegative) : isNegative else {
                return false
            }
            index = Int(next)
            return true
        case .atomic(let next):
            let base = stack.count
            guard let end = try run(from: index + 1, at: position) else { return false }
            dropChoices(to: base)
            position = end
            index = Int(next)
            return true
        case .loopBegin(let register): set(groupPlaceCount + Int(register), to: position)
        case .loopCheck(let register):
            // A turn that took nothing is the last one: on behind the jump that goes round again.
            if places[groupPlaceCount + Int(register)] == Int32(position) { index += 1 }
        case .accept: break
        }
        index += 1
        return true
    }

    // MARK: Choices

    private mutating func set(_ place: Int, to position: Int) {
        stack.append(Entry(index: ~Int32(place), value: places[place]))
        places[place] = Int32(position)
    }

    /// Takes the last choice that is left above `base`.
    private mutating func backtrack(
        to base: Int, _ index: inout Int, _ position: inout Int
    ) -> Bool {
        while stack.count > base, let entry = stack.popLast() {
            guard entry.index >= 0 else {
                places[Int(~entry.index)] = entry.value
                continue
            }
            index = Int(entry.index)
            position = Int(entry.value)
            return true
        }
        return false
    }

    /// Forgets the choices above `base`, but not what is to be put back.
    private mutating func dropChoices(to base: Int) {
        let kept = stack[base...].filter { $0.index < 0 }
        stack.replaceSubrange(base..., with: kept)
    }

    /// Whether what stands at `position` matches, or does not.
    private mutating func holds(
        from index: Int, at position: Int, _ isNegative: Bool
    ) throws(Exhausted) -> Bool {
        let base = stack.count
        let isMatch = try run(from: index, at: position) != nil
        guard isMatch else { return isNegative }
        guard isNegative else {
            dropChoices(to: base)
            return true
        }
        while stack.count > base, let entry = stack.popLast() {
            if entry.index < 0 { places[Int(~entry.index)] = entry.value }
        }
        return false
    }

    private mutating func noteLongest(_ position: Int) {
        if let longest, longest[1] >= Int32(position) { return }
        var match = Array(places[..<groupPlaceCount])
        match[1] = Int32(position)
        longest = match
    }

    // MARK: Conditions

    private func repeats(_ group: Int, at position: Int, _ ignoresCase: Bool) -> Int? {
        let begin = Int(places[group * 2])
        let end = Int(places[group * 2 + 1])
        guard begin >= 0, end >= begin, position + end - begin <= name.count else { return nil }
        for offset in 0..<end - begin {
            var (one, other) = (name[begin + offset], name[position + offset])
            if ignoresCase { (one, other) = (one.lowercased, other.lowercased) }
            guard one == other else { return nil }
        }
        return position + end - begin
    }

    private func holds(_ assertion: PatternNode.Assertion, at position: Int) -> Bool {
        let count = name.count
        switch assertion {
        case .begin: return position == 0
        case .end: return position == count
        case .endOrLastNewline:
            return position == count || (position == count - 1 && name[position] == 0x0A)
        case .lineBegin: return position == 0 || name[position - 1] == 0x0A
        case .lineEnd: return position == count || name[position] == 0x0A
        case .wordBoundary: return isWord(position - 1) != isWord(position)
        case .noWordBoundary: return isWord(position - 1) == isWord(position)
        case .wordBegin: return !isWord(position - 1) && isWord(position)
        case .wordEnd: return isWord(position - 1) && !isWord(position)
        }
    }

    private func isWord(_ position: Int) -> Bool {
        name.indices.contains(position) && ByteSet.word.contains(name[position])
    }
}

extension UInt8 {
    /// An ASCII letter in lower case; any other byte unchanged.
    package var lowercased: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
    /// An ASCII letter in upper case; any other byte unchanged.
    package var uppercased: UInt8 { (0x61...0x7A).contains(self) ? self & 0xDF : self }
}
