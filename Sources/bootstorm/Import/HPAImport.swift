/// tftpd-hpa's flags (in.tftpd(8)) as settings of this server.
enum HPAImport {
    private static let long: [String: CommandLineFlags.Value] = [
        "ipv4": .none, "ipv6": .none, "listen": .none, "foreground": .none, "address": .required,
        "create": .none, "secure": .none, "user": .required, "umask": .required,
        "permissive": .none, "pidfile": .required, "timeout": .required, "retransmit": .required,
        "map-file": .required, "map-steps": .required, "verbose": .none, "verbosity": .required,
        "refuse": .required, "blocksize": .required, "port-range": .required, "version": .none,
    ]

    private static let short: [Character: String] = [
        "4": "ipv4", "6": "ipv6", "l": "listen", "L": "foreground", "a": "address", "c": "create",
        "s": "secure", "u": "user", "U": "umask", "p": "permissive", "P": "pidfile",
        "t": "timeout", "T": "retransmit", "m": "map-file", "v": "verbose", "r": "refuse",
        "B": "blocksize", "R": "port-range", "V": "version",
    ]

    /// From /etc/default/tftpd-hpa and its like elsewhere, or what starts the server.
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
        let options = file.take(
            firstOf: ["TFTP_OPTIONS", "TFTPD_ARGS", "INTFTPD_OPTS", "TFTPD_OPTS", "OPTIONS"])
        let user = file.take(firstOf: ["TFTP_USERNAME", "TFTP_USER"])
        let address = file.take(firstOf: ["TFTP_ADDRESS"])
        let folder = file.take(firstOf: ["TFTP_DIRECTORY"])
        var result = ImportedConfiguration()
        if let line = (options ?? folder ?? address ?? user)?.line {
            // The start script puts user and address before the options.
            var words = flag("--address", address?.value) + flag("--user", user?.value)
            words += ShellWords.split(options?.value ?? "")
            words += ShellWords.split(folder?.value ?? "")
            result = configuration(ofArguments: words, at: SourceLine.place(path, line))
        }
        file.tellRest(to: &result, path: path)
        return result
    }

    private static func flag(_ name: String, _ value: String?) -> [String] {
        value.map { $0.isEmpty ? [] : [name, $0] } ?? []
    }

    /// From the arguments of in.tftpd.
    ///
    /// - Parameter place: the file and line that they stand in; nil for a command line.
    static func configuration(
        ofArguments words: [String], at place: String? = nil
    ) -> ImportedConfiguration {
        let flags = CommandLineFlags(words, long: long, short: short)
        var result = ImportedConfiguration()
        result.place = place
        let names = Set(flags.flags.map(\.name))
        setRoots(flags.operands, isSecure: names.contains("secure"), &result)
        setListen(flags, &result)
        for flag in flags.flags { carry(flag, &result) }
        setUploads(names, &result)
        for word in flags.unknown { result.note(word, "is not a flag of in.tftpd") }
        result.place = nil
        return result
    }

    private static func setRoots(
        _ folders: [String], isSecure: Bool, _ result: inout ImportedConfiguration
    ) {
        guard let first = folders.first else {
            return result.note("in.tftpd without a folder", "set root to the folder to serve")
        }
        guard folders.count > 1 else {
            result.set("root", first, from: isSecure ? "--secure \(first)" : first)
            if !isSecure {
                result.note(
                    "no --secure", "names relative to \(first) are served as well as full paths")
            }
            return
        }
        for folder in folders where Setting.named("root")?.isRepeatable == true {
            result.set("root", folder, from: folders.joined(separator: " "))
        }
        let others = folders.dropFirst().joined(separator: ", ")
        if result.values(of: "root").isEmpty {
            result.set("root", first, from: first)
            result.note(others, "only one folder is served; link these below \(first)")
        } else if !isSecure {
            result.note(
                others, "names are served from there, but not names that begin with these paths")
        }
    }

    /// --address, --ipv4 and --ipv6 decide together.
    private static func setListen(
        _ flags: CommandLineFlags, _ result: inout ImportedConfiguration
    ) {
        let names = Set(flags.flags.map(\.name))
        let address = flags.flags.last { $0.name == "address" }?.value ?? ""
        var origin = address.isEmpty ? "" : "--address \(address)"
        var listen = address.isEmpty ? ":69" : address
        if let name = ["ipv4", "ipv6"].first(where: { names.contains($0) }), listen.hasPrefix(":") {
            listen = (name == "ipv4" ? "0.0.0.0" : "[::]") + listen
            origin += (origin.isEmpty ? "" : " ") + "--\(name)"
        }
        guard !origin.isEmpty else { return }
        if Setting.named("listen")?.problem(with: listen) != nil {
            return result.note(origin, "listen takes addresses, not names or services")
        }
        result.set("listen", listen, from: origin)
    }

    private static func carry(_ flag: CommandLineFlags.Flag, _ result: inout ImportedConfiguration)
    {
        let value = flag.value ?? ""
        let origin = flag.value.map { "--\(flag.name) \($0)" } ?? "--\(flag.name)"
        switch flag.name {
        case "user": result.set("user", value, from: origin)
        case "umask": result.set("umask", value, from: origin)
        case "map-file": result.set("map-hpa", value, from: origin)
        case "map-steps": result.note(origin, "rules have a limit of their own")
        case "blocksize": result.set("blksize-max", value, from: origin)
        case "port-range":
            result.set("ports", value.replacing(":", with: "-"), from: origin)
        case "refuse": result.refuse(value)
        case "verbose": result.set("log-level", "debug", from: origin)
        case "verbosity":
            let isLoud = (Int(value) ?? 0) > 2
            result.set("log-level", isLoud ? "debug" : "info", from: origin)
        case "timeout": result.note(origin, "not needed: the server does not run under inetd")
        case "retransmit":
            result.note(origin, "not needed: the time is measured for each client")
        case "pidfile": result.note(origin, "not needed: the service manager knows the process")
        default: break
        }
    }

    private static func setUploads(_ names: Set<String>, _ result: inout ImportedConfiguration) {
        if names.contains("create") {
            result.set("upload", "overwrite", from: "--create")
        } else {
            result.set("upload", "existing", from: "no --create: files that exist are written")
        }
        if names.contains("permissive") {
            result.set("serve-unreadable", "true", from: "--permissive")
        }
    }
}
