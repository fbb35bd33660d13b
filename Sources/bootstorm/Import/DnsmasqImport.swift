/// The TFTP part of dnsmasq's configuration (dnsmasq(8)) as settings of this server.
struct DnsmasqImport {
    private(set) var result = ImportedConfiguration()
    /// Options of DNS and DHCP, which stay with dnsmasq.
    private var otherCount = 0
    private var isEnabled = false
    /// Interfaces that it answers on, with the options that name them.
    private var interfaces: [(name: String, origin: String, place: String?)] = []

    /// One line of a file, or one flag without its dashes.
    struct Option: Equatable {
        let name: String
        let value: String?
        /// The file and line that it stands in; nil for a command line.
        let place: String?

        /// Nil for blank lines and comments.
        init?(line: String, place: String? = nil) {
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
            self.init(name: name, value: parts.count == 2 ? parts[1] : nil, place: place)
        }

        init(name: String, value: String?, place: String? = nil) {
            self.name = name
            self.place = place
            self.value = value.map { text in
                text.count >= 2 && text.hasPrefix("\"") && text.hasSuffix("\"")
                    ? String(text.dropFirst().dropLast()) : text
            }
        }
    }

    /// The options of a file, in order.
    ///
    /// - Parameter path: what messages call the file.
    static func options(ofFile text: String, path: String? = nil) -> [Option] {
        SourceLine.all(in: text).compactMap { line in
            Option(line: line.text, place: SourceLine.place(path, line.number))
        }
    }

    /// The options of a command line. Short flags of DNS and DHCP are passed over.
    static func options(ofArguments words: [String]) -> [Option] {
        var options: [Option] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if word.hasPrefix("--") {
                let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
                guard let name = parts.first else { continue }
                var value = parts.count == 2 ? parts[1] : nil
                // Whether another flag takes a value behind a blank, its name does not tell.
                let isValue = rest.first.map { $0 == "-" || !$0.hasPrefix("-") } ?? false
                if value == nil, isValue || valued.contains(name) { value = rest.popFirst() }
                options.append(Option(name: name, value: value))
            } else if let name = short[word.prefix(2).last ?? " "], word.hasPrefix("-") {
                let value = word.count > 2 ? String(word.dropFirst(2)) : rest.popFirst()
                options.append(Option(name: name, value: value))
            }
        }
        return options
    }

    /// Options that take a value always, with an equals sign or behind a blank.
    private static let valued = [
        "tftp-root", "tftp-max", "tftp-mtu", "tftp-port-range", "listen-address", "interface",
        "except-interface", "conf-dir", "dhcp-script", "dhcp-luascript",
    ]

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
        result.place = option.place
        switch option.name {
        case "enable-tftp":
            isEnabled = true
            addInterfaces(value, origin)
        case "tftp-root": carryRoot(value, origin)
        case "tftp-no-fail": result.note(origin, "the folder has to exist when the server starts")
        case "tftp-unique-root": carryUniqueRoot(value, origin)
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
            result.set("ports", DnsmasqImport.list(value).joined(separator: "-"), from: origin)
        case "tftp-single-port": result.set("single-port", "true", from: origin)
        case "quiet-tftp": result.set("log-level", "notice", from: origin)
        case "user", "group": result.set(option.name, value, from: origin)
        case "listen-address":
            for address in DnsmasqImport.list(value) {
                let text = address.contains(":") ? "[\(address)]:69" : "\(address):69"
                result.set("listen", text, from: origin)
            }
        case "interface": addInterfaces(value, origin)
        case "except-interface":
            result.note(origin, "set listen to the addresses of the other interfaces")
        case "dhcp-script", "dhcp-luascript":
            result.note(origin, "is not told of transfers; the log and metrics are")
        case "conf-script": result.note(origin, "is not run; import what it prints as well")
        case _ where option.name.contains("tftp"): result.note(origin, "is not taken over")
        default: otherCount += 1
        }
    }

    /// The words of a list with commas; blanks may be around these.
    private static func list(_ value: String) -> [String] {
        value.split(separator: ",").map { String($0).trimmingBlanks }
    }

    private mutating func addInterfaces(_ value: String, _ origin: String) {
        for name in DnsmasqImport.list(value) { interfaces.append((name, origin, result.place)) }
    }

    /// `FOLDER[,INTERFACE]`. The last folder without an interface counts.
    private mutating func carryRoot(_ value: String, _ origin: String) {
        let parts = DnsmasqImport.list(value)
        guard let folder = parts.first else { return result.note(origin, "names no folder") }
        guard parts.count > 1 else { return result.replace("root", folder, from: origin) }
        result.note(
            origin,
            "run another server for \(parts[1]): its address as listen, and \(folder) as root")
    }

    private mutating func carryUniqueRoot(_ value: String, _ origin: String) {
        result.set("unique-root", value.isEmpty ? "ip" : value, from: origin)
        result.note(
            origin,
            "a name that a client's own folder lacks is looked up in the whole root, the folders of"
                + " other clients included; rules (map) can deny these")
    }

    private mutating func finish() {
        tellInterfaces()
        result.place = nil
        if !isEnabled {
            result.note("no enable-tftp", "dnsmasq serves no files with this configuration")
        }
        if result.values(of: "root").isEmpty {
            result.note("no tftp-root", "dnsmasq serves names from / then; set root to a folder")
        }
        if otherCount > 0 {
            result.note(
                "\(otherCount) options of DNS and DHCP",
                "stay with dnsmasq; remove enable-tftp there")
        }
    }

    /// dnsmasq answers on interfaces besides the addresses that it listens on.
    private mutating func tellInterfaces() {
        let hasAddresses = !result.values(of: "listen").isEmpty
        for (name, origin, place) in interfaces {
            result.place = place
            result.note(
                origin,
                hasAddresses
                    ? "add the address of \(name) to listen, or the server does not answer there"
                    : "set listen to the address of \(name), or the server answers everywhere")
        }
    }
}

extension String {
    /// Without blanks and tabs at either end.
    var trimmingBlanks: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
