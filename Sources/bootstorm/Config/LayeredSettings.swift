internal import Configuration

/// What the environment and the file set together: the environment wins.
///
/// swift-configuration reads both and decides between them. Its own YAML provider knows neither
/// lines nor lists of mappings nor which keys exist, so the file is read by `ConfigurationFile` and
/// handed over as values.
struct LayeredSettings: Sendable {
    /// In the order of `Setting.all`.
    let values: [Value]

    /// One setting that is set.
    struct Value: Equatable, Sendable {
        let key: String
        /// As flags take them; of a flag "true" or "false".
        let texts: [String]
        let source: ConfigurationError.Source
    }

    init(environment: ConfigurationEnvironment, file: ConfigurationFile?) {
        let variables = Dictionary(
            uniqueKeysWithValues: environment.values.map { key, text in
                (Setting.named(key)?.variable ?? key, text)
            })
        let reader = ConfigReader(providers: [
            EnvironmentVariablesProvider(environmentVariables: variables)
                .prefixKeys(with: "bootstorm"),
            InMemoryProvider(name: file?.path, values: Self.values(of: file)),
        ])
        values = Setting.all.compactMap { setting in
            guard let texts = Self.texts(of: setting, reader) else { return nil }
            let source: ConfigurationError.Source? =
                environment.values[setting.key] != nil
                ? .variable(setting.variable) : file?.source(of: setting.key)
            return source.map { Value(key: setting.key, texts: texts, source: $0) }
        }
    }

    /// Nil where the setting is not set.
    func texts(of key: String) -> [String]? { values.first { $0.key == key }?.texts }

    func source(of key: String) -> ConfigurationError.Source? {
        values.first { $0.key == key }?.source
    }

    private static func texts(of setting: Setting, _ reader: ConfigReader) -> [String]? {
        let key = ConfigKey([setting.key])
        switch setting.kind {
        case .flag: return reader.bool(forKey: key).map { ["\($0)"] }
        case _ where setting.isRepeatable: return reader.stringArray(forKey: key)
        default: return reader.string(forKey: key).map { [$0] }
        }
    }

    private static func values(of file: ConfigurationFile?) -> [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for entry in file?.entries ?? [] {
            guard let setting = Setting.named(entry.key) else { continue }
            let content: ConfigContent
            switch setting.kind {
            case .flag: content = .bool(Setting.boolean(entry.values[0]) ?? false)
            case _ where setting.isRepeatable: content = .stringArray(entry.values)
            default: content = .string(entry.values[0])
            }
            values[AbsoluteConfigKey([entry.key])] = ConfigValue(content, isSecret: false)
        }
        return values
    }
}
