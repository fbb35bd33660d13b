/// How a service manager starts a server: a line of inetd.conf, a file of xinetd.d, or a systemd
/// unit.
struct ServiceStart {
    /// A setting that the service manager's file comes to.
    struct Setting {
        let key: String
        let value: String
        let origin: String
        let line: Int
    }

    /// A line that no setting comes from.
    struct Note {
        let line: Int
        let text: String
    }

    /// Without the program's own name.
    var arguments: [String] = []
    /// Where the arguments stand.
    var line = 1
    var settings: [Setting] = []
    var notes: [Note] = []

    /// Nil where the text is none of these.
    init?(in text: String) {
        let lines = SourceLine.all(in: text)
        if let line = lines.lazy.compactMap(ServiceStart.inetd).first {
            self = line
        } else if let service = XinetdService(lines) {
            self = service.start
        } else if let unit = ServiceStart.unit(SourceLine.joined(in: text)) {
            self = unit
        } else {
            return nil
        }
    }

    init() {}

    mutating func note(_ line: Int, _ text: String) { notes.append(Note(line: line, text: text)) }

    mutating func set(_ key: String, _ value: String, from origin: String, _ line: Int) {
        settings.append(Setting(key: key, value: value, origin: origin, line: line))
    }

    /// The user that starts the server. It need not be named where it is root: the server is
    /// started as root then.
    mutating func setUser(_ user: String, from origin: String, _ line: Int) {
        if user != "root", !user.isEmpty { set("user", user, from: origin, line) }
    }

    /// Adds what the service manager's file says to what the arguments come to. The server's own
    /// flags win for the user.
    func apply(to result: inout ImportedConfiguration, path: String?) {
        for setting in settings {
            if setting.key == "user", !result.values(of: "user").isEmpty { continue }
            result.place = SourceLine.place(path, setting.line)
            if setting.key == "listen" {
                result.replace("listen", setting.value, from: setting.origin)
            } else {
                result.set(setting.key, setting.value, from: setting.origin)
            }
        }
        for note in notes {
            result.place = SourceLine.place(path, note.line)
            result.note(note.text)
        }
        result.place = nil
    }

    // MARK: inetd

    /// Service, socket type, protocol, wait, user, program, its name and arguments.
    private static func inetd(_ line: SourceLine) -> ServiceStart? {
        let words = ShellWords.split(line.text)
        guard words.count >= 6, words[0] == "tftp" || words[0].hasSuffix(":tftp") else {
            return nil
        }
        var start = ServiceStart()
        start.line = line.number
        start.arguments = Array(words.dropFirst(7))
        let owner = words[4].split(maxSplits: 1) { $0 == "." || $0 == ":" }.map(String.init)
        start.setUser(owner.first ?? "", from: "the user that starts it", line.number)
        if owner.count == 2 { start.set("group", owner[1], from: words[4], line.number) }
        if words[0] != "tftp" {
            let host = String(words[0].dropLast(":tftp".count))
            let text = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
            start.set("listen", "\(text == "*" ? "" : text):69", from: words[0], line.number)
        }
        if words[5].hasSuffix("/tcpd") {
            start.note(
                line.number,
                "\(words[5]): hosts.allow and hosts.deny are not read; see allow-read and allow-write"
            )
        }
        return start
    }

    // MARK: systemd

    /// Keys of a unit that the server's own unit decides.
    private static let ownKeys = [
        "Type", "Restart", "RestartSec", "StandardInput", "StandardOutput", "StandardError",
        "ExecReload", "ExecStop", "PIDFile", "KillMode",
    ]

    private static func unit(_ lines: [SourceLine]) -> ServiceStart? {
        var start = ServiceStart()
        var (section, isFound) = ("", false)
        for line in lines {
            let text = line.text.trimmingBlanks
            if text.isEmpty || text.hasPrefix("#") || text.hasPrefix(";") { continue }
            if text.hasPrefix("[") {
                section = text
                continue
            }
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard section == "[Service]", parts.count == 2 else { continue }
            let (key, value) = (String(parts[0]).trimmingBlanks, String(parts[1]).trimmingBlanks)
            switch key {
            case "ExecStart" where !value.isEmpty:
                isFound = true
                start.setCommand(value, line.number)
            case "ExecStart": start.arguments = []
            case "User": start.setUser(value, from: "User=\(value)", line.number)
            case "Group": start.set("group", value, from: "Group=\(value)", line.number)
            case _ where ownKeys.contains(key): break
            default: start.note(line.number, "\(key)=\(value): is not taken over")
            }
        }
        return isFound ? start : nil
    }

    private mutating func setCommand(_ command: String, _ number: Int) {
        line = number
        arguments = []
        for word in ShellWords.split(command).dropFirst() {
            guard word.hasPrefix("$") else {
                arguments.append(word)
                continue
            }
            note(number, "\(word): is a variable; import the file that sets it")
        }
    }
}
