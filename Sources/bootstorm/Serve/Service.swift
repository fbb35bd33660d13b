internal import Logging
internal import Synchronization
internal import TFTPMetrics
internal import TFTPServer

/// A running server as a service: what signals do to it, and what it reports to the service
/// manager.
final class Service: Sendable {
    private let server: TFTPServer
    private let manager: ServiceManager
    private let logger: Logger
    private let drain: Duration
    private let startedAt = ContinuousClock.now
    private let state = Mutex(State())
    /// Reads the configuration again.
    private let reload: @Sendable () async -> Void

    private struct State {
        var isStopping = false
        var isReloading = false
        /// Was asked for while another one ran.
        var reloadsAgain = false
        var stopSignalCount = 0
    }

    init(
        _ server: TFTPServer, manager: ServiceManager, logger: Logger, drain: Duration,
        reload: @escaping @Sendable () async -> Void
    ) {
        self.server = server
        self.manager = manager
        self.logger = logger
        self.drain = drain
        self.reload = reload
    }

    // MARK: Events

    /// Handles events until the task is cancelled.
    func handle(_ events: AsyncStream<ServiceEvent>) async {
        for await event in events {
            switch event {
            case .stopSignal: stop(isSignal: true)
            case .stopMessage: stop(isSignal: false)
            case .reload: beginReload()
            case .report: logger.notice("\(statusLine)")
            case .toggleDebug:
                let level = LogLevel.toggleDebug()
                logger.log(level: max(level, .notice), "log level is now \(level)")
            }
        }
    }

    /// The first signal lets running transfers finish; the second ends at once.
    private func stop(isSignal: Bool) {
        let (isFirst, signalCount) = state.withLock { state in
            defer { state.isStopping = true }
            if isSignal { state.stopSignalCount += 1 }
            return (!state.isStopping, state.stopSignalCount)
        }
        if signalCount > 1 {
            LogWriter.flush()
            endProcess(1)
        }
        guard isFirst else { return }
        manager.notify("STOPPING=1", "STATUS=Draining \(server.activeTransferCount) transfers")
        server.stop(drain: drain)
        Task { await drainEnds() }
    }

    /// Reloads on a task of its own, one at a time: a stop does not wait for it.
    private func beginReload() {
        let begins = state.withLock { state in
            state.reloadsAgain = state.isReloading
            defer { state.isReloading = true }
            return !state.isReloading
        }
        if begins { Task { await reloadNow() } }
    }

    private func reloadNow() async {
        repeat {
            manager.reloading()
            await reload()
            manager.notify("READY=1")
        } while endReload()
    }

    /// Whether another reload was asked for meanwhile.
    private func endReload() -> Bool {
        state.withLock { state in
            state.isReloading = state.reloadsAgain
            defer { state.reloadsAgain = false }
            return state.reloadsAgain
        }
    }

    // MARK: The service manager

    /// The server answers: tells the service manager, now and for as long as the task runs.
    func keepNotifying() async {
        manager.notify("READY=1", "STATUS=\(statusLine)")
        guard manager.isPresent else { return }
        await withTaskGroup { group in
            group.addTask { await self.keepStatus() }
            if let period = manager.environment.watchdog {
                group.addTask { await self.keepWatchdog(period) }
            }
        }
    }

    /// Feeds the watchdog as long as every shard completes its turns; a shard that hangs stops
    /// that.
    private func keepWatchdog(_ period: Duration) async {
        _ = server.takePulse()
        while await Service.sleep(period / 4) {
            if server.takePulse() { manager.notify("WATCHDOG=1") }
        }
    }

    private func keepStatus() async {
        while await Service.sleep(.seconds(10)) {
            let isStopping = state.withLock(\.isStopping)
            if !isStopping { manager.notify("STATUS=\(statusLine)") }
        }
    }

    /// Says when nothing listens any more; and where this is the main process, that stopping takes
    /// as long as it does.
    private func drainEnds() async {
        while !server.hasLeftListeners {
            guard await Service.sleep(.milliseconds(2)) else { return }
        }
        manager.released()
        guard !manager.leavesMain else { return }
        while await Service.sleep(.seconds(1)) {
            manager.notify(
                "EXTEND_TIMEOUT_USEC=5000000",
                "STATUS=Draining \(server.activeTransferCount) transfers")
        }
    }

    /// One line that says how the server does.
    private var statusLine: String {
        let seconds = (ContinuousClock.now - startedAt) / .seconds(1)
        return """
            serving: \(server.activeTransferCount) transfers active, \(server.counter(.transfersDone)) done, \
            \(server.counter(.transfersFailed)) failed, \(server.counter(.requestsRefused)) requests refused, \
            \(server.counter(.requestsBusy)) busy, \(server.counter(.bytesSent)) bytes sent, \
            up \(Int(seconds)) s
            """
    }

    /// False: the task was cancelled.
    private static func sleep(_ duration: Duration) async -> Bool {
        (try? await Task.sleep(for: duration)) != nil
    }
}

/// The level of every logger of the process, which SIGUSR2 changes while it runs.
enum LogLevel {
    private struct State {
        var configured = Logger.Level.info
        var isDebug = false
    }

    private static let state = Mutex(State())

    static var current: Logger.Level {
        state.withLock { $0.isDebug ? min($0.configured, .debug) : $0.configured }
    }

    static func configure(_ level: Logger.Level) { state.withLock { $0.configured = level } }

    /// Turns level debug on, or back to what was configured. Returns the level from now on.
    static func toggleDebug() -> Logger.Level {
        state.withLock { $0.isDebug.toggle() }
        return current
    }
}
