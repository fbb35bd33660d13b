internal import ArgumentParser
internal import FoundationEssentials
internal import Logging
internal import Sandbox
internal import Synchronization
internal import TFTPClient
internal import TFTPFleet
internal import TFTPPeer
internal import TFTPReactor
internal import TFTPServer
internal import TFTPWire

/// `bootstorm serve`: flags in, a running server out.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve the files of a folder.",
        discussion: """
            Prints 'listening on ADDR:PORT' when clients are answered. SIGTERM and SIGINT let running transfers finish; \
            a second one ends at once. SIGHUP reads the configuration again, SIGUSR1 logs a status line, SIGUSR2 turns log level \
            debug on and off. The log goes to standard error, one line a transfer.
            """)

    @Argument(
        help: "Folder to serve; several are searched in order.", completion: .directory)
    var root = ["."]

    @OptionGroup(title: "Basics") var basics: BasicOptions

    @Option(
        help: .init("Number of serving threads; 'auto' takes one per core.", valueName: "count"))
    var shards = ShardCount.auto

    @Flag(
        help:
            "Serve snapshots: each boot gets all files from one; see 'bootstorm publish --help'."
    )
    var snapshots = false

    @Option(
        help: .init(
            "Seconds of inactivity before a client's snapshot lease expires.", valueName: "seconds")
    )
    var snapshotHold: Int?

    @Option(help: .init("Maximum size of an upload, for instance 512M.", valueName: "bytes"))
    var uploadMax = ByteCount(1 << 40)

    @OptionGroup(title: "Privileges") var privileges: PrivilegeOptions
    @OptionGroup(title: "Uploads") var uploads: UploadOptions

    @Flag(help: "Answer from the port that received the request, for firewalls that expect it.")
    var singlePort = false

    @Option(help: .init("FIRST-LAST: ports that answers may come from.", valueName: "first-last"))
    var ports: PortRange?

    @Option(help: .init("Maximum blksize to grant.", valueName: "bytes"))
    var blksizeMax: UInt16 = 65464

    @Option(help: .init("Maximum windowsize to grant.", valueName: "blocks"))
    var windowsizeMax: UInt16 = 65535

    @Option(
        help: .init(
            """
            Memory for file content, for instance 4G. (default: half of the memory that this process may use, at most 1G unless \
            the node fetches files)
            """, valueName: "bytes"))
    var cache: ByteCount?

    @Option(
        help: .init(
            "Maximum number of transfers at once; further requests are answered 'busy'.",
            valueName: "count"))
    var transfersMax = 65_536

    @Flag(
        name: .customLong("no-gso"),
        help: "Send each packet by itself, without UDP segmentation offload.")
    var noSegmentation = false

    @Flag(help: "Send windows at full speed, even if the path loses packets.")
    var noPacing = false

    @Option(
        help: .init(
            """
            Override for one kind of client, or for 'all', for instance grub:first-repeat=300; repeatable. 'list' prints the result.
            """, valueName: "kind:key=value"))
    var clientPolicy: [String] = []

    @OptionGroup(title: "Names") var names: NameOptions

    @OptionGroup(title: "Access") var access: AccessOptions

    @OptionGroup(title: "Peers") var peers: PeerOptions

    @OptionGroup(title: "Fleet") var fleet: FleetNodeOptions

    @OptionGroup var seal: SealKeyOption

    @Option(
        help: .init(
            "Network (ADDRESS/BITS, or all) from which plain requests are refused; repeatable.",
            valueName: "network"),
        transform: { try Serve.network($0) })
    var requireSeal: [TFTPServer.Network] = []

    @OptionGroup(title: "Monitoring") var monitor: MonitorOptions

    @Option(
        help: .init(
            "Seconds that running transfers get when the server is told to stop.",
            valueName: "seconds"))
    var drain = 30

    @Option(
        help: .init(
            "Lowest level to log: trace, debug, info, notice, warning, error or critical.",
            valueName: "level"))
    var logLevel = Logger.Level.info

    @Option(help: .init("Form of log lines: text or json.", valueName: "format"))
    var logFormat = LogFormat.text

    var listen: [String] { basics.listen }
    var upload: TFTPServer.Configuration.Upload { basics.upload }

    /// `--client-policy list` prints the table, and nothing is served.
    private func showPolicies() throws {
        guard clientPolicy.contains("list") else { return }
        StandardOutput.write("\(try ClientPolicies(overrides: clientPolicy).table)\n")
        throw ExitCode.success
    }

    func validate() throws {
        if let problem = try server().problem { throw ValidationError("\(problem).") }
        if snapshotHold != nil && !snapshots {
            throw ValidationError("--snapshot-hold needs --snapshots.")
        }
        if fleet.isNode && !snapshots {
            throw ValidationError("--fleet needs --snapshots.")
        }
        if drain < 0 { throw ValidationError("--drain takes seconds, 0 or more.") }
    }

    func run() async throws {
        let prepared = try Serve.prepared.withLock { $0.take() } ?? prepare()
        LogWriter.start()
        defer { LogWriter.flush() }
        let logger = Logger(label: "bootstorm")
        for line in prepared.remarks { logger.notice("\(line)") }
        let (server, node) = try makeServer(prepared, logger)
        let reloader = ServeLaunch.ofThisProcess.withLock { $0 }.map {
            Reloader(launch: $0.launch, loaded: $0.loaded, server: server, logger: logger)
        }
        reloader?.warnOfUnknownVariables()
        let monitoring = try await monitor.start(
            server, node, logger, control: prepared.control, leaves: prepared.manager.leavesMain
        ) { try await Reloader.reloadForControl(reloader) }
        defer { monitoring.end() }
        let sharing = node.map { node in Task { await node.run() } }
        defer { sharing?.cancel() }
        let membership = try fleet.join(
            root: root[0], listen: listen, prepared.fleet, node, logger)
        defer { membership?.cancel() }
        let service = Service(
            server, manager: prepared.manager, logger: logger, drain: .seconds(drain)
        ) { await reloader?.reload() }
        let handling = Task { await service.handle(prepared.signals.events) }
        defer { handling.cancel() }
        do {
            let announcing = Task { try await announce(server, service) }
            defer { announcing.cancel() }
            try await server.run()
        } catch let error as ServerError {
            StandardError.write("bootstorm: \(error)\(flagHint(error.reason))\n")
            throw ExitCode.failure
        }
    }

    /// The flags that change what the server could not do.
    private func flagHint(_ reason: ServerError.Reason) -> String {
        switch reason {
        case .privilegedPort: " For example: --listen :6969."
        case .ports: " See --ports and --shards."
        case .snapshots: " For example: bootstorm publish FOLDER --to \(root[0])."
        case .address: " See --listen."
        default: ""
        }
    }

    private func announce(_ server: TFTPServer, _ service: Service) async throws {
        let addresses = try await server.waitUntilListening()
        // Not a result: a server that has served well has not failed where this cannot be written.
        for address in addresses { _ = StandardOutput.tell("listening on \(address)\n") }
        await service.keepNotifying()
    }

    // MARK: Before other threads

    /// What is made while the process has one thread, and all the privileges that it was started
    /// with.
    struct Prepared: Sendable {
        let manager: ServiceManager
        let signals: ServiceSignals
        let configuration: TFTPServer.Configuration
        /// As a node among others; nil: it is none.
        let sharing: PeerNode.Configuration?
        /// What the fleet's engine is shown; nil: this node is in no fleet.
        let fleet: EtcdFleet.Access?
        /// Bound, and not listened to yet.
        let control: OpenedControl?
        /// What the log is to say of the walls.
        let remarks: [String]
    }

    /// What `prepare` has made, until `run` takes it.
    static let prepared = Mutex<Prepared?>(nil)

    /// Opens what needs a privilege. Called while the process has one thread.
    func prepare() throws -> Prepared {
        try showPolicies()
        let format = logFormat
        LogLevel.configure(logLevel)
        LoggingSystem.bootstrap { _ in LineLogHandler(format: format) }
        ignoreBrokenPipes()
        let manager = ServiceManager { privileges.enterMain() }
        let signals = ServiceSignals()
        let loaded = ServeLaunch.ofThisProcess.withLock { $0?.loaded }
        var configuration = try loaded?.configuration(of: self) ?? server()
        try checkPassedSockets(manager.environment)
        configuration.passedSockets = manager.environment.sockets.map(\.file)
        // What the service manager listens on takes the place of the default.
        if !configuration.passedSockets.isEmpty && listen == Serve.listenDefault {
            configuration.listen = []
        }
        try checkMemory(configuration)
        do {
            try TFTPServer.open(&configuration)
        } catch {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
        let sharing = try sharing(configuration)
        let fleetAccess = try fleet.access()
        let control = try monitor.openControl(waits: manager.leavesMain)
        control?.give(to: privileges.serverUser)
        var remarks = (configuration.opened?.absentAddresses ?? []).map {
            "no interface has address \($0) yet: requests are answered once one has"
        }
        remarks += try privileges.enter(plan(configuration, control))
        try startSignals(signals, manager, configuration)
        return Prepared(
            manager: manager, signals: signals, configuration: configuration, sharing: sharing,
            fleet: fleetAccess, control: control, remarks: remarks)
    }

    /// What the server needs of the file system.
    private func plan(
        _ configuration: TFTPServer.Configuration, _ control: OpenedControl?
    ) -> SandboxPlan {
        var plan = SandboxPlan()
        let uploads = [configuration.upload] + configuration.policies.compactMap(\.upload)
        // A node of a fleet keeps what it knows of the others in the folder.
        let writes = fleet.isNode || uploads.contains { $0 != .deny }
        // Files and folders below may be writable where the root is not.
        plan.roots = [
            .init(
                path: configuration.root, writes: writes, isFollowed: true,
                mayBeClosed: !fleet.isNode)
        ]
        plan.roots += configuration.names.readPaths.map { .init(path: $0, writes: false) }
        plan.hasSecrets =
            configuration.sealKeys != nil || peers.signKey != nil || fleet.fleet.hasSecrets
            || peers.access.hasSecrets(environment: ProcessInfo.processInfo.environment)
        plan.usesResolver = peers.isNode || fleet.isNode
        // An upload that replaces a file's content in place is collected there before.
        if uploads.contains(where: { $0 == .existing || $0 == .overwrite }) {
            plan.writablePaths = ["/var/tmp"]
        }
        // The socket is removed at the end.
        if let folder = control?.folder { plan.writablePaths.append(folder) }
        let loaded = ServeLaunch.ofThisProcess.withLock { $0?.loaded.file?.path }
        // Folders, because a file that is replaced is another one.
        let files: [String?] = [
            loaded, seal.file, peers.signKey, names.map, names.mapHpa, names.pcre, names.hosts,
        ]
        plan.readablePaths = files.compactMap { path in
            path.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        }
        return plan
    }

    private func sharing(
        _ configuration: TFTPServer.Configuration
    ) throws -> PeerNode.Configuration? {
        guard peers.isNode else { return nil }
        var sharing = try peers.configuration(
            root: root[0], listen: configuration.listen)
        sharing.sealKeys = configuration.sealKeys
        sharing.hasSnapshots = snapshots
        return sharing
    }

    static let listenDefault = [":69"]

    private func makeServer(
        _ prepared: Prepared, _ logger: Logger
    ) throws -> (TFTPServer, PeerNode?) {
        var configuration = prepared.configuration
        // A reload may bring rules with templates.
        if configuration.reloadsNames {
            configuration.template = Templates(folder: root[0], logger: logger).response
        }
        guard let sharing = prepared.sharing else {
            return (TFTPServer(configuration, logger: logger), nil)
        }
        let node: PeerNode
        do throws(TFTPClient.Failure) {
            node = try PeerNode(sharing, logger: logger)
        } catch {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
        node.prepare(&configuration)
        return (TFTPServer(configuration, logger: logger, get: node.answer), node)
    }

    static func network(_ text: String) throws -> TFTPServer.Network {
        guard let network = TFTPServer.Network(text) else {
            throw ValidationError(
                "'\(text)' is not a network. Give for instance 10.0.0.0/8, or all.")
        }
        return network
    }

    func server() throws -> TFTPServer.Configuration {
        var server = TFTPServer.Configuration(root: root.first ?? ".")
        server.names = try names.configuration(roots: root)
        do {
            server.listen = try listen.map { try TFTPServer.ListenAddress($0) }
        } catch let error as TFTPServer.InvalidAddress {
            throw ValidationError("\(error)")
        }
        server.sealKeys = try seal.keys()
        server.requireSeal = requireSeal
        let memory = MemoryPlan(
            cache: cache?.value, shards: shards.count, fetches: peers.fetches,
            takesUploads: upload != .deny)
        server.shards = memory.shardCount
        server.cacheSize = memory.cacheByteCount
        server.savesMemory = memory.savesMemory
        server.snapshotHold =
            snapshots
            ? snapshotHold.map { .seconds($0) } ?? TFTPServer.Configuration.snapshotHoldDefault
            : nil
        server.upload = upload
        server.uploadSizeMax = UInt64(uploadMax.value)
        server.serveUnreadable = privileges.serveUnreadable
        uploads.apply(to: &server)
        access.apply(to: &server)
        server.singlePort = singlePort
        server.ports = ports?.range
        server.blksizeMax = blksizeMax
        server.windowsizeMax = windowsizeMax
        server.transfersMax = transfersMax
        server.segmentation = !noSegmentation
        server.pacing = !noPacing
        server.clientPolicies = try ClientPolicies(overrides: clientPolicy)
        server.logsFields = logFormat == .json
        server.logsStarts = logLevel <= .debug
        server.version = Bootstorm.version
        server.drain = .seconds(drain)
        return server
    }
}
