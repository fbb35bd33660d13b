internal import TFTPWire

/// The rules of a pattern file of atftpd (`atftpd --pcre`), run as it runs them: the requested name
/// first; if that file does not exist, the result of the first expression that matches. For reading
/// only.
package struct PCRERules: Sendable {
    private struct Rule: Sendable {
        let line: Int
        let pattern: NamePattern
        let replacement: [Part]
    }

    /// A part of a replacement in the syntax of `pcre2_substitute(3)`.
    private enum Part: Sendable {
        case text([UInt8])
        case group(Int)
        /// Something that PCRE refuses: the name ends here.
        case fault
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

    /// `$1`, `${1}`, `$name`, `${name}`, `$$`, up to the first one that PCRE refuses.
    private static func replacement(_ bytes: [UInt8], _ pattern: NamePattern) -> [Part] {
        var parts: [Part] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "$") else {
                parts.append(.text([byte]))
                continue
            }
            guard index < bytes.count else { return parts + [.fault] }
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
                guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else {
                    return parts + [.fault]
                }
                index += 1
            }
            guard let group = isNumber ? Int(word) : pattern.groupNames[word],
                group <= pattern.groupCount
            else { return parts + [.fault] }
            parts.append(.group(group))
        }
        return parts
    }

    /// What the rules make of a name.
    package enum Result: Equatable, Sendable {
        /// No rule matches, or it took too many steps to find out.
        case unchanged
        case name([UInt8])
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
                note(NameStep(line: rule.line, .exhausted))
                return .unchanged
            }
            guard let found else { continue }
            let name = PCRERules.name(request.name, found, rule)
            note(NameStep(line: rule.line, .rewritten(name)))
            return .name(name)
        }
        return .unchanged
    }

    /// The name with the match replaced. Where PCRE fails (a wrong replacement, a group that took
    /// no part, a name that is too long) the name ends with what was written until then: atftpd
    /// does not ask whether the replacement has succeeded.
    private static func name(_ name: [UInt8], _ match: NameMatch, _ rule: Rule) -> [UInt8] {
        var result = Array(name[..<match.range.lowerBound])
        for part in rule.replacement + [.text(Array(name[match.range.upperBound...]))] {
            let text: [UInt8]
            switch part {
            case .text(let bytes): text = bytes
            case .group(let number):
                guard let range = match[number] else { return result }
                text = Array(name[range])
            case .fault: return result
            }
            guard result.count + text.count <= nameByteCountMax else { return result }
            result += text
        }
        return result
    }
}
