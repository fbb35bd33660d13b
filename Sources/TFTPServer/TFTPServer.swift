public import CoreMetrics
public import Logging
public import ServiceLifecycle
internal import Synchronization
internal import SystemPackage
package import TFTPMetrics
internal import TFTPReactor

/// A TFTP server: answers read and write requests (RFC 1350, 2347, 2348, 2349, 7440) for the files
/// of one folder.
///
///     var configuration = TFTPServer.Configuration(root: "/srv/tftp")
///     configuration.listen = [try TFTPServer.ListenAddress(":6969")]
///     let server = TFTPServer(configuration, logger: Logger(label: "tftp"))
///     try await server.run()
///
/// `run` serves until `stop` is called, its task is cancelled, or the `ServiceGroup` it runs in
/// shuts down. A server runs once: make another one to serve again.
///
/// It takes a thread for each core it may use and one for files, all its own; nothing of it runs on
/// Swift's concurrency pool but one task that writes the log.
///
/// ## Handlers
///
/// Where the folder is not enough, a handler answers:
///
///     let server = TFTPServer(configuration) { request in
///         guard request.name.hasPrefix("cfg/") else { return .file }
///         return .text(render(for: request.client))
///     } put: { upload in
///         .redirect(to: "incoming/\(upload.client.address)")
///     }
///
/// Handlers run on Swift's concurrency pool, many at once, and may take
/// `Configuration.handlerTimeout`; a client that repeats its request meanwhile does not call them
/// again. A client that restarts does. What they return is sent as files are, windows and all. One
/// that throws answers ERROR 0 "Request handler failed" and is logged; one that hangs costs its own
/// request, and one of `Configuration.handlersMax` places until it returns.
///
/// Content of handlers takes at most half of `Configuration.cacheSize`, so that files are served
/// whatever handlers do: 2 MiB for each stream, or all of the content if it has a key. A request
/// with a forged address occupies that for half a minute. A request that finds no room gets ERROR 0
/// "Server busy, try again", and the log says so.
///
/// A request to a handler costs about two context switches more than one for a file in memory, and
/// a server without handlers nothing at all.
public final class TFTPServer: Service, Sendable {
    /// Answers read requests. Called once for each transfer.
    public typealias GetHandler = @Sendable (Request) async throws -> Response
    /// Answers write requests. Called once for each transfer.
    public typealias PutHandler = @Sendable (Request) async throws -> UploadResponse

    let configuration: Configuration
    let logger: Logger
    private let metrics: ServerMetrics
    private let notes = Notes()
    let inspector = Inspector()
    private let handler: HandlerAdapter?
    private let sealedFolder: SealedFolder?
    /// When requests began to be answered.
    let started = Mutex<StartTime?>(nil)
    private let state = Mutex<State>(.new)
    /// A stop that was asked for before there was anything to stop.
    private let earlyStop = Mutex<Duration?>(nil)

    private enum State {
        case new
        case waiting([CheckedContinuation<[String], any Error>])
        case running(Reactor, drain: Duration?)
        case ended(StartError?)
    }

    /// A server for the folder alone.
    ///
    /// - Parameters:
    ///   - configuration: how the server runs; `run` throws if it is invalid.
    ///   - logger: gets one line for each transfer at its end, and warnings and errors.
    public convenience init(_ configuration: Configuration, logger: Logger) {
        self.init(configuration, logger: logger, get: nil, put: nil)
    }

    /// A server whose handlers are asked before the folder.
    ///
    /// - Parameters:
    ///   - configuration: how the server runs; `run` throws if it is invalid.
    ///   - logger: as without handlers, and errors that handlers throw.
    ///   - metricsFactory: gets the metrics; nil is the factory that the program has bootstrapped
    ///     swift-metrics with. See <doc:Tuning> for the names.
    ///   - get: is called for each RRQ. Without it every RRQ is for the folder.
    ///   - put: is called for each WRQ, whatever `Configuration.upload` says. Without it that
    ///     setting decides.
    public init(
        _ configuration: Configuration, logger: Logger = Logger(label: "tftp"),
        metricsFactory: (any MetricsFactory)? = nil, get: GetHandler?, put: PutHandler? = nil
    ) {
        self.configuration = configuration
        self.logger = logger
        metrics = ServerMetrics(metricsFactory ?? MetricsSystem.factory)
        sealedFolder = configuration.sealKeys.map { SealedFolder(keys: $0) }
        let isAsked =
            get != nil || put != nil || sealedFolder != nil || configuration.template != nil
        handler =
            isAsked
            ? HandlerAdapter(
                get: get, put: put, notes: notes, order: configuration.handlerOrder,
                timeout: configuration.handlerTimeout, sealedFolder: sealedFolder,
                template: configuration.template) : nil
    }

    /// Serves until told to stop. Then handlers that still run are cancelled, and have
    /// `Configuration.handlerTimeout` to return.
    ///
    /// - Throws: `ServerError` if the server cannot start: the folder does not exist, a port is
    ///   taken, io_uring is disabled.
    public func run() async throws {
        let reactor = try start()
        let reporter = Reporter(
            reactor: reactor, logger: logger, hasFields: configuration.logsFields, notes: notes,
            metrics: metrics, observer: configuration.observer, inspector: inspector)
        logStart(reactor)
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
        await handlersEnd(reactor)
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

    /// Applies what may change while a server runs: `policies`, `blksizeMax`, `windowsizeMax`,
    /// `upload`, `uploadSizeMax`, `requireSeal` and, if it has begun with keys, `sealKeys`.
    /// Requests from now on are judged by it; no running transfer notices. The rest of
    /// `configuration` is not looked at.
    ///
    /// Returns when what was before is no longer in use. Called by one task at a time.
    ///
    /// - Throws: `ServerError` for what a server would not start with; nothing has changed then.
    public func update(_ configuration: Configuration) async throws {
        if let problem = configuration.problem { throw ServerError(.configuration, problem) }
        if let keys = configuration.sealKeys { sealedFolder?.keys = keys }
        guard case .running(let reactor, _) = state.withLock({ $0 }) else { return }
        if self.configuration.reloadsNames {
            do throws(StartError) {
                try reactor.publish(configuration.names)
            } catch {
                throw ServerError(error)
            }
        }
        await reactor.publish(configuration.policyTable)
    }

    /// Transfers under way.
    public var activeTransferCount: Int {
        state.withLock { state in
            guard case .running(let reactor, _) = state else { return 0 }
            return reactor.activeCount
        }
    }

    /// Opens the folder and every socket before there is a server: this may need privileges that
    /// the process drops afterwards.
    package static func open(_ configuration: inout Configuration) throws {
        if let problem = configuration.problem { throw ServerError(.configuration, problem) }
        do {
            configuration.opened = try OpenedSockets(configuration.forReactor)
        } catch {
            throw ServerError(error)
        }
    }

    /// Makes sure that every thread of the server, and `othersCount` of the program, can be started
    /// by this process, which locks no more memory. Called after `open`, by its only thread.
    ///
    /// - Throws: `ServerError` with the limit that does not allow it.
    package static func prepareThreads(
        of configuration: Configuration, othersCount: Int
    ) throws {
        do {
            try configuration.opened?.prepareThreads(othersCount: othersCount)
        } catch {
            throw ServerError(error)
        }
    }

    /// Whether the server was told to stop and another process can listen where it did.
    package var hasLeftListeners: Bool {
        state.withLock { state in
            switch state {
            case .new, .waiting: false
            case .running(let reactor, _): reactor.hasLeftListeners
            case .ended: true
            }
        }
    }

    /// Whether every shard has completed a turn since the last call; true where nothing runs.
    package func takePulse() -> Bool {
        state.withLock { state in
            guard case .running(let reactor, _) = state else { return true }
            return reactor.takePulse()
        }
    }

    /// The sum of a counter over all shards, or of one shard.
    package func counter(_ counter: TFTPMetrics.Counter, shard: Int? = nil) -> UInt64 {
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

    /// The threads, while they run, and whether they are told to end.
    func running() -> (reactor: Reactor, isDraining: Bool)? {
        state.withLock { state in
            guard case .running(let reactor, let drain) = state else { return nil }
            return (reactor, drain != nil)
        }
    }

    // MARK: Running

    private func start() throws -> Reactor {
        if let problem = configuration.problem { throw ServerError(.configuration, problem) }
        do {
            let reactor = try Reactor(configuration.forReactor, handler: handler)
            if let sealedFolder { sealedFolder.begin(try reactor.folder()) }
            try reactor.start()
            started.withLock { $0 = StartTime() }
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

    /// Goes to another state, and returns the tasks that waited for it.
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
            // A cancelled task does not sleep; the pause keeps it from spinning until the shards
            // notice.
            await TFTPServer.pause(milliseconds: 25)
        }
    }

    /// Waits until the handlers that were cancelled have noticed: what they use may be gone when
    /// `run` has returned. One that hangs is left to itself.
    private func handlersEnd(_ reactor: Reactor) async {
        let end = ContinuousClock.now + configuration.handlerTimeout
        while reactor.handlerTaskCount > 0 {
            guard ContinuousClock.now < end else {
                return notes.add("\(reactor.handlerTaskCount) handlers do not end")
            }
            await TFTPServer.pause(milliseconds: 5)
        }
    }

    private static func pause(milliseconds: Int) async {
        // Detached, so that a cancelled task pauses as well.
        await Task.detached { try? await Task.sleep(for: .milliseconds(milliseconds)) }.value
    }
}

/// Why a server did not start or is not there any more: one line that says what happened and what
/// to do.
public struct ServerError: Error, CustomStringConvertible, Sendable {
    /// What to change in the configuration, for a program that knows its own words for it.
    public enum Reason: Sendable, Equatable {
        /// A value of the configuration is out of its range.
        case configuration
        /// The folder cannot be opened, or may not be read.
        case folder
        /// The folder of snapshots has no current one.
        case snapshots
        /// The user may not listen on that port.
        case privilegedPort
        /// The address or port is not free, or not one of this host.
        case address
        /// Fewer free ports in the range than shards.
        case ports
        /// A limit of the process, the user or the machine, or a kernel without io_uring.
        case machine
        /// `run` has returned, or was never called.
        case ended
    }

    public let reason: Reason
    /// The line.
    public let description: String

    init(_ error: StartError) {
        description = error.description
        reason =
            switch error {
            case .root: .folder
            case .snapshots: .snapshots
            case .listen(_, .permissionDenied), .listen(_, .notPermitted): .privilegedPort
            case .listen, .passedSocket, .tooManyAddresses: .address
            case .portsExhausted: .ports
            case .openat2, .transferSocket, .wakeup, .ring, .memory, .thread, .threads: .machine
            }
    }

    init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }

    static let ended = ServerError(.ended, "the server has ended")
}
