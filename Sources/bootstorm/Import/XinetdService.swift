/// The service tftp of a file for xinetd, with the defaults of the same file.
struct XinetdService {
    private(set) var start = ServiceStart()
    private var address = ""
    private var family = ""
    private var port = "69"
    /// Where `bind`, `port` or the family stands, and what it says.
    private var listen: (origin: String, line: Int)?

    /// `NAME OPERATOR VALUE`.
    private struct Attribute {
        let name: String
        let isAdded: Bool
        let value: String
        let line: Int

        var origin: String { "\(name) = \(value)" }

        init?(_ line: SourceLine) {
            let parts = line.text.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            var name = String(parts[0]).trimmingBlanks
            isAdded = name.hasSuffix("+")
            if name.hasSuffix("+") || name.hasSuffix("-") { name.removeLast() }
            self.name = name.trimmingBlanks
            value = String(parts[1]).trimmingBlanks
            self.line = line.number
        }
    }

    /// Attributes that say what any TFTP server is.
    private static let plain = ["socket_type", "protocol", "wait", "server", "type", "id"]

    /// Nil where the text has no such service.
    init?(_ lines: [SourceLine]) {
        var isMeant = false
        var isFound = false
        for line in lines {
            let text = line.text.trimmingBlanks
            if text.isEmpty || text.hasPrefix("#") || text == "{" { continue }
            let words = text.split { $0.isWhitespace || $0 == "{" }.map(String.init)
            if text == "}" {
                isMeant = false
            } else if words.first == "service" {
                isMeant = words.last == "tftp"
                isFound = isFound || isMeant
            } else if words == ["defaults"] {
                isMeant = true
            } else if isMeant {
                guard let attribute = Attribute(line) else {
                    start.note(line.number, "\(text): is not taken over")
                    continue
                }
                carry(attribute)
            }
        }
        guard isFound else { return nil }
        finish()
    }

    private mutating func carry(_ attribute: Attribute) {
        let (value, line) = (attribute.value, attribute.line)
        switch attribute.name {
        case "server_args":
            let words = ShellWords.split(value)
            start.arguments = attribute.isAdded ? start.arguments + words : words
            start.line = line
        case "user": start.setUser(value, from: "the user that starts it", line)
        case "group": start.set("group", value, from: attribute.origin, line)
        case "only_from": setAccess(["allow-read", "allow-write"], attribute)
        case "no_access": setAccess(["deny-read", "deny-write"], attribute)
        case "bind", "interface":
            address = value.contains(":") ? "[\(value)]" : value
            listen = (attribute.origin, line)
        case "port":
            port = value
            listen = (attribute.origin, line)
        case "flags": setFlags(attribute)
        case "disable" where value == "yes":
            start.note(line, "disable = yes: xinetd does not start this server")
        case "disable": break
        case _ where XinetdService.plain.contains(attribute.name): break
        default: start.note(line, "\(attribute.origin): is not taken over")
        }
    }

    private mutating func setFlags(_ attribute: Attribute) {
        for flag in attribute.value.split(whereSeparator: \.isWhitespace) {
            switch flag {
            case "IPv4", "IPv6":
                family = flag == "IPv4" ? "0.0.0.0" : "[::]"
                listen = listen ?? (attribute.origin, attribute.line)
            default: start.note(attribute.line, "flags = \(flag): is not taken over")
            }
        }
    }

    // MARK: Access

    private mutating func setAccess(_ keys: [String], _ attribute: Attribute) {
        let words = attribute.value.split(whereSeparator: \.isWhitespace).map(String.init)
        if words.isEmpty, keys[0] == "allow-read" {
            start.note(
                attribute.line,
                "\(attribute.name) without a network: xinetd refuses every client; set \(keys[0])")
        }
        for word in words {
            for key in keys {
                start.set(
                    key, XinetdService.network(word), from: attribute.origin, attribute.line)
            }
        }
    }

    /// xinetd takes the zeros at the end of an address for those of its network.
    private static func network(_ word: String) -> String {
        guard !word.contains("/"), !word.contains(":") else { return word }
        if word == "0.0.0.0" { return "all" }
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        let zeros = parts.reversed().prefix { $0 == "0" }.count
        return parts.count == 4 && zeros > 0 ? "\(word)/\(32 - 8 * zeros)" : word
    }

    private mutating func finish() {
        if let listen {
            start.set(
                "listen", "\(address.isEmpty ? family : address):\(port)", from: listen.origin,
                listen.line)
        }
        let denied = start.settings.first { $0.key == "deny-read" }
        if let denied, start.settings.contains(where: { $0.key == "allow-read" }) {
            start.note(
                denied.line,
                "no_access and only_from: no_access wins for every client that both name")
        }
    }
}
