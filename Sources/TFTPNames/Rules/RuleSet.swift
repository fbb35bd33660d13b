internal import TFTPWire

/// Ordered rules for names.
///
/// Every rule whose conditions hold acts, first to last, on what the ones before have made of the
/// name, until one stops, refuses or names the files.
package struct RuleSet: Sendable {
    package let rules: [NameRule]
    /// The folders that rules redirect to, each once, in order of appearance.
    package let roots: [String]
    /// Inputs of decisions other than name, direction and mode.
    package let dependencies: NameDependencies

    /// - Throws: when there are more rules than `NameLimits.rulesMax`.
    package init(_ rules: [NameRule]) throws(RuleFileError) {
        if rules.count > NameLimits.rulesMax {
            throw RuleFileError(line: rules[NameLimits.rulesMax].line, .tooManyRules)
        }
        self.rules = rules
        var roots: [String] = []
        var dependencies: NameDependencies = []
        for rule in rules {
            if let root = rule.root, !roots.contains(root) { roots.append(root) }
            dependencies.formUnion(rule.dependencies)
        }
        self.roots = roots
        self.dependencies = dependencies
    }

    /// Reads rules from the keys of a file: a list of rules, each a list of keys.
    package init(_ list: [(fields: [RuleField], line: Int)]) throws(RuleFileError) {
        var rules: [NameRule] = []
        for rule in list { rules.append(try NameRule(rule.fields, line: rule.line)) }
        try self.init(rules)
    }

    /// What rules come to.
    package enum Result: Equatable, Sendable {
        /// Names to look for, in order; in the folder `root`, or in the usual ones.
        case files([[UInt8]], root: String?)
        case template([UInt8], variables: [String: String])
        case refused(NameRefusal)
    }
}

// MARK: - Running

extension RuleSet {
    /// Runs the rules. `request.name` is in the one spelling of `FileName`.
    ///
    /// - Parameter note: is told of each rule that has an effect.
    package func run(_ request: NameRequest, note: (NameStep) -> Void = { _ in }) -> Result {
        var run = RuleRun(request: request)
        do throws(NameRefusal) {
            return try run.run(rules, note: note)
        } catch {
            return .refused(error)
        }
    }
}

extension NameRequest {
    /// The variables of the client by name, as far as they are known.
    package var variables: [String: String] {
        let all: [(String, NameVariable)] = [
            ("ip", .ip), ("ip-hex", .ipHexadecimal), ("mac", .mac), ("mac-colons", .macColons),
            ("mac-hyphens", .macHyphens), ("server", .server), ("host", .host),
            ("serial", .serial), ("kind", .kind),
        ]
        var values = hostFields
        for (name, variable) in all { values[name] = variable.value(for: self) }
        return values
    }
}
