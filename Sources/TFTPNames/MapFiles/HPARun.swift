internal import TFTPCore
internal import TFTPWire

/// One run of the rules of a map file of tftp-hpa.
struct HPARun {
    let rules: HPARules
    let request: NameRequest
    private var current: [UInt8]
    private var evaluationsLeft: Int
    /// Repetitions of `g`, which 5.2 does not count: it would go on for ever.
    private var repetitionsLeft = 4096
    /// A step is a match, or 16 bytes of the name.
    private var steps = NameLimits.stepsMax * 8

    init(rules: HPARules, request: NameRequest) {
        self.rules = rules
        self.request = request
        current = request.name
        evaluationsLeft =
            rules.isLater ? HPARules.evaluationsMax.later : HPARules.evaluationsMax.before
    }
}

extension HPARun {
    mutating func run(
        exists: ([UInt8]) -> Bool, note: (NameStep) -> Void
    ) throws(NameRefusal) -> [UInt8] {
        var index = 0
        while index < rules.rules.count {
            let rule = rules.rules[index]
            index += 1
            guard let expression = rule.expression, applies(rule) else { continue }
            try evaluate(rule)
            guard let match = try firstMatch(expression, rule) else { continue }
            if !rules.isLater && rule.operations.contains(.abort) {
                note(NameStep(line: rule.line, .refused))
                throw refusal(rule, match, withSurroundings: true)
            }
            guard try act(rule, match, exists: exists, note: note) else { continue }
            if rule.operations.contains(.abort) {
                note(NameStep(line: rule.line, .refused))
                throw refusal(rule, match, withSurroundings: false)
            }
            if !rule.operations.isDisjoint(with: [.exit, .exitIfFile]) {
                note(NameStep(line: rule.line, .stopped))
                return current
            }
            if rule.operations.contains(.restart) {
                note(NameStep(line: rule.line, .restarted))
                // tftpd-hpa 5.2 continues after the first rule, because its loop steps on.
                index = rules.isLater ? 0 : 1
            } else if rule.operations.contains(.jump) {
                index = try target(of: rule, match, note: note)
            }
        }
        return current
    }

    private func applies(_ rule: HPARule) -> Bool {
        let operations = rule.operations
        if operations.contains(.onlyIPv4) && !request.client.isIPv4 { return false }
        if operations.contains(.onlyIPv6) && request.client.isIPv4 { return false }
        let isRead = request.direction == .rrq
        // Of both letters 5.2 heeds the last one, and later versions both.
        let directions = rules.isLater ? operations : rule.lastDirection
        if directions.contains(.onlyRead) && !isRead { return false }
        return !(directions.contains(.onlyWrite) && isRead)
    }

    private mutating func evaluate(_ rule: HPARule) throws(NameRefusal) {
        guard evaluationsLeft > 0 else { throw tooManySteps(rule) }
        evaluationsLeft -= 1
    }

    private mutating func countRepetition(_ rule: HPARule) throws(NameRefusal) {
        guard repetitionsLeft > 0 else { throw tooManySteps(rule) }
        repetitionsLeft -= 1
    }

    private func tooManySteps(_ rule: HPARule) -> NameRefusal {
        NameRefusal(.tooManySteps(line: rule.line), message: "Remap table failure")
    }

    /// nil where the rule does not apply. A rule that is inverted has no range that it matched.
    private mutating func firstMatch(
        _ expression: POSIXPattern, _ rule: HPARule
    ) throws(NameRefusal) -> NameMatch? {
        let match = try match(expression, rule, from: 0)
        guard rule.operations.contains(.inverse) else { return match }
        return match == nil ? NameMatch(Array(repeating: -1, count: 20)) : nil
    }

    private mutating func match(
        _ expression: POSIXPattern, _ rule: HPARule, from start: Int
    ) throws(NameRefusal) -> NameMatch? {
        do throws(StepsExhausted) {
            return try expression.match(current, from: start, steps: &steps)
        } catch {
            throw tooManySteps(rule)
        }
    }

    /// Rewrites if the rule does; false if the result does not exist and the rule requires that.
    private mutating func act(
        _ rule: HPARule, _ match: NameMatch, exists: ([UInt8]) -> Bool, note: (NameStep) -> Void
    ) throws(NameRefusal) -> Bool {
        let before = current
        if rule.operations.contains(.rewrite) { try rewrite(rule, match) }
        if rule.operations.contains(.exitIfFile) && !exists(current) {
            current = before
            note(NameStep(line: rule.line, .undone))
            return false
        }
        let isRewriting = rule.operations.contains(.rewrite)
        note(NameStep(line: rule.line, isRewriting ? .rewritten(current) : .matched))
        return true
    }

    private mutating func rewrite(_ rule: HPARule, _ first: NameMatch) throws(NameRefusal) {
        guard let expression = rule.expression else { return }
        var match = first
        while true {
            let replacement = expand(rule.pattern, match)
            let range = match.range
            current.replaceSubrange(range, with: replacement)
            guard current.count <= NameLimits.nameByteCountMax else {
                throw NameRefusal(.tooLong(line: rule.line), message: "Remap table failure")
            }
            guard rule.operations.contains(.global) else { return }
            var start = 0
            if rule.operations.contains(.globalOnce) {
                start = range.lowerBound + replacement.count
                if start >= current.count { return }
            }
            guard let next = try self.match(expression, rule, from: start) else { return }
            if rules.isLater { try evaluate(rule) } else { try countRepetition(rule) }
            match = next
        }
    }

    private func target(
        of rule: HPARule, _ match: NameMatch, note: (NameStep) -> Void
    ) throws(NameRefusal) -> Int {
        let label = expand(rule.pattern, match)
        guard let index = rules.labels[label], !label.isEmpty else {
            throw NameRefusal(.noLabel(line: rule.line), message: "Remap table failure")
        }
        note(NameStep(line: rule.line, .jumped(String(decoding: label, as: UTF8.self))))
        return index
    }

    /// In 5.2 the message stands where the match stood in the name; later versions send it alone.
    private func refusal(
        _ rule: HPARule, _ match: NameMatch, withSurroundings: Bool
    ) -> NameRefusal {
        var message: [UInt8] = []
        if !rule.pattern.isEmpty {
            message = expand(rule.pattern, match)
            if withSurroundings, let range = match[0] {
                message = current[..<range.lowerBound] + message + current[range.upperBound...]
            }
        }
        let text = String(decoding: message.prefix(NameLimits.messageByteCountMax), as: UTF8.self)
        return NameRefusal(.rule(line: rule.line), message: text.isEmpty ? nil : text)
    }

    // MARK: Replacements

    /// A replacement with its escapes: `\0`–`\9`, `\i`, `\x`, `\U`, `\L`, `\E`, and any other byte
    /// for itself.
    private func expand(_ pattern: [UInt8], _ match: NameMatch) -> [UInt8] {
        var result: [UInt8] = []
        var fold: (UInt8) -> UInt8 = { $0 }
        var index = 0
        while index < pattern.count {
            let byte = pattern[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < pattern.count else {
                result.append(fold(byte))
                continue
            }
            let macro = pattern[index]
            index += 1
            switch macro {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                guard let range = match[Int(macro - 0x30)] else { continue }
                result += current[range].map(fold)
            case UInt8(ascii: "U"): fold = \.uppercased
            case UInt8(ascii: "L"): fold = \.lowercased
            case UInt8(ascii: "E"): fold = { $0 }
            case UInt8(ascii: "i"): result += request.client.numericText.utf8.map(fold)
            case UInt8(ascii: "x"): result += NameText.hexadecimal(request.client).utf8.map(fold)
            default: result.append(fold(macro))
            }
        }
        return result
    }
}
