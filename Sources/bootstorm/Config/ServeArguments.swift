/// The arguments of `serve` with what the environment and the file add: flags win over the
/// environment, and the environment over the file.
struct ServeArguments: Equatable, Sendable {
    /// What the user gave, without the name of the program and the subcommand.
    let given: [String]
    /// Flags of the user, without dashes; "root" for the folder.
    private let givenKeys: Set<String>
    /// The value of `--config`.
    let config: String?

    init(_ given: [String]) {
        self.given = given
        var keys: Set<String> = []
        var config: String?
        var index = 0
        while index < given.count {
            defer { index += 1 }
            let word = given[index]
            if word == "--" {
                if index + 1 < given.count { keys.insert("root") }
                break
            }
            guard word.hasPrefix("--") else {
                if !word.hasPrefix("-") { keys.insert("root") }
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1)
            let key = String(parts.first ?? "")
            keys.insert(key)
            let takesValue = parts.count == 1 && Self.takesValue(key)
            if takesValue { index += 1 }
            if key == "config" {
                config = parts.count == 2 ? String(parts[1]) : given[safely: index]
            }
        }
        (givenKeys, self.config) = (keys, config)
    }

    /// All arguments, those of `settings` first.
    func expanded(with settings: LayeredSettings) -> [String] {
        settings.values.flatMap { arguments(for: $0) } + given
    }

    /// Keys that mean something else from `old` to `new`, in the order of the table. What the user
    /// gave as a flag does not change.
    func changedKeys(from old: LayeredSettings, to new: LayeredSettings) -> [String] {
        Setting.all.map(\.key).filter { key in
            !givenKeys.contains(key) && old.texts(of: key) != new.texts(of: key)
        }
    }

    private func arguments(for value: LayeredSettings.Value) -> [String] {
        guard !givenKeys.contains(value.key), let setting = Setting.named(value.key) else {
            return []
        }
        if case .flag = setting.kind { return value.texts == ["true"] ? ["--\(value.key)"] : [] }
        if value.key == "root" { return value.texts }
        return value.texts.map { "--\(value.key)=\($0)" }
    }

    private static func takesValue(_ key: String) -> Bool {
        if key == "config" { return true }
        guard let setting = Setting.named(key) else { return false }
        if case .flag = setting.kind { return false }
        return true
    }
}

extension Array {
    fileprivate subscript(safely index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}
