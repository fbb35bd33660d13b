internal import ArgumentParser
internal import TFTPCore
internal import TFTPLoad
internal import TFTPSeal
internal import UnixSignals

/// `bootstorm bench run`, which is what `bootstorm bench` does: a storm against any TFTP server.
struct BenchRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Storm a TFTP server (the default).",
        discussion: """
            Fetches the file once to learn its content, then lets thousands of machines fetch it and compares every byte. \
            On loopback each machine has an address of its own. Sends only to the given server.

            Exit codes: 0 done, 1 a transfer failed, the server fell silent, or a condition of --fail-if holds, \
            64 wrong usage.

            Example: bootstorm bench tftp://10.0.0.1/vmlinuz --clients 500 --rate 50 --seconds 60 --fail-if 'p99>2s'
            """)

    @Argument(
        help: .init(
            "Server and file; {n} in the name is each machine's number.",
            valueName: "host[:port]/name"))
    var url: TFTPURL?

    @Option(help: .init("Machines at once.", valueName: "count"))
    var clients = 100

    @Option(
        help: .init("End after this number of transfers (default: --clients).", valueName: "count"))
    var transfers: Int?

    @Option(help: .init("End after this time.", valueName: "seconds"))
    var seconds: Double?

    @Option(
        help: .init(
            "Begin this number of boots a second, however long they take (default: each machine begins its next when it is done).",
            valueName: "boots/s"))
    var rate: Double?

    @Option(help: .init("Time over which the machines begin.", valueName: "seconds"))
    var ramp = 0.0

    @Option(
        help: .init(
            "What the machines imitate, and their share; repeatable. --list-clients lists the kinds.",
            valueName: "kind[:share]"),
        completion: .list(ClientKind.allCases.map(\.rawValue)))
    var client: [ClientShare] = []

    @Option(help: .init("One more file to request; repeatable.", valueName: "name[:weight]"))
    var file: [WeightedName] = []

    @Option(
        help: .init("Local file with the expected content.", valueName: "file"), completion: .file()
    )
    var verify: String?

    @Option(help: .init("blksize requested by `plain` machines, 8 to 65464.", valueName: "bytes"))
    var blksize: UInt16?

    @Option(
        help: .init("windowsize requested by `plain` machines, 1 to 65535.", valueName: "blocks"))
    var windowsize: UInt16?

    @Option(
        help: .init("timeout requested by `plain` machines, 1 to 255.", valueName: "seconds"))
    var timeout: UInt8?

    @Option(help: .init("Number of load-generator threads.", valueName: "count"))
    var shards = 1

    @Flag(
        help: """
            Receive coalesced datagrams (UDP GRO). Off by default: over loopback it spares the server the cutting that a \
            network card would do, and flatters windows.
            """)
    var gro = false

    @OptionGroup var seal: SealKeyOption

    @Option(help: Impairment.help, transform: Impairment.argument)
    var impair: Impairment?

    @Option(help: .init("Seed of all random choices.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(
        help: .init(
            "Process of the server; adds its CPU time and memory to the report.", valueName: "pid"))
    var serverPid: Int32?

    @Option(
        help: .init("Write the report as JSON; '-' is standard output.", valueName: "file"),
        completion: .file())
    var json: String?

    @Option(
        help: .init(
            "Write the course as CSV: seconds,bytes,packets,transfers,failed,running,late.",
            valueName: "file"),
        completion: .file())
    var csv: String?

    @Option(
        help: .init("Draw latencies and throughput: FILE.svg or FILE.png.", valueName: "file"),
        completion: .file(),
        transform: PictureFile.argument)
    var plot: PictureFile?

    @Option(help: .init(stringLiteral: FailCondition.help))
    var failIf: [FailCondition] = []

    @Flag(help: "List the kinds of machines and exit.")
    var listClients = false

    func validate() throws {
        if listClients { return }
        guard url != nil else {
            throw ValidationError("missing server: give HOST[:PORT]/NAME")
        }
        guard (1...StormConfiguration.machinesMax).contains(clients) else {
            throw ValidationError("--clients is 1 to \(StormConfiguration.machinesMax).")
        }
        if hasNumberedName {
            guard clients <= StormConfiguration.filesMax else {
                throw ValidationError(
                    "{n} is for at most \(StormConfiguration.filesMax) --clients.")
            }
            if !file.isEmpty || verify != nil {
                throw ValidationError("{n} excludes --file and --verify.")
            }
        }
        if transfers != nil && seconds != nil {
            throw ValidationError("--transfers and --seconds exclude each other.")
        }
        if let transfers, transfers < 1 { throw ValidationError("--transfers is 1 or more.") }
        if let seconds, !(seconds > 0) { throw ValidationError("--seconds is more than 0.") }
        if let blksize, !(8...65464).contains(blksize) {
            throw ValidationError("--blksize is 8 to 65464.")
        }
        if seal.file != nil, let blksize, blksize < SealedRequest.blksizeMin {
            throw ValidationError(
                "--blksize of sealed transfers is \(SealedRequest.blksizeMin) or more.")
        }
        if windowsize == 0 { throw ValidationError("--windowsize is 1 to 65535.") }
        if timeout == 0 { throw ValidationError("--timeout is 1 to 255 seconds.") }
        if let rate, !(0.001...1e9).contains(rate) {
            throw ValidationError("--rate is 0.001 to 1000000000.")
        }
        if !(0...86_400).contains(ramp) { throw ValidationError("--ramp is 0 to 86400 seconds.") }
        if client.count > MachineTable.profilesMax {
            throw ValidationError("--client is given \(MachineTable.profilesMax) times at most.")
        }
        if json == "-" && csv == "-" {
            throw ValidationError("only one of --json and --csv can write to standard output")
        }
        if !(1...64).contains(shards) { throw ValidationError("--shards is 1 to 64.") }
    }

    func run() async throws {
        guard !listClients else { return BenchRun.printClients() }
        ignoreBrokenPipes()
        do {
            try checkOutputs()
            try checkServerProcess()
            let (configuration, relay) = try prepare()
            let before = serverPid.flatMap(ProcessUsage.init)
            let report = try await run(Storm(configuration), until: configuration.ending)
            let usage = serverPid.flatMap(ProcessUsage.init).map { $0.since(before) }
            var summary = BenchSummary(report, self, usage)
            if let relay, let impair { summary.relay = RelaySummary(try relay.finish(), impair) }
            let verdict = BenchVerdict(summary, failIf)
            summary.problems = verdict.problems
            // Files first: writing the text fails if its reader has ended, and the results must not
            // be lost.
            try writeOutputs(summary, report)
            let text = summary.text
            if json == "-" || csv == "-" {
                StandardError.write(text)
            } else {
                StandardOutput.write(text)
            }
            if !verdict.problems.isEmpty { throw ExitCode.failure }
        } catch let code as ExitCode {
            throw code
        } catch {
            let origin = error is RelayError ? "the relay " : ""
            StandardError.write("bootstorm: \(origin)\(error)\n")
            throw ExitCode.failure
        }
    }

    /// What could not be written after the storm is said before it.
    private func checkOutputs() throws(OutputError) {
        for path in [json, csv].compactMap(\.self) { try OutputFile(path).check() }
        try plot?.check()
    }

    private func writeOutputs(_ summary: BenchSummary, _ report: StormReport) throws {
        if let json { try OutputFile(json).write(try summary.jsonDocument) }
        if let csv { try OutputFile(csv).write(summary.csv) }
        if let plot { try plot.write(BenchPlot(summary, report).canvas()) }
    }

    private func checkServerProcess() throws(BenchError) {
        guard let serverPid, ProcessUsage(serverPid) == nil else { return }
        throw .noProcess(serverPid)
    }

    /// The storm; with --impair it goes through a relay, and what it is checked against comes from
    /// the server itself.
    private func prepare() throws -> (StormConfiguration, Relay?) {
        var storm = try configuration()
        guard let impair else { return (storm, nil) }
        try BenchError.checkImpaired(storm.server)
        var configuration = RelayConfiguration(
            listen: Endpoint(address: Address(ipv4: 0x7F00_0001), port: 0), server: storm.server,
            impairment: impair)
        configuration.seed = seed
        // Some kinds of machines ask again from another port.
        configuration.clientsMax = max(configuration.clientsMax, 4 * clients)
        let relay = try Relay(configuration)
        storm.referenceServer = storm.server
        storm.server = relay.listening
        return (storm, relay)
    }

    /// Runs the storm on a thread of its own, with a line of progress on a terminal, until it is
    /// over or interrupted.
    private func run(
        _ storm: Storm, until ending: StormConfiguration.Ending
    ) async throws -> StormReport {
        let interrupts = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watch = Task {
            for await _ in interrupts { storm.interrupt() }
        }
        let line = ProgressLine()
        let showing = Task {
            while !Task.isCancelled {
                if let progress = storm.progress { line.show(progress, until: ending) }
                try? await Task.sleep(for: .milliseconds(200))
            }
        }
        defer {
            watch.cancel()
            showing.cancel()
            line.clear()
        }
        return try await onThread { try storm.run() }
    }

    private static func printClients() {
        for kind in ClientKind.allCases {
            let padding = String(repeating: " ", count: max(1, 12 - kind.rawValue.count))
            StandardOutput.write("\(kind.rawValue)\(padding)\(kind.summary)\n")
        }
    }

    private var hasNumberedName: Bool { url?.name.contains("{n}") ?? false }

    /// One name, or one for each machine.
    private func names(of url: TFTPURL) -> [String] {
        guard hasNumberedName else { return [url.name] }
        return (0..<clients).map { url.name.replacing("{n}", with: "\($0)") }
    }

    private func configuration() throws -> StormConfiguration {
        guard let url else { throw ValidationError("Give the server.") }
        var storm = StormConfiguration(server: try url.resolved())
        let reference = try verify.map { (path) throws(BenchError) in
            guard let content = readBytes(path) else { throw .unreadable(path) }
            return Reference(content)
        }
        storm.files = names(of: url).map { .init(name: $0, weight: 1, reference: reference) }
        storm.asksInTurn = hasNumberedName
        storm.files += file.map { .init(name: $0.name, weight: $0.weight, reference: nil) }
        storm.clients =
            client.isEmpty
            ? [.init(kind: .plain, share: 1)]
            : client.map { .init(kind: $0.kind, share: $0.share) }
        storm.plain.blksize = blksize
        storm.plain.windowsize = windowsize
        storm.plain.timeout = timeout
        storm.machineCount = clients
        if let seconds {
            storm.ending = .seconds(seconds)
        } else {
            storm.ending = .transfers(transfers ?? clients)
        }
        storm.startsPerSecond = rate
        storm.rampSeconds = ramp
        storm.shardCount = shards
        storm.coalesces = gro
        storm.seed = seed
        storm.sealKey = try seal.keys()?.first
        return storm
    }
}
