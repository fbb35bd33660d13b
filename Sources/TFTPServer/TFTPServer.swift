public import Logging
public import ServiceLifecycle
internal import Synchronization
package import TFTPMetrics
internal import TFTPShard

/// A TFTP server: answers read and write requests (RFC 1350, 2347, 2348, 2349, 7440) for the files of one folder.
///
///     var configuration = TFTPServer.Configuration(root: "/srv/tftp")
///     configuration.listen = [try TFTPServer.ListenAddress(":6969")]
///     let server = TFTPServer(configuration, logger: Logger(label: "tftp"))
///     try await server.run()
///
/// `run` serves until `stop` is called, its task is cancelled, or the `ServiceGroup` it runs in shuts down. A server
/// runs once: make another one to serve again.
///
/// It takes a thread for each core it may use and one for files, all its own; nothing of it runs on Swift's
/// concurrency pool but one task that writes the log.
public final class TFTPServer: Service, Sendable {
    private let configuration: Configuration
    private let logger: Logger
    private let state = Mutex<State>(.new)
    /// A stop that was asked for before there was anything to stop.
    private let earlyStop = Mutex<Duration?>(nil)

    private enum State {
        case new
        case waiting([CheckedContinuation<[String], any Error>])
        case running(Reactor, drain: Duration?)
        case ended(StartError?)
    }

    /// - Parameter logger: gets one line for each transfer at its end, and what an operator should know.
    public init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Serves until told to stop.
    ///
    /// - Throws: `ServerError` when it can not start: no such folder, a port that is taken, io_uring switched off.
    public func run() async throws {
        let reactor = try start()
        let reporter = Reporter(
            reactor: reactor, logger: logger, hasFields: configuration.logsFields)
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await serve(reactor, reporter)
            } onGracefulShutdown: {
                self.stop(drain: self.configuration.drain)
            }
        } onCancel: {
            self.stop(drain: .zero)
        }
        reactor.stop()
        reporter.report()
        reporter.reportTotals()
        let failure = reactor.failure
        finish(failure)
        if let failure { throw ServerError(failure) }
    }

    /// Waits until requests are answered.
    ///
    /// - Returns: the addresses, `ADDR:PORT`, with the true port where 0 was asked for.
    /// - Throws: `ServerError` when the server could not start or has ended.
    public func waitUntilListening() async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            let answer: Result<[String], any Error>? = state.withLock { state in
                switch state {
                case .new:
                    state = .waiting([continuation])
                    return nil
                case .waiting(let others):
                    state = .waiting(others + [continuation])
                    return nil
                case .running(let reactor, _):
                    return .success(reactor.listening.map(\.description))
                case .ended(let error):
                    return .failure(error.map(ServerError.init) ?? ServerError.ended)
                }
            }
            if let answer { continuation.resume(with: answer) }
        }
    }

    /// Takes no new transfer from now on, and ends when the running ones have, or after `drain`.
    ///
    /// Returns at once; `run` returns when it is done. A second call can only shorten the time.
    public func stop(drain: Duration) {
        state.withLock { state in
            switch state {
            case .new, .waiting:
                earlyStop.withLock { $0 = min(drain, $0 ?? drain) }
            case .running(let reactor, let earlier):
                state = .running(reactor, drain: min(drain, earlier ?? drain))
                reactor.drain()
            case .ended: break
            }
        }
    }

    /// Transfers under way.
    public var activeTransferCount: Int {
        state.withLock { state in
            guard case .running(let reactor, _) = state else { return 0 }
            return reactor.activeCount
        }
    }

    /// The sum of a counter over all shards, or of one shard.
    package func counter(_ counter: Counter, shard: Int? = nil) -> UInt64 {
        state.withLock { state in
            guard case .running(let reactor, _) = state else { return 0 }
            return shard.map { reactor.counter(counter, shard: $0) } ?? reactor.counter(counter)
        }
    }

    /// Bytes read from files so far.
    package var readByteCount: UInt64 {
        state.withLock { state in
            guard case .running(let reactor, _) = state else { return 0 }
            return reactor.readByteCount
        }
    }

    // MARK: Running

    private func start() throws -> Reactor {
        if let problem = configuration.problem { throw ServerError(problem: problem) }
        do {
            let reactor = try Reactor(configuration.forReactor)
            try reactor.start()
            let waiting = enter(.running(reactor, drain: nil))
            let addresses = reactor.listening.map(\.description)
            for continuation in waiting { continuation.resume(returning: addresses) }
            if let drain = earlyStop.withLock({ $0 }) { stop(drain: drain) }
            return reactor
        } catch {
            finish(error)
            throw ServerError(error)
        }
    }

    /// Goes to another state, and returns who waited for it.
    private func enter(_ new: State) -> [CheckedContinuation<[String], any Error>] {
        state.withLock { state in
            defer { state = new }
            guard case .waiting(let waiting) = state else { return [] }
            return waiting
        }
    }

    private func finish(_ error: StartError?) {
        let waiting = enter(.ended(error))
        let failure = error.map(ServerError.init) ?? ServerError.ended
        for continuation in waiting { continuation.resume(throwing: failure) }
    }

    private var drainAsked: Duration? {
        state.withLock { state in
            guard case .running(_, let drain) = state else { return .zero }
            return drain
        }
    }

    /// Writes the log until the shards have ended, or the time that they were given is over.
    private func serve(_ reactor: Reactor, _ reporter: Reporter) async {
        var stopAt: ContinuousClock.Instant?
        let clock = ContinuousClock()
        while !reactor.isIdle && reactor.failure == nil {
            reporter.report()
            if let drain = drainAsked {
                let asked = clock.now + drain
                stopAt = min(stopAt ?? asked, asked)
            }
            if let stopAt, clock.now >= stopAt { return }
            // A cancelled task does not sleep; the pause keeps it from spinning until the shards notice.
            await TFTPServer.pause(milliseconds: 25)
        }
    }

    private static func pause(milliseconds: Int) async {
        // Detached, so that a cancelled task pauses as well.
        await Task.detached { try? await Task.sleep(for: .milliseconds(milliseconds)) }.value
    }
}

/// Why a server did not start or is not there any more: one line that says what happened and what to do.
public struct ServerError: Error, CustomStringConvertible, Sendable {
    public let description: String

    init(_ error: StartError) { description = error.description }

    init(problem: String) { description = problem }

    static let ended = ServerError(problem: "the server has ended")
}
