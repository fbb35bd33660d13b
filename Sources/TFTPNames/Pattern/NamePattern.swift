/// A regular expression over the bytes of a name, which takes a bounded number of steps.
///
/// The syntax is what Perl, PCRE and Swift have in common: classes, groups (numbered, named,
/// without a number, atomic), greedy, lazy and possessive repetition, look-ahead, look-behind of a
/// fixed length, back-references,
/// `(?i)` and its like, `\d \w \s \h \b \A \z \K \Q…\E \xHH`. Letters are those of ASCII. Of
/// several ways to match the first one is taken, as in these.
package final class NamePattern: Sendable {
    /// The expression as it was written.
    package let text: String
    /// The numbers of the groups that have names.
    package let groupNames: [String: Int]
    package let groupCount: Int
    private let program: PatternProgram
    private let leading: [ByteSet]
    private let required: RequiredBytes
    private let isAnchored: Bool
    private let wantsLongest: Bool

    /// The longest expression, in bytes.
    package static let byteCountMax = 1024

    /// - Throws: where the syntax is wrong or not supported, or a limit is passed.
    package convenience init(_ text: String, ignoresCase: Bool = false) throws(PatternError) {
        try self.init(text, .perl, ignoresCase: ignoresCase)
    }

    /// With POSIX's syntax and its longest match, for expressions that the C library cannot bound.
    convenience init(posixExtended text: String, ignoresCase: Bool) throws(PatternError) {
        try self.init(text, .posixExtended, ignoresCase: ignoresCase)
    }

    private init(
        _ text: String, _ syntax: PatternParser.Syntax, ignoresCase: Bool
    ) throws(PatternError) {
        guard text.utf8.count <= NamePattern.byteCountMax else { throw .tooLarge }
        var parser = PatternParser(Array(text.utf8), syntax: syntax, ignoresCase: ignoresCase)
        let node = try parser.parse()
        self.text = text
        groupNames = parser.groupNames
        groupCount = parser.groupCount
        program = try PatternProgram(node)
        leading = node.leading
        required = RequiredBytes(node)
        isAnchored = node.isAnchored
        wantsLongest = syntax == .posixExtended
    }

    /// Finds the first match that begins at `start` or behind it.
    ///
    /// - Parameter steps: How many steps may be taken; what was taken is subtracted.
    /// - Throws: when the steps do not suffice.
    package func match(
        _ name: [UInt8], from start: Int = 0, steps: inout Int
    ) throws(StepsExhausted) -> NameMatch? {
        steps = max(0, steps - searchSteps(name, from: start))
        guard steps > 0 else { throw StepsExhausted() }
        guard required.isIn(name, from: start) else { return nil }
        guard var position = candidate(in: name, from: start) else { return nil }
        var matcher = PatternMatcher(
            program, groupCount: groupCount, name: name, wantsLongest: wantsLongest, steps: steps)
        defer { steps = matcher.stepsLeft }
        while true {
            do {
                if let places = try matcher.match(at: position) { return NameMatch(places) }
            } catch {
                throw StepsExhausted()
            }
            guard !isAnchored, let next = candidate(in: name, from: position + 1) else {
                return nil
            }
            position = next
        }
    }

    /// Each search is a step, and so are 16 positions where a match cannot begin.
    private func searchSteps(_ name: [UInt8], from start: Int) -> Int {
        1 + max(0, name.count - start) / 16
    }

    /// Whether a name lacks what every match has; the steps that took are subtracted then.
    package func isRuledOut(_ name: [UInt8], from start: Int = 0, steps: inout Int) -> Bool {
        let count = searchSteps(name, from: start)
        guard steps > count else { return false }
        if required.isIn(name, from: start), candidate(in: name, from: start) != nil {
            return false
        }
        steps -= count
        return true
    }

    /// The first position from `start` on where a match can begin, by its first bytes.
    private func candidate(in name: [UInt8], from start: Int) -> Int? {
        var position = start
        let last = name.count - leading.count
        while position <= last {
            if canBegin(at: position, of: name) { return position }
            if isAnchored { return nil }
            position += 1
        }
        return nil
    }

    private func canBegin(at position: Int, of name: [UInt8]) -> Bool {
        for (offset, set) in leading.enumerated() where !set.contains(name[position + offset]) {
            return false
        }
        return true
    }
}

/// A name took more steps than a request may.
package struct StepsExhausted: Error {}

/// Where an expression and its groups have matched.
package struct NameMatch: Equatable, Sendable {
    private let places: [Int32]

    /// - Parameter places: Both ends of the match, then of each group; −1 for one without a match.
    init(_ places: [Int32]) { self.places = places }

    /// What was matched as a whole.
    package var range: Range<Int> { Int(places[0])..<Int(places[1]) }

    package var groupCount: Int { places.count / 2 - 1 }

    /// What group `number` has matched, 0 for the whole; nil when it took no part.
    package subscript(number: Int) -> Range<Int>? {
        guard places.indices.contains(number * 2 + 1) else { return nil }
        let (begin, end) = (Int(places[number * 2]), Int(places[number * 2 + 1]))
        return begin >= 0 && end >= begin ? begin..<end : nil
    }
}
