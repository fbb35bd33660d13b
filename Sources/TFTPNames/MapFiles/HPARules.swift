internal import TFTPCore
internal import TFTPWire

/// The rules of a map file of tftp-hpa (`in.tftpd --map-file`), run as it runs them.
package struct HPARules: Sendable {
    package let rules: [HPARule]
    /// Whether the file has what 5.2 does not know, and is run as later versions do.
    package let isLater: Bool
    let labels: [[UInt8]: Int]

    /// What 5.2 and later versions allow in evaluated rules (and repetitions, in later ones).
    static let evaluationsMax = (before: 1024, later: 4096)

    /// Reads the text of a map file.
    package init(_ text: [UInt8]) throws(RuleFileError) {
        var rules: [HPARule] = []
        let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            var parser = HPARuleParser(line: index + 1, line)
            guard let rule = try parser.parse() else { continue }
            guard rules.count < NameLimits.rulesMax else {
                throw RuleFileError(line: index + 1, .tooManyRules)
            }
            rules.append(rule)
        }
        try self.init(rules)
    }

    private init(_ rules: [HPARule]) throws(RuleFileError) {
        self.rules = rules
        let later: HPARule.Operations = [.jump, .exitIfFile, .globalOnce]
        isLater = rules.contains { $0.isLabel || !$0.operations.isDisjoint(with: later) }
        var labels: [[UInt8]: Int] = [:]
        for (index, rule) in rules.enumerated() where rule.isLabel && labels[rule.pattern] == nil {
            labels[rule.pattern] = index
        }
        self.labels = labels
        if isLater { for rule in rules { try HPARules.check(rule) } }
    }

    /// Combinations that later versions refuse.
    private static func check(_ rule: HPARule) throws(RuleFileError) {
        let conflicts: [(HPARule.Operations, String, String)] = [
            ([.rewrite, .abort], "r", "a"), ([.rewrite, .jump], "r", "j"),
            ([.abort, .jump], "a", "j"), ([.abort, .restart], "a", "s"),
            ([.exit, .jump], "e", "j"), ([.exit, .abort], "a", "e"),
            ([.exit, .restart], "e", "s"), ([.exit, .exitIfFile], "e", "E"),
            ([.exitIfFile, .jump], "E", "j"), ([.exitIfFile, .abort], "a", "E"),
            ([.exitIfFile, .restart], "E", "s"),
        ]
        for (operations, one, other) in conflicts where rule.operations.isSuperset(of: operations) {
            throw RuleFileError(line: rule.line, .conflict(one, other))
        }
    }

    /// Inputs of the result other than name and direction.
    package var dependencies: NameDependencies {
        var result: NameDependencies = []
        for rule in rules {
            if !rule.operations.isDisjoint(with: [.onlyIPv4, .onlyIPv6]) { result.insert(.client) }
            if rule.operations.contains(.exitIfFile) { result.insert(.files) }
            let usesClient = zip(rule.pattern, rule.pattern.dropFirst()).contains {
                $0 == UInt8(ascii: "\\") && ($1 == UInt8(ascii: "i") || $1 == UInt8(ascii: "x"))
            }
            if usesClient { result.insert(.client) }
        }
        return result
    }
}

// MARK: - Running

extension HPARules {
    /// What a run has come to.
    package enum Result: Equatable, Sendable {
        case name([UInt8])
        case refused(NameRefusal)
    }

    /// Runs the rules for a request.
    ///
    /// - Parameters:
    ///   - exists: whether a file of this name could be transferred; asked for rules with `E` only.
    ///   - note: is told of each rule that has an effect.
    package func run(
        _ request: NameRequest, exists: ([UInt8]) -> Bool, note: (NameStep) -> Void = { _ in }
    ) -> Result {
        var run = HPARun(rules: self, request: request)
        do throws(NameRefusal) {
            return .name(try run.run(exists: exists, note: note))
        } catch {
            return .refused(error)
        }
    }
}

extension NameRefusal: Error {}
