internal import FoundationEssentials
package import Logging

/// A node's part in its fleet, in addition to serving: it receives its orders, carries them out,
/// and reports its state. If the engine fails, the node serves what it was told last.
package actor FleetAgent {
    /// What the agent has done at its node.
    package struct Actions: Sendable {
        /// Makes a set current that is here.
        ///
        /// - Returns: false where it is not here.
        package var serve: @Sendable (String) async throws -> Bool
        /// The set that newcomers get; nil for none.
        package var serving: @Sendable () async -> String?
        /// The sets that are here.
        package var ready: @Sendable () async -> [String]
        /// Brings a set here.
        package var bring: @Sendable (String) async throws -> Void

        /// See the properties.
        package init(
            serve: @escaping @Sendable (String) async throws -> Bool,
            serving: @escaping @Sendable () async -> String?,
            ready: @escaping @Sendable () async -> [String],
            bring: @escaping @Sendable (String) async throws -> Void
        ) {
            (self.serve, self.serving, self.ready, self.bring) = (serve, serving, ready, bring)
        }
    }

    private let engine: any FleetEngine
    private let actions: Actions
    private let logger: Logger
    private let file: String
    private var view: FleetView
    private var report: NodeReport
    private var bringing: [String: Task<Void, Never>] = [:]
    private var isAwayNoted = false
    /// Whether the node has been registered, and its key has gone since.
    private var isRegistered = false
    private var isKeyMissing = false
    /// The process of another node with this node's name, as the log says.
    private var clashNoted: String?
    private var outdatedNoted: CurrentSet?
    /// Says that there may be something to do, and to report, once for any number of times.
    private let work: (signals: AsyncStream<Void>, tell: AsyncStream<Void>.Continuation)
    private let news: (signals: AsyncStream<Void>, tell: AsyncStream<Void>.Continuation)
    /// Sets that could not be brought, as the log says.
    private var missing: Set<String> = []

    private static let reportInterval = Duration.seconds(5)
    private static let retryInterval = Duration.seconds(2)

    /// - Parameters:
    ///   - address: where the node's clients ask.
    ///   - file: where is kept what the node was told last.
    package init(
        _ engine: any FleetEngine, place: FleetPlace, address: String, file: String,
        actions: Actions, logger: Logger
    ) {
        self.engine = engine
        self.actions = actions
        self.logger = logger
        self.file = file
        view = FleetView(place: place, accepted: FleetAgent.remembered(file, place))
        report = NodeReport(address: address)
        report.process = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        report.boot = FleetAgent.boot
        let work = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let news = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.work = (work.stream, work.continuation)
        self.news = (news.stream, news.continuation)
    }

    /// Takes part until the task is cancelled.
    package nonisolated func run() async {
        await withTaskGroup { group in
            group.addTask { await self.hear() }
            group.addTask { await self.keepReporting() }
            group.addTask { await self.keepServing() }
            group.addTask { await self.tick(self.work.tell, every: FleetAgent.retryInterval) }
            group.addTask { await self.tick(self.news.tell, every: FleetAgent.reportInterval) }
        }
    }

    private nonisolated func tick(
        _ signal: AsyncStream<Void>.Continuation, every interval: Duration
    ) async {
        while !Task.isCancelled {
            signal.yield()
            let share = Double.random(in: 0.8...1.2)
            try? await Task.sleep(for: interval * share)
        }
        signal.finish()
    }

    private func hear() async {
        let clock = ContinuousClock()
        let started = clock.now
        for await change in engine.changes(for: view.place) {
            let isOther = view.apply(change, now: clock.now - started)
            note(change)
            checkRegistration(change)
            if isOther { remember() }
            if change.mayBeAnOrder { work.tell.yield() }
        }
    }

    /// The key of a node may be deleted, by an operator or with the lease of another node that has
    /// used the same name.
    private func checkRegistration(_ change: FleetChange) {
        let entry: FleetView.Entry?
        switch change {
        case .all(let entries, _): entry = entries[view.place.key]
        case .put(view.place.key, let new): entry = new
        case .gone(view.place.key, _): entry = nil
        case .stale, .put, .gone, .away: return
        }
        guard isRegistered else { return }
        guard let entry else {
            isKeyMissing = true
            news.tell.yield()
            return
        }
        guard let other = FleetValue.read(NodeReport.self, entry.text), report.clashes(with: other),
            clashNoted != other.process
        else { return }
        clashNoted = other.process
        logger.error(
            "fleet: another node, at \(other.address), has registered as '\(view.place.node)' in \(view.place.hall)/\(view.place.rack), as this one at \(report.address) has: give one of them another name"
        )
    }

    private func note(_ change: FleetChange) {
        switch change {
        case .away(let reason):
            guard !isAwayNoted else { return }
            isAwayNoted = true
            logger.warning("fleet: \(reason); this node serves what it was told last")
        case .all:
            if isAwayNoted { logger.notice("fleet: etcd answers again") }
            isAwayNoted = false
        case .stale, .put, .gone: break
        }
        for key in view.refused { logger.error("fleet: \(key) cannot be read and changes nothing") }
        guard view.outdated != outdatedNoted else { return }
        outdatedNoted = view.outdated
        guard let word = view.outdated, let accepted = view.accepted else { return }
        logger.warning(
            "fleet: '\(word.set)' by \(word.by) is not served: that word (\(word.at)) is older than the accepted one for '\(accepted.set)' (\(accepted.at)); promote it again"
        )
    }

    /// One thing after the other. What cannot be done now is done later: a set that is still to
    /// come, say.
    private func keepServing() async {
        for await _ in work.signals { await act() }
    }

    private func act() async {
        let wanted = view.accepted?.set
        for set in view.staged + [wanted].compactMap({ $0 }) { await bring(set) }
        guard let wanted, await actions.serving() != wanted else { return }
        // The order may have changed while the disk was asked.
        guard view.accepted?.set == wanted else {
            work.tell.yield()
            return
        }
        do {
            guard try await actions.serve(wanted) else { return }
            logger.notice("fleet: serves '\(wanted)' by order of \(view.accepted?.by ?? "?")")
        } catch {
            logger.error("fleet: '\(wanted)' cannot be served: \(error)")
        }
        news.tell.yield()
        if view.accepted?.set != wanted { work.tell.yield() }
    }

    private func bring(_ set: String) async {
        guard bringing[set] == nil, await !actions.ready().contains(set) else { return }
        guard bringing[set] == nil else { return }
        bringing[set] = Task {
            do {
                try await actions.bring(set)
                logger.notice("fleet: '\(set)' is here")
                work.tell.yield()
                news.tell.yield()
            } catch {
                // It is tried again and again, and said once.
                if missing.insert(set).inserted {
                    logger.warning("fleet: '\(set)' cannot be brought here: \(error)")
                }
                try? await Task.sleep(for: FleetAgent.reportInterval)
            }
            bringing[set] = nil
        }
    }

    private func keepReporting() async {
        for await _ in news.signals { await send() }
    }

    private func send() async {
        report.serving = await actions.serving()
        report.ready = await actions.ready()
        report.isDraining = view.isDraining
        let isMissing = isKeyMissing
        isKeyMissing = false
        do throws(FleetFailure) {
            try await engine.report(report, of: view.place, isMissing: isMissing)
            isRegistered = true
        } catch {
            isKeyMissing = isKeyMissing || isMissing
            logger.debug("fleet: \(error)")
        }
    }

    /// Of the host's kernel, new with each start of the host.
    private static var boot: String? {
        FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id").map {
            String(decoding: $0.prefix(8), as: UTF8.self)
        }
    }

    // MARK: The file

    private struct Remembered: Codable {
        var fleet: String
        var current: CurrentSet
    }

    private static func remembered(_ file: String, _ place: FleetPlace) -> CurrentSet? {
        guard let data = FileManager.default.contents(atPath: file),
            let value = FleetValue.read(Remembered.self, String(decoding: data, as: UTF8.self)),
            value.fleet == place.fleet
        else { return nil }
        return value.current
    }

    /// Written to a temporary file and renamed, so that the file is always complete.
    private func remember() {
        guard let current = view.accepted else { return }
        let text = FleetValue.text(Remembered(fleet: view.place.fleet, current: current))
        do {
            try Data("\(text)\n".utf8).write(to: URL(filePath: file), options: .atomic)
        } catch {
            logger.error("fleet: \(file) cannot be written: \(error)")
        }
    }
}

extension FleetChange {
    /// Whether it may be something to do for the node.
    fileprivate var mayBeAnOrder: Bool {
        switch self {
        case .all, .stale: true
        case .put(let key, _), .gone(let key, _):
            switch key {
            case .current, .stage, .order: true
            case .node, .history: false
            }
        case .away: false
        }
    }
}
