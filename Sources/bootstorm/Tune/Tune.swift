internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc
internal import TFTPCore
internal import TFTPLoad
internal import TFTPReactor
internal import TFTPServer
internal import UnixSignals

/// `bootstorm tune`: which blksize and windowsize to choose.
struct Tune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find the best blksize and windowsize.",
        discussion: """
            Fetches a file repeatedly with each blksize and windowsize, with one client and with many at once, and prints which \
            settings are best, what they gain, which do harm, and lines to paste. Without a URL it measures a server of its \
            own on 127.0.0.1; with --impair, through a lossy network.

            Example: bootstorm tune tftp://10.0.0.1/vmlinuz --clients 32 --verify
            """)

    @Argument(
        help: "tftp://HOST[:PORT]/NAME, HOST a name or an address; without it a server of its own.")
    var url: TFTPURL?

    @Option(
        help: .init(
            "Number of clients at once, in addition to trials with one client.", valueName: "count")
    )
    var clients = 16

    @Option(help: .init("Maximum duration in seconds.", valueName: "seconds"))
    var seconds = 60.0

    @Option(help: .init("blksizes to try, for instance 512,1428,1468.", valueName: "list"))
    var blksizes: NumberList?

    @Option(help: .init("windowsizes to try, for instance 1,4,16.", valueName: "list"))
    var windowsizes: NumberList?

    @Option(help: Impairment.help, transform: Impairment.argument)
    var impair: Impairment?

    @Flag(help: "Pace the windows of the built-in server, as 'bootstorm serve' does.")
    var pacing = false

    @Flag(help: "At the end, compare the recommended setting with the default once more.")
    var verify = false

    @Option(help: .init("Seed of all random choices.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: .init("Write the results as JSON.", valueName: "file"), completion: .file())
    var json: String?

    @Option(
        help: .init("Draw the heat maps: FILE.svg or FILE.png.", valueName: "file"),
        completion: .file(),
        transform: PictureFile.argument)
    var plot: PictureFile?

    private static let secondsRange = 1.0...3600.0

    func validate() throws {
        if url != nil && pacing {
            throw ValidationError("--pacing is for a server of its own: leave out the URL.")
        }
        guard (1...TunePlan.clientsMax).contains(clients) else {
            throw ValidationError("--clients is 1 to \(TunePlan.clientsMax).")
        }
        guard Tune.secondsRange.contains(seconds) else {
            throw ValidationError("--seconds is 1 to 3600.")
        }
        try blksizes?.check("--blksizes", within: TuneGrid.blksizeRange)
        try windowsizes?.check("--windowsizes", within: TuneGrid.windowsizeRange)
    }

    func run() async throws {
        ignoreBrokenPipes()
        do {
            try checkOutputs()
            let findings = try await find()
            let lines = TuneText(findings, self).lines
            // Files first: writing the text fails if its reader has ended, and the results must not
            // be lost.
            if let json { try OutputFile(json).write(try TuneSummary(findings, self).jsonDocument) }
            if let plot { try plot.write(TunePlot(findings, title: title).canvas()) }
            let text = lines.joined(separator: "\n") + "\n"
            if json == "-" { StandardError.write(text) } else { StandardOutput.write(text) }
            if findings.trials.isEmpty { throw ExitCode.failure }
        } catch let code as ExitCode {
            throw code
        } catch {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    /// The server that was measured, in words.
    var serverText: String {
        if let url { return "\(url.host), \"\(url.name)\"" }
        let sending = pacing ? "paces its windows" : "sends each window in one go, as most do"
        return "one of its own, which \(sending)"
    }

    /// What is told about all of it in a picture.
    private var title: String {
        let server = url.map(\.host) ?? "a server of its own\(pacing ? ", paced" : "")"
        return "bootstorm tune: \(server)" + (impair.map { " through \($0.text)" } ?? "")
    }

    /// What could not be written after the sweep is said before it.
    private func checkOutputs() throws(OutputError) {
        if let json { try OutputFile(json).check() }
        try plot?.check()
    }

    private func find() async throws -> TuneFindings {
        if let url {
            let server = try url.resolved()
            if impair != nil { try BenchError.checkImpaired(server) }
            let interrupts = await Tune.trapInterrupts()
            return try await sweep(TuneConfiguration(server: server, name: url.name), interrupts)
        }
        // Before there is a file that a signal could leave behind: one that comes early ends the
        // sweep at its beginning.
        let interrupts = await Tune.trapInterrupts()
        return try await TuneServer.serve(pacing: pacing) { server in
            var tuning = TuneConfiguration(server: server.endpoint, name: server.name)
            tuning.reference = server.content
            return try await sweep(tuning, interrupts)
        }
    }

    /// A hangup is one of them, unless it is ignored already: under nohup the sweep continues.
    private static func trapInterrupts() async -> UnixSignalsSequence {
        var action = sigaction()
        unsafe sigaction(SIGHUP, nil, &action)
        // SIG_IGN is the number 1 in place of a pointer, which Swift cannot compare otherwise.
        let handler = unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
        guard handler != 1 else { return await UnixSignalsSequence(trapping: .sigint, .sigterm) }
        return await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
    }

    private func sweep(
        _ base: TuneConfiguration, _ interrupts: UnixSignalsSequence
    ) async throws -> TuneFindings {
        var tuning = base
        tuning.impairment = impair
        tuning.blksizes = blksizes?.values
        tuning.windowsizes = windowsizes?.values ?? tuning.windowsizes
        tuning.clientCounts = [1, clients]
        tuning.seconds = seconds
        tuning.seed = seed
        tuning.verifies = verify
        let line = ProgressLine()
        let tuner = Tuner(tuning) { line.show($0.text) }
        let watch = Task {
            for await _ in interrupts { tuner.interrupt() }
        }
        defer {
            watch.cancel()
            line.clear()
        }
        return try await onThread { try tuner.run() }
    }
}

extension TuneProgress {
    var text: String {
        let setting = trial.setting
        return
            "\(trialCount) trials, blksize \(setting.blksize), windowsize \(setting.windowsize), "
            + "\(trial.clientCount) at once: \(megabytes(trial.goodput)) MB/s, "
            + "\(Int(secondsLeft.rounded(.up))) s left at most"
    }
}

/// `N,N,…`.
struct NumberList: ExpressibleByArgument {
    var values: [Int]

    init?(argument: String) {
        values = []
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Int(part) else { return nil }
            values.append(value)
        }
    }

    func check(_ name: String, within range: ClosedRange<Int>) throws {
        guard values.count <= TuneGrid.valuesMax else {
            throw ValidationError("\(name) takes \(TuneGrid.valuesMax) values at most.")
        }
        guard values.allSatisfy(range.contains) else {
            throw ValidationError(
                "\(name): each value is \(range.lowerBound) to \(range.upperBound).")
        }
    }
}
