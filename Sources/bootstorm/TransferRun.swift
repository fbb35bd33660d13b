internal import ArgumentParser
internal import Synchronization
internal import TFTPClient
internal import UnixSignals

/// What `get` and `put` have in common: a client, a line of progress, a line at the end, exit codes.
final class TransferRun: Sendable {
    private let client: TFTPClient
    private let options: TFTPClient.Options
    private let isQuiet: Bool
    private let line = ProgressLine()
    private let monitors = Mutex<[TFTPClient.Monitor]>([])
    private let count: Int
    private let showsProgress: Bool
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
            for await _ in signals { running.cancel() }
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

    /// One transfer. Prints its line and returns its exit code.
    func transfer(
        _ name: String,
        _ body: (
            TFTPClient, TFTPClient.Options, TFTPClient.Monitor
        ) async throws -> TFTPClient.Summary
    ) async -> Int32 {
        let monitor = TFTPClient.Monitor()
        monitors.withLock { $0.append(monitor) }
        do {
            let summary = try await body(client, options, monitor)
            if summary.retransmissions > 0 { isLossy.store(true, ordering: .relaxed) }
            line.clear()
            if !isQuiet { StandardError.write("\(name): \(summary)\n") }
            return 0
        } catch is CancellationError {
            line.clear()
            StandardError.write("bootstorm: \(name): interrupted\n")
            return TransferExit.code(CancellationError())
        } catch {
            line.clear()
            StandardError.write("bootstorm: \(name): \(error)\n")
            return TransferExit.code(error)
        }
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

extension ProgressLine {
    /// `[######······]  42 %  123.4 MB of 291.0 MB, 87.4 MB/s, 2 s left`
    func show(_ transfers: [TFTPClient.Progress], count: Int) {
        let byteCount = transfers.reduce(0) { $0 + $1.byteCount }
        let totals = transfers.compactMap(\.totalByteCount)
        let elapsed = transfers.map(\.elapsed).max() ?? .zero
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0 ? Double(byteCount) / seconds : 0
        var text = "\(megabytes(byteCount)) MB"
        if totals.count == count {
            let total = totals.reduce(0, +)
            let share = total > 0 ? min(1, Double(byteCount) / Double(total)) : 1
            text = "\(bar(share)) \(Int(share * 100)) %  \(text) of \(megabytes(total)) MB"
            text += ", \(decimal(rate / 1e6, 1)) MB/s"
            if rate > 0 {
                let left = Double(total - min(total, byteCount)) / rate
                text += ", \(Int(left.rounded(.up))) s left"
            }
        } else {
            text += ", \(decimal(rate / 1e6, 1)) MB/s"
        }
        show(text)
    }

    private func megabytes(_ byteCount: UInt64) -> String { decimal(Double(byteCount) / 1e6, 1) }

    private func bar(_ share: Double) -> String {
        let width = 24
        let done = Int(share * Double(width))
        let (full, empty) = (
            String(repeating: "#", count: done), String(repeating: "·", count: width - done)
        )
        return "[\(full)\(empty)]"
    }
}
