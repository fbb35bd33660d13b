/// How a service manager starts a server: a line of inetd.conf, a file of xinetd.d, or a systemd
/// unit.
struct ServiceStart {
    let user: String?
    /// Without the program's own name.
    let arguments: [String]

    /// Nil where the text is none of these.
    init?(in text: String) {
        let lines = text.split(whereSeparator: \.isNewline).map { String($0).trimmingBlanks }
        if let line = lines.lazy.compactMap(ServiceStart.inetd).first {
            self = line
        } else if let arguments = ServiceStart.value(of: "server_args", in: lines) {
            self.init(
                user: ServiceStart.value(of: "user", in: lines),
                arguments: ShellWords.split(arguments))
        } else if let command = ServiceStart.value(of: "ExecStart", in: lines) {
            self.init(
                user: ServiceStart.value(of: "User", in: lines),
                arguments: Array(ShellWords.split(command).dropFirst()))
        } else {
            return nil
        }
    }

    private init(user: String?, arguments: [String]) {
        self.user = user
        self.arguments = arguments
    }

    /// Service, socket type, protocol, wait, user, program, its name and arguments.
    private static func inetd(_ line: String) -> ServiceStart? {
        let words = ShellWords.split(line)
        guard words.count >= 6, words[0] == "tftp" || words[0].hasSuffix(":tftp") else {
            return nil
        }
        let user = String(words[4].prefix { $0 != "." && $0 != ":" })
        return ServiceStart(user: user, arguments: Array(words.dropFirst(7)))
    }

    /// The last line `NAME = VALUE`.
    private static func value(of name: String, in lines: [String]) -> String? {
        lines.last {
            $0.hasPrefix(name) && $0.dropFirst(name.count).drop { $0 == " " }.hasPrefix("=")
        }
        .flatMap { line in
            line.split(separator: "=", maxSplits: 1).dropFirst().first.map {
                String($0).trimmingBlanks
            }
        }
    }
}
