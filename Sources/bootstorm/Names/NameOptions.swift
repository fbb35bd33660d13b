internal import ArgumentParser
internal import TFTPNames
internal import TFTPReactor

/// Flags that say which file a name means.
struct NameOptions: ParsableArguments {
    @Option(
        help: .init(
            "Rules for names, as a YAML list; see /usr/share/doc/bootstorm/guide/names.md.",
            valueName: "file"),
        completion: .file(extensions: ["yaml", "yml"]))
    var map: String?

    @Option(
        help: .init("Map file of tftpd-hpa (in.tftpd --map-file).", valueName: "file"),
        completion: .file())
    var mapHpa: String?

    @Option(
        help: .init("Pattern file of atftpd (atftpd --pcre).", valueName: "file"),
        completion: .file())
    var pcre: String?

    @Flag(help: "Find files whose names differ from the request in upper and lower case only.")
    var anyCase = false

    @Option(
        help: .init("Folder that symbolic links may lead out to; repeatable.", valueName: "dir"),
        completion: .directory)
    var follow: [String] = []

    @Option(
        help: .init(
            """
            Look into a client's own folder below the root first. It is named by ip, ip-hex, mac, mac-pxe or serial.
            """, valueName: "kind"))
    var uniqueRoot: NamePlan.ClientFolder?

    @Option(
        help: .init(
            "Hosts file (YAML or CSV): name, mac, ip, serial and columns for rules and templates.",
            valueName: "file"),
        completion: .file())
    var hosts: String?

    /// The files that a reload reads again, each with its key.
    var files: [(key: String, path: String)] {
        [("map", map), ("map-hpa", mapHpa), ("pcre", pcre), ("hosts", hosts)].compactMap {
            key, path in
            path.map { (key, $0) }
        }
    }

    func validate() throws {
        let maps = files.filter { $0.key != "hosts" }
        if maps.count > 1 {
            throw ValidationError("--\(maps[0].key) and --\(maps[1].key) exclude each other.")
        }
    }

    /// Reads the files that the flags name.
    ///
    /// - Throws: `ValidationError` with file and line.
    func configuration(roots: [String]) throws -> NameConfiguration {
        var names = NameConfiguration()
        names.plan = try plan()
        names.otherRoots = Array(roots.dropFirst())
        names.followed = follow
        if let hosts { names.hosts = try HostsFile.read(hosts) }
        return names
    }

    func plan() throws -> NamePlan {
        var plan = NamePlan()
        plan.isAnyCase = anyCase
        plan.clientFolder = uniqueRoot
        if let map { plan.map = .rules(try RuleFile.read(map)) }
        if let mapHpa {
            plan.map = .hpa(
                try RuleFile.read(mapHpa) { bytes throws(RuleFileError) in
                    try HPARules(bytes)
                })
        }
        if let pcre {
            plan.map = .pcre(
                try RuleFile.read(pcre) { bytes throws(RuleFileError) in
                    try PCRERules(bytes)
                })
        }
        return plan
    }
}

extension NamePlan.ClientFolder: ExpressibleByArgument {}
