internal import Glibc
internal import Logging
internal import Synchronization
package import TFTPCore
internal import TFTPMetrics
package import TFTPReactor
package import TFTPServing

/// When a server began, by both clocks.
struct StartTime: Sendable {
    let instant = ContinuousClock.now
    let date = Timestamp.now
    let unixSeconds = Timestamp.unixSeconds
}

extension TFTPServer {
    /// What the server does at this moment; nil while it does not run.
    ///
    /// Blocks the caller until each shard has come round, usually less than a millisecond, a second
    /// at most for each; and until transfers that have failed are known, usually 50 ms.
    ///
    /// - Parameter rowsMax: how many running transfers are shown; all are counted.
    package func status(rowsMax: Int = 1024) -> ServerStatus? {
        guard let (reactor, isDraining) = running() else { return nil }
        inspector.catchUp()
        var status = ServerStatus()
        let start = started.withLock { $0 } ?? StartTime()
        status.version = configuration.version
        status.processID = getpid()
        status.startedAt = start.date
        status.uptimeSeconds = (ContinuousClock.now - start.instant) / .seconds(1)
        status.state = isDraining ? "draining" : "serving"
        status.root = configuration.root
        status.hasSnapshots = configuration.snapshotHold != nil
        status.upload = configuration.upload.rawValue
        status.listening = reactor.listening.map(\.description)
        status.policies = configuration.policyLines
        status.problems = inspector.problems
        status.totals = TotalsStatus(reactor)
        status.cache = CacheStatus(reactor, sizeByteCount: configuration.cacheSize)
        status.shards = (0..<reactor.shardCount).map { ShardStatus(reactor, shard: $0) }
        status.take(
            reactor.shardStates(rowsMax: rowsMax / reactor.shardCount + 1), rowsMax: rowsMax)
        return status
    }

    /// Copies what goes to and from the addresses of `client` until its `end`; nil while the server
    /// does not run or there is another trace.
    package func trace(_ client: TFTPCore.Network) -> ReactorTrace? {
        running()?.reactor.trace(client)
    }

    /// Has `body` called for every transfer that begins (at log level `debug`) or ends; nil when
    /// too many do already.
    package func follow(_ body: @escaping @Sendable (TransferRecord) -> Void) -> RecordFollower? {
        inspector.follow(body).map { RecordFollower(inspector: inspector, number: $0) }
    }

    /// The line at the start.
    func logStart(_ reactor: Reactor) {
        let addresses = reactor.listening.map(\.description).joined(separator: ", ")
        let count = reactor.shardCount
        let text =
            "serving \(PrintableName.quoted(configuration.root)) on \(addresses): uploads "
            + "\(configuration.upload.logText), \(count) \(count == 1 ? "shard" : "shards"), cache "
            + "\(Rounded.bytes(UInt64(configuration.cacheSize))), version \(configuration.version)"
        let fields: Logger.Metadata = [
            "root": "\(configuration.root)", "upload": "\(configuration.upload.rawValue)",
            "listening": .array(reactor.listening.map { "\($0.description)" }),
            "shards": .stringConvertible(count), "version": "\(configuration.version)",
            "cache": .stringConvertible(configuration.cacheSize),
        ]
        logger.info("\(text)", metadata: configuration.logsFields ? fields : nil)
    }
}

extension TFTPServer.Configuration.Upload {
    fileprivate var logText: String {
        switch self {
        case .deny: "denied"
        case .create: "of new files"
        case .existing: "of files that exist"
        case .overwrite: "of any file"
        }
    }
}

/// Ends what `TFTPServer.follow` began.
package struct RecordFollower: Sendable {
    let inspector: Inspector
    let number: Int

    package func end() { inspector.unfollow(number) }
}

extension ServerStatus {
    fileprivate mutating func take(_ states: [ShardState], rowsMax: Int) {
        for phase in TransferView.Phase.allCases {
            let count = states.reduce(0) { $0 + $1.phaseCounts[Int(phase.rawValue)] }
            phases[phase.label] = count
        }
        waitingCount = states.reduce(0) { $0 + $1.parkedCount }
        running = states.flatMap { state in
            state.rows.map { TransferStatus($0, shard: state.index) }
        }
        // Transfers without progress first.
        running.sort { ($0.idleSeconds, $0.client) > ($1.idleSeconds, $1.client) }
        running = Array(running.prefix(rowsMax))
    }
}

extension TotalsStatus {
    init(_ reactor: Reactor) {
        requestsRead = reactor.counter(.requestsRead)
        requestsWrite = reactor.counter(.requestsWrite)
        done = reactor.counter(.transfersDone)
        failed = reactor.counter(.transfersFailed)
        refused = reactor.counter(.requestsRefused)
        bytesSent = reactor.counter(.bytesSent)
        bytesReceived = reactor.counter(.bytesReceived)
        blocksResent = reactor.resentCount(isUpload: false) + reactor.resentCount(isUpload: true)
        recordsDropped = reactor.counter(.recordsDropped)
        for reason in RefusalReason.allCases where reason != .none {
            let count = reactor.refusalCount(reason)
            if count > 0 { refusals[reason.label] = count }
        }
        for pattern in MissPattern.allCases {
            let count = reactor.missCount(pattern)
            if count > 0 { misses[pattern.label] = count }
        }
    }
}

extension CacheStatus {
    init(_ reactor: Reactor, sizeByteCount: Int) {
        self.sizeByteCount = sizeByteCount
        usedByteCount = reactor.usedByteCount
        imageCount = reactor.imageCount
        evictedCount = reactor.evictedExtentCount
        readByteCount = reactor.readByteCount
    }
}

extension ShardStatus {
    init(_ reactor: Reactor, shard: Int) {
        index = shard
        activeCount = reactor.activeCount(shard: shard)
        cpuSeconds = reactor.cpuSeconds(shard: shard)
        turns = reactor.counter(.turns, shard: shard)
        datagramsReceived = reactor.counter(.datagramsReceived, shard: shard)
        blocksSent = reactor.counter(.blocksSent, shard: shard)
        bytesSent = reactor.counter(.bytesSent, shard: shard)
    }
}
