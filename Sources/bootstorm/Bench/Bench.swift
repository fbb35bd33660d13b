internal import ArgumentParser
internal import TFTPCore
internal import TFTPLoad
internal import UnixSignals

/// `bootstorm bench`: a storm of simulated boot clients against any TFTP server.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Storm a TFTP server with simulated boot clients.",
        discussion: """
            Fetches the file once to learn what it must be, then lets thousands of machines fetch it and checks every byte. \
            On the loopback network each machine has an address of its own. Sends to nobody but the server it was given.
            """)

    @Argument(
        help:
            "tftp://HOST[:PORT]/NAME, HOST a name or an address; {n} in NAME is each machine's number."
    )
    var url: TFTPURL?

    @Option(help: "Machines at once.")
    var clients = 100

    @Option(help: "End after so many transfers.")
    var transfers: Int?

    @Option(help: "End after so many seconds.")
    var seconds: Double?

    @Option(
        help:
            "Begin N transfers a second, however long they take; without it each machine begins when it is done."
    )
    var rate: Double?

    @Option(help: "Seconds over which the machines begin.")
    var ramp = 0.0

    @Option(
        help: """
            KIND[:SHARE]: what the machines are; repeatable. --list-clients tells the kinds.
            """)
    var client: [ClientShare] = []

    @Option(help: "NAME[:WEIGHT]: one more file to ask for; repeatable.")
    var file: [WeightedName] = []

    @Option(help: "A file with the content that NAME must have.", completion: .file())
    var verify: String?

    @Option(help: "What plain machines ask for.")
    var blksize: UInt16?

    @Option(help: "What plain machines ask for.")
    var windowsize: UInt16?

    @Option(help: "What plain machines ask for, in seconds.")
    var timeout: UInt8?

    @Option(help: "Threads that storm.")
    var shards = 1

    @Flag(
        help: "Take coalesced datagrams (UDP GRO), as a modern network card would hand them over.")
    var gro = false

    @Option(help: Impairment.help, transform: Impairment.argument)
    var impair: Impairment?

    @Option(help: "The seed of everything that is random.")
    var seed: UInt64 = 1

    @Option(help: "The server's process: its CPU time and memory go into the report.")
    var serverPid: Int32?

    @Option(help: "Write the report as JSON.", completion: .file())
    var json: String?

    @Option(
        help: "Write what was done over time: seconds,bytes,packets,transfers,failed.",
        completion: .file())
    var csv: String?

    @Option(
        help: "Draw latencies and throughput: FILE.svg or FILE.png.", completion: .file(),
        transform: PictureFile.argument)
    var plot: PictureFile?

    @Flag(help: "List the kinds of machines, and end.")
    var listClients = false

    func validate() throws {
        if listClients { return }
        guard url != nil else {
            throw ValidationError("Give the server: tftp://HOST[:PORT]/NAME.")
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
        if windowsize == 0 { throw ValidationError("--windowsize is 1 to 65535.") }
        if timeout == 0 { throw ValidationError("--timeout is 1 to 255 seconds.") }
        if let rate, !(0.001...1e9).contains(rate) {
            throw ValidationError("--rate is 0.001 to 1000000000.")
        }
        if !(0...86_400).contains(ramp) { throw ValidationError("--ramp is 0 to 86400 seconds.") }
        if client.count > MachineTable.profilesMax {
            throw ValidationError("--client is given \(MachineTable.profilesMax) times at most.")
        }
        if !(1...64).contains(shards) { throw ValidationError("--shards is 1 to 64.") }
    }

    func run() async throws {
        guard !listClients else { return Bench.printClients() }
        do {
            try checkOutputs()
            try checkServerProcess()
            let (configuration, relay) = try prepare()
            let before = serverPid.flatMap(ProcessUsage.init)
            let report = try await run(Storm(configuration), until: configuration.ending)
            let usage = serverPid.flatMap(ProcessUsage.init).map { $0.since(before) }
            var summary = BenchSummary(report, self, usage)
            if let relay, let impair { summary.relay = RelaySummary(try relay.finish(), impair) }
            StandardOutput.write(summary.text)
            try writeOutputs(summary, report)
            if report.failedCount > 0 || report.doneCount == 0 { throw ExitCode.failure }
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
        if let json { try OutputFile(json).write(try summary.json) }
        if let csv { try OutputFile(csv).write(summary.csv) }
        if let plot { try plot.write(BenchPlot(summary, report).canvas()) }
    }

    private func checkServerProcess() throws(BenchError) {
        guard let serverPid, ProcessUsage(serverPid) == nil else { return }
        throw .noProcess(serverPid)
    }

    /// The storm; with --impair it goes through a relay, and what it is checked against comes from the server itself.
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

    /// Runs the storm on a thread of its own, with a line of progress on a terminal, until it is over or interrupted.
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
        return storm
    }
}
