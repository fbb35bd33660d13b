internal import TFTPServer

/// What another server's configuration comes to: settings of this one, and what could not be
/// carried over.
struct ImportedConfiguration: Equatable, Sendable {
    private(set) var settings: [Entry] = []
    /// Options that are never granted, for the one policy that matches every client.
    private(set) var refusedOptions: [String] = []
    /// One line each: what was not carried over, and what to do instead.
    private(set) var notes: [Note] = []
    /// The file and line that the next settings and notes come from; nil for a command line.
    var place: String?

    /// What was not carried over.
    struct Note: Equatable, Sendable, CustomStringConvertible {
        let place: String?
        let text: String

        var description: String { place.map { "\($0): \(text)" } ?? text }
    }

    /// A setting with the flags that it comes from.
    struct Entry: Equatable, Sendable {
        let key: String
        var values: [String]
        let origin: String
        var place: String?
    }

    init() {}

    /// The last value of a setting counts, unless it may be given several times.
    mutating func set(_ key: String, _ value: String, from origin: String) {
        guard let setting = Setting.named(key) else {
            return note(origin, "\(key) cannot be set in this version")
        }
        if let problem = setting.problem(with: value) {
            return note(origin, "\(key): \(problem)")
        }
        if let index = settings.firstIndex(where: { $0.key == key }) {
            if setting.isRepeatable {
                if !settings[index].values.contains(value) {
                    settings[index].values.append(value)
                }
            } else {
                replace(index, value, from: origin)
            }
        } else {
            settings.append(Entry(key: key, values: [value], origin: origin, place: place))
        }
    }

    /// Sets `key` to this value alone, whatever was set before.
    mutating func replace(_ key: String, _ value: String, from origin: String) {
        guard let index = settings.firstIndex(where: { $0.key == key }),
            Setting.named(key)?.problem(with: value) == nil
        else { return set(key, value, from: origin) }
        replace(index, value, from: origin)
    }

    private mutating func replace(_ index: Int, _ value: String, from origin: String) {
        let old = settings[index]
        if old.values != [value] {
            notes.append(
                Note(place: old.place, text: "\(old.origin): \(origin) takes its place"))
        }
        settings[index] = Entry(key: old.key, values: [value], origin: origin, place: place)
    }

    func values(of key: String) -> [String] { settings.first { $0.key == key }?.values ?? [] }

    /// An option that is never granted. One that no client is ever granted needs no policy.
    mutating func refuse(_ option: String) {
        guard TFTPServer.TransferOption(rawValue: option) != nil else {
            return note("refused \(option)", "is never granted")
        }
        if !refusedOptions.contains(option) { refusedOptions.append(option) }
    }

    mutating func note(_ origin: String, _ text: String) { note("\(origin): \(text)") }

    mutating func note(_ text: String) { notes.append(Note(place: place, text: text)) }

    /// The configuration file.
    func yaml(of source: String) -> String {
        var lines = ["# Made by bootstorm import from \(source)."]
        for entry in settings {
            lines.append("")
            if !entry.origin.isEmpty { lines.append("# \(entry.origin)") }
            if Setting.named(entry.key)?.isRepeatable == true {
                lines.append("\(entry.key):")
                lines += entry.values.map { "  - \(YAMLText.quoted($0))" }
            } else {
                lines.append("\(entry.key): \(YAMLText.quoted(entry.values[0]))")
            }
        }
        if !refusedOptions.isEmpty {
            lines += ["", "policies:", "  - refuse: [\(refusedOptions.joined(separator: ", "))]"]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
