/// The variables of the environment that set something: `BOOTSTORM_` and the name of a flag.
struct ConfigurationEnvironment: Sendable {
    /// By key; several values of one variable are separated by commas.
    let values: [String: String]
    /// Variables of that prefix that set nothing, sorted: a name that is spelled wrong, or another
    /// program's.
    let unknown: [String]

    /// - Throws: all values that are not allowed.
    init(_ environment: [String: String]) throws(ConfigurationErrors) {
        var (values, unknown, errors) = ([String: String](), [String](), [ConfigurationError]())
        let byVariable = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.variable, $0) })
        for (name, text) in environment.sorted(by: { $0.key < $1.key })
        where name.hasPrefix(Setting.variablePrefix) && name != Self.fileVariable {
            guard let setting = byVariable[name] else {
                unknown.append(name)
                continue
            }
            for value in Self.values(of: setting, text) {
                guard let problem = setting.problem(with: value) else { continue }
                errors.append(ConfigurationError(source: .variable(name), message: problem))
            }
            values[setting.key] = text
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        (self.values, self.unknown) = (values, unknown)
    }

    /// Names the configuration file, as `--config` does.
    static let fileVariable = Setting.variablePrefix + "CONFIG"

    private static func values(of setting: Setting, _ text: String) -> [String] {
        guard setting.isRepeatable else { return [text] }
        return text.split(separator: ",", omittingEmptySubsequences: false)
            .map { String($0).trimmed }
    }
}

extension String {
    /// Without blanks at either end.
    var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
