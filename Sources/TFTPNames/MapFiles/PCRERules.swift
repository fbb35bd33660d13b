internal import TFTPWire

/// The rules of a pattern file of atftpd (`atftpd --pcre`), run as it runs them: the requested name
/// first; if that file does not exist, the result of the first expression that matches. For reading
/// only.
package struct PCRERules: Sendable {
    private struct Rule: Sendable {
        let line: Int
        let pattern: NamePattern
        let replacement: [Part]?
    }

    /// A part of a replacement in the syntax of `pcre2_substitute(3)`.
    private enum Part: Sendable {
        case text([UInt8])
        case group(Int)
    }

    private let rules: [Rule]

    /// The longest line that atftpd reads, and the longest name that it makes, in bytes.
    private static let lineByteCountMax = 254
    private static let nameByteCountMax = 255

    package var count: Int { rules.count }

    /// Reads the text of a pattern file: on each line an expression, white space and a replacement.
    /// atftpd knows no comments and no empty lines; it would run without rules.
    package init(_ text: [UInt8]) throws(RuleFileError) {
        var rules: [Rule] = []
        var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        for (index, line) in lines.enumerated() {
            guard rules.count < NameLimits.rulesMax else {
                throw RuleFileError(line: index + 1, .tooManyRules)
            }
            rules.append(try PCRERules.rule(line, index + 1))
        }
        self.rules = rules
    }

    private static func rule(_ bytes: ArraySlice<UInt8>, _ line: Int) throws(RuleFileError) -> Rule
    {
        guard bytes.count <= lineByteCountMax else { throw RuleFileError(line: line, .lineTooLong) }
        let words = bytes.split(whereSeparator: ByteSet.space.contains)
        guard words.count == 2, let first = bytes.first, let last = bytes.last,
            !ByteSet.space.contains(first), !ByteSet.space.contains(last)
        else { throw RuleFileError(line: line, .notAPair) }
        let text = String(decoding: words[0], as: UTF8.self)
        do throws(PatternError) {
            let pattern = try NamePattern(text)
            return Rule(
                line: line, pattern: pattern, replacement: replacement(Array(words[1]), pattern))
        } catch {
            throw RuleFileError(line: line, .expression(text, error))
        }
    }

    /// `$1`, `${1}`, `$name`, `${name}`, `$$`; nil for one that PCRE refuses, with which atftpd
    /// finds no file.
    private static func replacement(_ bytes: [UInt8], _ pattern: NamePattern) -> [Part]? {
        var parts: [Part] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "$") else {
                parts.append(.text([byte]))
                continue
            }
            guard index < bytes.count else { return nil }
            if bytes[index] == UInt8(ascii: "$") {
                parts.append(.text([byte]))
                index += 1
                continue
            }
            let isBraced = bytes[index] == UInt8(ascii: "{")
            if isBraced { index += 1 }
            let begin = index
            let isNumber = index < bytes.count && ByteSet.digits.contains(bytes[index])
            let allowed = isNumber ? ByteSet.digits : ByteSet.word
            while index < bytes.count, allowed.contains(bytes[index]) { index += 1 }
            let word = String(decoding: bytes[begin..<index], as: UTF8.self)
            if isBraced {
                guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else { return nil }
                index += 1
            }
            guard let group = isNumber ? Int(word) : pattern.groupNames[word],
                group <= pattern.groupCount
            else { return nil }
            parts.append(.group(group))
        }
        return parts
    }

    /// What the rules make of a name.
    package enum Result: Equatable, Sendable {
        /// No rule matches.
        case unchanged
        case name([UInt8])
        case refused(NameRefusal)
    }

    /// Runs the rules; `request.name` is the name as it came.
    package func run(_ request: NameRequest, note: (NameStep) -> Void = { _ in }) -> Result {
        guard request.direction == .rrq else { return .unchanged }
        var steps = NameLimits.stepsMax
        for rule in rules {
            let found: NameMatch?
            do throws(StepsExhausted) {
                found = try rule.pattern.match(request.name, steps: &steps)
            } catch {
                return .refused(NameRefusal(.tooManySteps(line: rule.line)))
            }
            guard let found else { continue }
            guard let name = PCRERules.name(request.name, found, rule) else {
                note(NameStep(line: rule.line, .refused))
                return .refused(NameRefusal(.rule(line: rule.line), code: .fileNotFound))
            }
            note(NameStep(line: rule.line, .rewritten(name)))
            return .name(name)
        }
        return .unchanged
    }

    /// The name with the match replaced; nil where PCRE fails: a wrong replacement, or a group that
    /// took no part.
    private static func name(_ name: [UInt8], _ match: NameMatch, _ rule: Rule) -> [UInt8]? {
        guard let parts = rule.replacement else { return nil }
        var text: [UInt8] = []
        for part in parts {
            switch part {
            case .text(let bytes): text += bytes
            case .group(let number):
                guard let range = match[number] else { return nil }
                text += name[range]
            }
        }
        var result = name
        result.replaceSubrange(match.range, with: text)
        return result.count <= nameByteCountMax ? result : nil
    }
}
