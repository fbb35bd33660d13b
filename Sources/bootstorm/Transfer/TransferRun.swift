internal import ArgumentParser
internal import Synchronization
internal import TFTPClient
internal import UnixSignals

/// What `get` and `put` have in common: a client, a line of progress, a line at the end, exit
/// codes.
final class TransferRun: Sendable {
    private let client: TFTPClient
    private let options: TFTPClient.Options
    private let isQuiet: Bool
    private let line = ProgressLine()
    private let monitors = Mutex<[TFTPClient.Monitor]>([])
    private let count: Int
    private let showsProgress: Bool
    private let writesJSON: Bool
    private let retries: RetrySchedule
    /// Whether packets were lost on the way to the server.
    private let isLossy = Atomic<Bool>(false)

    /// Files at once.
    static let transfersMax = 32

    private init(_ flags: TransferOptions, count: Int) throws {
        client = try TFTPClient(transfersMax: max(1, min(count, TransferRun.transfersMax)))
        options = try flags.options()
        // The packets' lines and the progress would mix.
        isQuiet = flags.quiet
        showsProgress = !flags.quiet && !flags.trace
        writesJSON = flags.json
        retries = RetrySchedule(countMax: flags.retry, waitSeconds: flags.wait)
        self.count = count
    }

    /// Runs `body`, which returns an exit code. SIGINT and SIGTERM cancel it.
    static func run(
        _ flags: TransferOptions, count: Int,
        _ body: @escaping @Sendable (TransferRun) async throws -> Int32
    ) async throws {
        let run: TransferRun
        do {
            run = try TransferRun(flags, count: count)
        } catch let failure as TFTPClient.Failure {
            StandardError.write("bootstorm: \(failure)\n")
            throw ExitCode(TransferExit.code(failure))
        }
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let running = Task { try await body(run) }
        let watching = Task {
            for await _ in signals {
                running.cancel()
                // A write into a full pipe does not notice the cancellation.
                try? await Task.sleep(for: .seconds(1))
                guard !Task.isCancelled else { return }
                run.client.close()
                StandardError.write("bootstorm: interrupted\n")
                endProcess(TransferExit.code(CancellationError()))
            }
        }
        let showing = run.showsProgress ? Task { await run.showProgress() } : nil
        let code = try await running.value
        showing?.cancel()
        watching.cancel()
        run.line.clear()
        // The server may miss the last ACK: stay a little to repeat it.
        if run.isLossy.load(ordering: .relaxed) { try? await Task.sleep(for: .seconds(1)) }
        run.client.close()
        if code != 0 { throw ExitCode(code) }
    }

    /// One transfer, repeated as the flags say. Prints its line and returns its exit code.
    func transfer(
        _ name: String,
        _ body: (
            TFTPClient, TFTPClient.Options, TFTPClient.Monitor
        ) async throws -> TFTPClient.Summary
    ) async -> Int32 {
        var schedule = retries
        let place = monitors.withLock { monitors in
            monitors.append(TFTPClient.Monitor())
            return monitors.count - 1
        }
        while true {
            // One for each attempt.
            let monitor = TFTPClient.Monitor()
            monitors.withLock { $0[place] = monitor }
            do {
                let summary = try await body(client, options, monitor)
                if summary.retransmissions > 0 { isLossy.store(true, ordering: .relaxed) }
                line.clear()
                report(TransferResult(name, summary), "\(name): \(summary)", isError: false)
                return 0
            } catch {
                let pause = schedule.pause(after: error)
                line.clear()
                if let pause, monitor.usedStream == nil {
                    if !isQuiet { StandardError.write("\(name): \(error) Repeating.\n") }
                    if (try? await Task.sleep(for: pause)) != nil { continue }
                }
                let error = Task.isCancelled ? CancellationError() : error
                var text = error is CancellationError ? "interrupted" : "\(error)"
                if pause != nil, let stream = monitor.usedStream { text += stream.remark }
                report(
                    TransferResult(name, text, TransferExit.code(error)),
                    "bootstorm: \(name): \(text)", isError: true)
                return TransferExit.code(error)
            }
        }
    }

    private func report(_ result: TransferResult, _ text: String, isError: Bool) {
        if writesJSON { StandardOutput.write((try? result.jsonLine) ?? "{}\n") }
        if isError || !isQuiet && !writesJSON { StandardError.write(text + "\n") }
    }

    private func showProgress() async {
        guard line.isTerminal else { return }
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(200))
            let all = monitors.withLock { $0 }.compactMap(\.progress)
            if !Task.isCancelled, !all.isEmpty { line.show(all, count: count) }
        }
    }
}

extension TFTPClient.Monitor.UsedStream {
    /// Why a transfer is not repeated.
    fileprivate var remark: String {
        switch self {
        case .input: "; not repeated: the beginning of the input has been read and is gone"
        case .output: "; not repeated: the beginning of the file has been written"
        }
    }
}

extension ProgressLine {
    func show(_ transfers: [TFTPClient.Progress], count: Int) {
        show(ProgressLine.text(transfers, count: count))
    }

    /// `[######······]  42 %  123.4 MB of 291.0 MB, 87.4 MB/s, 2 s left`
    ///
    /// The totals are what servers say, so nothing may rest on their being sensible.
    static func text(_ transfers: [TFTPClient.Progress], count: Int) -> String {
        let byteCount = transfers.reduce(0.0) { $0 + Double($1.byteCount) }
        let totals = transfers.compactMap(\.totalByteCount)
        let seconds = (transfers.map(\.elapsed).max() ?? .zero) / .seconds(1)
        let rate = seconds > 0 ? byteCount / seconds : 0
        let speed = "\(decimal(rate / 1e6, 1)) MB/s"
        guard totals.count == count else { return "\(megabytes(byteCount)) MB, \(speed)" }
        let total = totals.reduce(0.0) { $0 + Double($1) }
        let share = total > 0 ? min(1, byteCount / total) : 1
        var text = "\(bar(share)) \(Int(share * 100)) %  \(megabytes(byteCount)) MB"
        text += " of \(megabytes(total)) MB, \(speed)"
        guard rate > 0 else { return text }
        return text + ", \(timeLeft(max(0, total - byteCount) / rate)) left"
    }

    /// `75 s`; hours and days where seconds say nothing any more.
    private static func timeLeft(_ seconds: Double) -> String {
        switch seconds {
        case ..<600: "\(decimal(seconds.rounded(.up), 0)) s"
        case ..<36_000: "\(decimal((seconds / 60).rounded(.up), 0)) min"
        case ..<360_000: "\(decimal((seconds / 3600).rounded(.up), 0)) h"
        default: "days"
        }
    }

    private static func megabytes(_ byteCount: Double) -> String { decimal(byteCount / 1e6, 1) }

    private static func bar(_ share: Double) -> String {
        let width = 24
        let done = Int(share * Double(width))
        let (full, empty) = (
            String(repeating: "#", count: done), String(repeating: "·", count: width - done)
        )
        return "[\(full)\(empty)]"
    }
}
