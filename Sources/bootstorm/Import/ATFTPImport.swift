/// atftpd's flags (atftpd(8)) as settings of this server.
enum ATFTPImport {
    private static let long: [String: CommandLineFlags.Value] = [
        "tftpd-timeout": .required, "retry-timeout": .required, "maxthread": .required,
        "verbose": .optional, "trace": .none, "no-timeout": .none, "no-tsize": .none,
        "no-blksize": .none, "no-windowsize": .none, "no-multicast": .none, "logfile": .required,
        "pidfile": .required, "daemon": .none, "no-fork": .none, "user": .required,
        "group": .required, "port": .required, "bind-address": .required, "mcast-ttl": .required,
        "mcast-addr": .required, "mcast-port": .required, "pcre": .required,
        "pcre-test": .required, "mtftp": .required, "mtftp-port": .required,
        "no-source-port-checking": .none, "prevent-sas": .none, "mcast-switch-client": .none,
        "listen-local": .none, "version": .none, "help": .none,
    ]

    private static let short: [Character: String] = [
        "t": "tftpd-timeout", "r": "retry-timeout", "m": "maxthread", "v": "verbose",
        "V": "version", "h": "help",
    ]

    /// From /etc/default/atftpd and its like elsewhere, or what starts the server.
    ///
    /// - Parameter path: what messages call the file.
    static func configuration(
        ofFile text: String, path: String? = nil
    ) -> ImportedConfiguration {
        if let start = ServiceStart(in: text) {
            var result = configuration(
                ofArguments: start.arguments, at: SourceLine.place(path, start.line))
            start.apply(to: &result, path: path)
            return result
        }
        var file = DefaultsFile(text)
        let options = file.take(firstOf: ["OPTIONS", "ATFTPD_OPTIONS", "TFTPD_OPTS"])
        let folder = file.take(firstOf: ["ATFTPD_DIRECTORY", "TFTPD_ROOT"])
        let addresses = file.take(firstOf: ["ATFTPD_BIND_ADDRESSES"])
        var result = ImportedConfiguration()
        if let line = (options ?? folder)?.line {
            let words =
                ShellWords.split(options?.value ?? "") + ShellWords.split(folder?.value ?? "")
            result = configuration(ofArguments: words, at: SourceLine.place(path, line))
        }
        if let addresses {
            result.place = SourceLine.place(path, addresses.line)
            for address in ShellWords.split(addresses.value) {
                result.set("listen", "\(bracketed(address)):69", from: addresses.name)
            }
        }
        file.tellRest(to: &result, path: path)
        return result
    }

    /// From the arguments of atftpd.
    ///
    /// - Parameter place: the file and line that they stand in; nil for a command line.
    static func configuration(
        ofArguments words: [String], at place: String? = nil
    ) -> ImportedConfiguration {
        let flags = CommandLineFlags(words, long: long, short: short)
        var result = ImportedConfiguration()
        result.place = place
        let root = flags.operands.last ?? "/srv/tftp"
        result.set("root", root, from: flags.operands.isEmpty ? "atftpd's default" : root)
        for other in flags.operands.dropLast() { result.note(other, "only one folder is served") }
        let port = flags.flags.last { $0.name == "port" }?.value
        let address = flags.flags.last { $0.name == "bind-address" }?.value
        if port != nil || address != nil {
            let origin = [address.map { "--bind-address \($0)" }, port.map { "--port \($0)" }]
            result.set(
                "listen", "\(address.map(bracketed) ?? ""):\(port ?? "69")",
                from: origin.compactMap { $0 }.joined(separator: " "))
        }
        result.set("upload", "overwrite", from: "atftpd takes uploads where its user may write")
        for flag in flags.flags { carry(flag, &result) }
        for word in flags.unknown { result.note(word, "is not a flag of atftpd") }
        result.place = nil
        return result
    }

    private static func bracketed(_ address: String) -> String {
        address.contains(":") ? "[\(address)]" : address
    }

    private static func carry(_ flag: CommandLineFlags.Flag, _ result: inout ImportedConfiguration)
    {
        let value = flag.value ?? ""
        let origin = flag.value.map { "--\(flag.name) \($0)" } ?? "--\(flag.name)"
        switch flag.name {
        case "no-timeout", "no-tsize", "no-blksize", "no-windowsize":
            result.refuse(String(flag.name.dropFirst("no-".count)))
        case "user": setUser(value, origin, &result)
        case "group": result.set("group", value, from: origin)
        case "pcre": result.set("pcre", value, from: origin)
        case "verbose":
            let isLoud = flag.value == nil || (Int(value) ?? 5) > 6
            result.set("log-level", isLoud ? "debug" : "info", from: origin)
        case "trace": result.set("log-level", "trace", from: origin)
        case "logfile":
            result.note(origin, "the log goes to standard error; the service manager keeps it")
        case "pidfile": result.note(origin, "not needed: the service manager knows the process")
        case "maxthread":
            result.note(origin, "not needed: a transfer is not a thread; see transfers-max")
        case "retry-timeout":
            result.note(origin, "not needed: the time is measured for each client")
        case "tftpd-timeout":
            result.note(origin, "not needed: the server does not run under inetd")
        case "mcast-ttl", "mcast-addr", "mcast-port", "mcast-switch-client":
            result.note(
                origin,
                "multicast is not supported; clients that boot at once share a file in memory")
        case "mtftp", "mtftp-port": result.note(origin, "mtftp is not supported")
        case "no-source-port-checking":
            result.note(
                origin,
                "answers to another port than the client's own are not taken; see single-port")
        case "pcre-test": result.note(origin, "use bootstorm map-test")
        // A server that listens by itself and repeats only what is lost needs none of these.
        default: break
        }
    }

    /// `user[.group]`
    private static func setUser(
        _ value: String, _ origin: String, _ result: inout ImportedConfiguration
    ) {
        let parts = value.split(separator: ".", maxSplits: 1).map(String.init)
        if let user = parts.first { result.set("user", user, from: origin) }
        if parts.count == 2 { result.set("group", parts[1], from: origin) }
    }
}
