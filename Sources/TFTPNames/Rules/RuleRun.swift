internal import TFTPCore
internal import TFTPWire

/// One run of rules.
struct RuleRun {
    let request: NameRequest
    private var name: [UInt8]
    private var root: String?
    private var steps = NameLimits.stepsMax
    private var restarts = 0

    init(request: NameRequest) {
        self.request = request
        name = request.name
    }
}

extension RuleRun {
    mutating func run(
        _ rules: [NameRule], note: (NameStep) -> Void
    ) throws(NameRefusal) -> RuleSet.Result {
        var index = 0
        while index < rules.count {
            // In place: a copy of a rule costs more than to find out that it does not apply.
            let isForOthers = rules[index].isForSome && !holds(rules[index].conditions)
            if isForOthers || rules[index].isRuledOut(name, steps: &steps) {
                index += 1
                continue
            }
            let rule = rules[index]
            index += 1
            guard let match = try match(rule) else { continue }
            switch try act(rule, match.found, note: note) {
            case .nothing: continue
            case .ended(let result): return result
            case .acted: break
            }
            switch rule.then {
            case .proceed: break
            case .stop:
                note(NameStep(line: rule.line, .stopped))
                return .files([name], root: root)
            case .restart:
                note(NameStep(line: rule.line, .restarted))
                restarts += 1
                guard restarts <= NameLimits.restartsMax else {
                    throw NameRefusal(.tooManySteps(line: rule.line))
                }
                index = 0
            }
        }
        return .files([name], root: root)
    }

    private func holds(_ conditions: NameRule.Conditions) -> Bool {
        if let direction = conditions.direction, direction != request.direction { return false }
        if let mode = conditions.mode, mode != request.mode { return false }
        if !conditions.kinds.isEmpty && !conditions.kinds.contains(request.kind) { return false }
        if !conditions.networks.isEmpty,
            !conditions.networks.contains(where: { $0.contains(request.client) })
        {
            return false
        }
        guard !conditions.macs.isEmpty else { return true }
        guard let mac = request.mac else { return false }
        return conditions.macs.contains { $0.contains(mac) }
    }

    private struct Match {
        var found: NameMatch?
    }

    /// What a rule has done.
    private enum Effect {
        case acted
        /// A variable is not known for this client, so the rule did not act.
        case nothing
        case ended(RuleSet.Result)
    }

    /// nil where the expression does not hold; a match without ranges where there is no expression,
    /// or it is inverted.
    private mutating func match(_ rule: NameRule) throws(NameRefusal) -> Match? {
        guard let pattern = rule.conditions.match else { return Match() }
        let found = try find(pattern, rule, from: 0)
        if rule.conditions.isInverse { return found == nil ? Match() : nil }
        return found.map { Match(found: $0) }
    }

    private mutating func find(
        _ pattern: NamePattern, _ rule: NameRule, from start: Int
    ) throws(NameRefusal) -> NameMatch? {
        do throws(StepsExhausted) {
            return try pattern.match(name, from: start, steps: &steps)
        } catch {
            throw NameRefusal(.tooManySteps(line: rule.line))
        }
    }

    /// Does what the rule does.
    private mutating func act(
        _ rule: NameRule, _ match: NameMatch?, note: (NameStep) -> Void
    ) throws(NameRefusal) -> Effect {
        let before = name
        switch rule.action {
        case .none: note(NameStep(line: rule.line, .matched))
        case .rewrite(let replacement, let everywhere):
            guard let match, try rewrite(rule, replacement, match, everywhere: everywhere) else {
                return .nothing
            }
            note(NameStep(line: rule.line, .rewritten(name)))
        case .files(let replacements):
            let names = replacements.compactMap { $0.expanded(before, match, request) }
            guard !names.isEmpty else { return .nothing }
            setRoot(rule, note: note)
            for name in names { note(NameStep(line: rule.line, .rewritten(name))) }
            return .ended(.files(names, root: root))
        case .deny(let code, let message):
            note(NameStep(line: rule.line, .refused))
            let text = message.flatMap { $0.expanded(before, match, request) }
                .map { String(decoding: $0.prefix(NameLimits.messageByteCountMax), as: UTF8.self) }
            throw NameRefusal(.rule(line: rule.line), code: code, message: text)
        case .template(let replacement):
            guard let path = replacement.expanded(before, match, request) else { return .nothing }
            guard RuleRun.isTemplatePath(path, of: replacement) else {
                throw NameRefusal(.rule(line: rule.line))
            }
            note(NameStep(line: rule.line, .template(String(decoding: path, as: UTF8.self))))
            return .ended(.template(path, variables: variables(rule, match)))
        }
        setRoot(rule, note: note)
        return .acted
    }

    private mutating func setRoot(_ rule: NameRule, note: (NameStep) -> Void) {
        guard let root = rule.root else { return }
        self.root = root
        note(NameStep(line: rule.line, .root(root)))
    }

    /// False when a variable is not known: the rule does nothing then.
    private mutating func rewrite(
        _ rule: NameRule, _ replacement: Replacement, _ first: NameMatch, everywhere: Bool
    ) throws(NameRefusal) -> Bool {
        var match = first
        while true {
            guard let text = replacement.expanded(name, match, request) else { return false }
            let range = match.range
            name.replaceSubrange(range, with: text)
            guard name.count <= NameLimits.nameByteCountMax else {
                throw NameRefusal(.tooLong(line: rule.line))
            }
            // An empty match continues one byte further, or it would be found again.
            let next = range.lowerBound + text.count + (range.isEmpty ? 1 : 0)
            guard everywhere, next <= name.count, let pattern = rule.conditions.match,
                let found = try find(pattern, rule, from: next)
            else { return true }
            match = found
        }
    }

    /// A client's name can fill in a part of a path, and must not lead out of its folder.
    private static func isTemplatePath(_ path: [UInt8], of replacement: Replacement) -> Bool {
        let components = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if components.contains(where: { $0.elementsEqual("..".utf8) }) { return false }
        if case .text? = replacement.parts.first { return true }
        return path.first != UInt8(ascii: "/")
    }

    /// What a template can use: the client's variables, and the groups of the expression.
    private func variables(_ rule: NameRule, _ match: NameMatch?) -> [String: String] {
        var values = request.variables
        values["name"] = String(decoding: request.name, as: UTF8.self)
        guard let match, let pattern = rule.conditions.match else { return values }
        for number in 0...pattern.groupCount {
            guard let range = match[number] else { continue }
            values["group\(number)"] = String(decoding: name[range], as: UTF8.self)
        }
        for (group, number) in pattern.groupNames {
            guard let range = match[number] else { continue }
            values[group] = String(decoding: name[range], as: UTF8.self)
        }
        return values
    }
}
