internal import TFTPCore
internal import TFTPWire

/// One key of a rule, as it stands in a file.
package struct RuleField: Equatable, Sendable {
    package var key: String
    /// One value, or those of a list.
    package var values: [String]
    /// Counted from 1.
    package var line: Int

    package init(_ key: String, _ values: [String], line: Int = 1) {
        self.key = key
        self.values = values
        self.line = line
    }
}

extension NameRule {
    /// The keys of a rule.
    package static let keys = [
        "match", "ignore-case", "not", "direction", "mode", "kind", "network", "mac",
        "rewrite", "all", "try", "root", "deny", "code", "template", "then",
    ]

    /// Reads a rule from the keys of a file.
    ///
    /// - Throws: the first thing that is wrong, with its line.
    package init(_ fields: [RuleField], line: Int) throws(RuleFileError) {
        self.init(line: line)
        for field in fields where !NameRule.keys.contains(field.key) {
            throw RuleFileError(line: field.line, .unknownKey(field.key, allowed: NameRule.keys))
        }
        let reader = RuleReader(fields: fields, line: line)
        try readConditions(reader)
        try readAction(reader)
        root = try reader.text("root")
        if let word = try reader.text("then") {
            then = try reader.choice("then", word) {
                Then(rawValue: $0)
            } names: {
                Then.allCases.map(\.rawValue)
            }
        }
        if case .none = action, root == nil, then == .proceed {
            throw RuleFileError(line: line, .missing("rewrite, try, root, deny, template or then"))
        }
    }

    private mutating func readConditions(_ reader: RuleReader) throws(RuleFileError) {
        _ = try reader.flag("ignore-case")
        if let text = try reader.text("match") {
            do throws(PatternError) {
                conditions.match = try NamePattern(
                    text, ignoresCase: reader.flagOrFalse("ignore-case"))
            } catch {
                throw RuleFileError(line: reader.line(of: "match"), .expression(text, error))
            }
        }
        conditions.isInverse = try reader.flag("not")
        if conditions.isInverse && conditions.match == nil {
            throw RuleFileError(line: reader.line(of: "not"), .missing("match"))
        }
        if let word = try reader.text("direction") {
            conditions.direction = try reader.choice("direction", word) {
                ["read": Opcode.rrq, "write": .wrq][$0]
            } names: {
                ["read", "write"]
            }
        }
        if let word = try reader.text("mode") {
            conditions.mode = try reader.choice("mode", word) {
                ["octet": TransferMode.octet, "netascii": .netascii][$0]
            } names: {
                ["octet", "netascii"]
            }
        }
        for word in reader.list("kind") {
            let kind = try reader.choice("kind", word) { name in
                Fingerprint.allCases.first { "\($0)".lowercased() == name.lowercased() }
            } names: {
                Fingerprint.allCases.map { "\($0)" }
            }
            conditions.kinds.insert(kind)
        }
        for word in reader.list("network") {
            conditions.networks.append(
                try reader.choice("network", word) {
                    Network(text: $0)
                } names: {
                    ["ADDRESS/BITS"]
                })
        }
        for word in reader.list("mac") {
            conditions.macs.append(
                try reader.choice("mac", word) {
                    MACPattern(text: $0)
                } names: {
                    ["b8:27:eb:01:02:03", "b8:27:eb:*"]
                })
        }
    }

    private mutating func readAction(_ reader: RuleReader) throws(RuleFileError) {
        let actions = ["rewrite", "try", "deny", "template"].filter { reader.has($0) }
        if actions.count > 1 {
            throw RuleFileError(
                line: reader.line(of: actions[1]), .conflict(actions[0], actions[1]))
        }
        switch actions.first {
        case "rewrite":
            if conditions.isInverse {
                // There is nothing to replace where the expression does not match.
                throw RuleFileError(line: reader.line(of: "rewrite"), .conflict("not", "rewrite"))
            }
            guard conditions.match != nil else {
                throw RuleFileError(line: reader.line(of: "rewrite"), .missing("match"))
            }
            let text = try reader.text("rewrite") ?? ""
            let isEverywhere = try reader.flag("all")
            action = .rewrite(
                try replacement(text, "rewrite", reader), everywhere: isEverywhere)
        case "try":
            let texts = reader.list("try")
            guard (1...NameLimits.candidatesMax).contains(texts.count) else {
                throw RuleFileError(
                    line: reader.line(of: "try"),
                    .invalidValue(
                        key: "try", value: "\(texts.count) names",
                        allowed: "1 to \(NameLimits.candidatesMax)"))
            }
            var replacements: [Replacement] = []
            for text in texts { replacements.append(try replacement(text, "try", reader)) }
            action = .files(replacements)
        case "deny":
            let text = try reader.text("deny") ?? ""
            let message = text.isEmpty ? nil : try replacement(text, "deny", reader)
            action = .deny(code: try code(reader), message: message)
        case "template":
            action = .template(
                try replacement(try reader.text("template") ?? "", "template", reader))
        default: break
        }
        if reader.has("all") && actions.first != "rewrite" {
            throw RuleFileError(line: reader.line(of: "all"), .missing("rewrite"))
        }
        if reader.has("code") && actions.first != "deny" {
            throw RuleFileError(line: reader.line(of: "code"), .missing("deny"))
        }
    }

    private func replacement(
        _ text: String, _ key: String, _ reader: RuleReader
    ) throws(RuleFileError) -> Replacement {
        do throws(ReplacementError) {
            return try Replacement(
                text, groupCount: conditions.match?.groupCount ?? 0,
                groupNames: conditions.match?.groupNames ?? [:])
        } catch {
            throw RuleFileError(line: reader.line(of: key), .invalidReplacement(error.text))
        }
    }

    /// 2, access violation, unless the rule says another one.
    private func code(_ reader: RuleReader) throws(RuleFileError) -> ErrorCode {
        guard let word = try reader.text("code") else { return .accessViolation }
        return try reader.choice("code", word) { text in
            UInt16(text).flatMap { (0...8).contains($0) ? ErrorCode(rawValue: $0) : nil }
        } names: {
            ["0 to 8"]
        }
    }
}

/// Finds values by key.
private struct RuleReader {
    let fields: [RuleField]
    let line: Int

    func has(_ key: String) -> Bool { fields.contains { $0.key == key } }

    func line(of key: String) -> Int { fields.first { $0.key == key }?.line ?? line }

    func list(_ key: String) -> [String] { fields.first { $0.key == key }?.values ?? [] }

    func text(_ key: String) throws(RuleFileError) -> String? {
        guard let field = fields.first(where: { $0.key == key }) else { return nil }
        guard field.values.count == 1 else {
            throw RuleFileError(
                line: field.line,
                .invalidValue(key: key, value: "a list", allowed: "one value"))
        }
        return field.values[0]
    }

    func flag(_ key: String) throws(RuleFileError) -> Bool {
        guard let word = try text(key) else { return false }
        return try choice(key, word) {
            ["true": true, "false": false, "yes": true, "no": false][$0]
        } names: {
            ["true", "false"]
        }
    }

    /// The same where another kind of error is thrown.
    func flagOrFalse(_ key: String) -> Bool { (try? flag(key)) ?? false }

    func choice<Value>(
        _ key: String, _ word: String, _ read: (String) -> Value?, names: () -> [String]
    ) throws(RuleFileError) -> Value {
        guard let value = read(word) else {
            throw RuleFileError(
                line: line(of: key),
                .invalidValue(key: key, value: word, allowed: names().joined(separator: ", ")))
        }
        return value
    }
}
