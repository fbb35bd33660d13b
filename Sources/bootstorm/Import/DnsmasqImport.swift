/// The TFTP part of dnsmasq's configuration (dnsmasq(8)) as settings of this server.
struct DnsmasqImport {
    private(set) var result = ImportedConfiguration()
    /// Options of DNS and DHCP, which stay with dnsmasq.
    private var otherCount = 0
    private var isEnabled = false
    private var port = "69"
    private var roots: [String] = []
    private var interfaces: [String] = []

    /// One line of a file, or one flag without its dashes.
    struct Option: Equatable {
        let name: String
        let value: String?

        /// Nil for blank lines and comments.
        init?(line: String) {
            // A comment begins at a number sign with a blank before it, as dnsmasq reads it.
            var text = ""
            for character in line {
                if character == "#", text.last?.isWhitespace ?? true { break }
                text.append(character)
            }
            let parts = text.split(separator: "=", maxSplits: 1).map { part in
                String(part).trimmingBlanks
            }
            guard let name = parts.first, !name.isEmpty else { return nil }
            self.init(name: name, value: parts.count == 2 ? parts[1] : nil)
        }

        init(name: String, value: String?) {
            self.name = name
            self.value = value.map { text in
                text.count >= 2 && text.hasPrefix("\"") && text.hasSuffix("\"")
                    ? String(text.dropFirst().dropLast()) : text
            }
        }
    }

    /// The options of a file, in order.
    static func options(ofFile text: String) -> [Option] {
        text.split(whereSeparator: \.isNewline).compactMap { Option(line: String($0)) }
    }

    /// The options of a command line. Short flags of DNS and DHCP are passed over.
    static func options(ofArguments words: [String]) -> [Option] {
        var options: [Option] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if word.hasPrefix("--") {
                let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1)
                guard let name = parts.first else { continue }
                options.append(
                    Option(name: String(name), value: parts.count == 2 ? String(parts[1]) : nil))
            } else if let name = short[word.prefix(2).last ?? " "], word.hasPrefix("-") {
                let value = word.count > 2 ? String(word.dropFirst(2)) : rest.popFirst()
                options.append(Option(name: name, value: value))
            }
        }
        return options
    }

    private static let short: [Character: String] = [
        "C": "conf-file", "7": "conf-dir", "i": "interface", "a": "listen-address",
        "I": "except-interface", "u": "user", "g": "group",
    ]

    /// What all options come to together.
    static func configuration(of options: [Option]) -> ImportedConfiguration {
        var conversion = DnsmasqImport()
        for option in options { conversion.carry(option) }
        conversion.finish()
        return conversion.result
    }

    private mutating func carry(_ option: Option) {
        let origin = option.value.map { "\(option.name)=\($0)" } ?? option.name
        let value = option.value ?? ""
        switch option.name {
        case "enable-tftp":
            isEnabled = true
            interfaces += value.split(separator: ",").map(String.init)
        case "tftp-root": carryRoot(value, origin)
        case "tftp-no-fail": result.note(origin, "the folder has to exist when the server starts")
        case "tftp-unique-root":
            result.set("unique-root", value.isEmpty ? "ip" : value, from: origin)
        case "tftp-secure":
            result.note(origin, "every world-readable file is served, whichever user owns it")
        case "tftp-lowercase": result.set("any-case", "true", from: origin)
        case "tftp-max":
            result.note(origin, "not needed: a transfer is not a process; see transfers-max")
        case "tftp-mtu":
            // IP, UDP and TFTP have 32 bytes of headers.
            let blksize = Int(value).map { String(max(8, min(65464, $0 - 32))) } ?? value
            result.set("blksize-max", blksize, from: origin)
        case "tftp-no-blocksize": result.refuse("blksize")
        case "tftp-port-range":
            result.set("ports", value.replacing(",", with: "-"), from: origin)
        case "tftp-single-port": result.set("single-port", "true", from: origin)
        case "quiet-tftp": result.set("log-level", "notice", from: origin)
        case "user", "group": result.set(option.name, value, from: origin)
        case "listen-address":
            for address in value.split(separator: ",") {
                let text = address.contains(":") ? "[\(address)]:69" : "\(address):69"
                result.set("listen", text, from: origin)
            }
        case "interface": interfaces += value.split(separator: ",").map(String.init)
        case "except-interface":
            result.note(origin, "set listen to the addresses of the other interfaces")
        case "dhcp-script", "dhcp-luascript":
            result.note(origin, "is not told of transfers; the log and metrics are")
        default: otherCount += 1
        }
    }

    /// `FOLDER[,INTERFACE]`
    private mutating func carryRoot(_ value: String, _ origin: String) {
        let parts = value.split(separator: ",", maxSplits: 1).map(String.init)
        guard let folder = parts.first else { return }
        if parts.count == 2 {
            result.note(
                origin, "give clients of \(parts[1]) this root by a policy with their network")
        } else {
            result.set("root", folder, from: origin)
        }
    }

    private mutating func finish() {
        if !isEnabled {
            result.note("no enable-tftp", "dnsmasq serves no files with this configuration")
        }
        if result.values(of: "root").isEmpty {
            result.note("no tftp-root", "dnsmasq serves names from / then; set root to a folder")
        }
        if result.values(of: "listen").isEmpty, !interfaces.isEmpty {
            result.note(
                "interface \(interfaces.joined(separator: ", "))",
                "set listen to its address, or the server answers on all interfaces")
        }
        if otherCount > 0 {
            result.note(
                "\(otherCount) options of DNS and DHCP",
                "stay with dnsmasq; remove enable-tftp there")
        }
    }
}

extension String {
    /// Without blanks and tabs at either end.
    var trimmingBlanks: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
