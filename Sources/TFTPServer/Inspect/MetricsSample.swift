internal import Synchronization
internal import TFTPCore
package import TFTPMetrics
internal import TFTPReactor
internal import TFTPServing
internal import TFTPWire

/// Everything that a running server counts, at one moment.
package struct MetricsSample: Sendable {
    /// Transfers and refused requests that have ended, those that are not zero.
    package struct Transfers: Sendable {
        package var direction: String
        package var outcome: String
        package var kind: String
        package var count: UInt64
    }

    /// Of one direction: `read` or `write`.
    package struct Way: Sendable {
        package var direction: String
        package var requestCount: UInt64
        /// Payload of transfers that have ended.
        package var byteCount: UInt64
        /// Blocks sent more than once.
        package var resentCount: UInt64
        package var durations: DurationSnapshot
    }

    package var version = ""
    package var startedAtSeconds: Double = 0
    package var isDraining = false
    package var transfers: [Transfers] = []
    package var ways: [Way] = []
    /// By `RefusalReason.label`, also those that are zero.
    package var refusals: [(reason: String, count: UInt64)] = []
    /// Downloads of missing files by `MissPattern.label`, also those that are zero.
    package var misses: [(pattern: String, count: UInt64)] = []
    package var turnarounds = DurationSnapshot.empty
    /// Running transfers by phase, and how many of them wait for content.
    package var phases: [(phase: String, count: Int)] = []
    package var waitingCount = 0
    package var cache = CacheStatus()
    package var shards: [ShardStatus] = []
    /// The sum over all shards.
    package var counters: [TFTPMetrics.Counter: UInt64] = [:]
}

extension TFTPServer {
    /// What the server counts; nil while it does not run. Blocks the caller for a moment, as
    /// `status` does.
    package func metricsSample() -> MetricsSample? {
        guard let (reactor, isDraining) = running() else { return nil }
        var sample = MetricsSample()
        sample.version = configuration.version
        sample.startedAtSeconds = started.withLock { $0 }?.unixSeconds ?? 0
        sample.isDraining = isDraining
        sample.transfers = MetricsSample.transfers(reactor)
        sample.ways = [false, true].map { MetricsSample.way(reactor, isUpload: $0) }
        sample.refusals = RefusalReason.allCases.filter { $0 != .none }.map {
            ($0.label, reactor.refusalCount($0))
        }
        sample.misses = MissPattern.allCases.map { ($0.label, reactor.missCount($0)) }
        sample.turnarounds = reactor.turnarounds
        let states = reactor.shardStates(rowsMax: 0)
        sample.phases = TransferView.Phase.allCases.map { phase in
            (phase.label, states.reduce(0) { $0 + $1.phaseCounts[Int(phase.rawValue)] })
        }
        sample.waitingCount = states.reduce(0) { $0 + $1.parkedCount }
        sample.cache = CacheStatus(reactor, sizeByteCount: configuration.cacheSize)
        sample.shards = (0..<reactor.shardCount).map { ShardStatus(reactor, shard: $0) }
        for counter in TFTPMetrics.Counter.allCases {
            sample.counters[counter] = reactor.counter(counter)
        }
        return sample
    }

    /// Whether requests are answered at this moment, and new ones are.
    package var isReady: Bool { running().map { !$0.isDraining } ?? false }
}

extension MetricsSample {
    fileprivate static func transfers(_ reactor: Reactor) -> [Transfers] {
        var transfers: [Transfers] = []
        for isUpload in [false, true] {
            for outcome in Outcome.allCases {
                for kind in Fingerprint.allCases {
                    let count = reactor.transferCount(
                        isUpload: isUpload, outcome: outcome, kind: kind)
                    guard count > 0 else { continue }
                    transfers.append(
                        Transfers(
                            direction: isUpload ? "write" : "read", outcome: outcome.label,
                            kind: kind.label, count: count))
                }
            }
        }
        return transfers
    }

    fileprivate static func way(_ reactor: Reactor, isUpload: Bool) -> Way {
        Way(
            direction: isUpload ? "write" : "read",
            requestCount: reactor.counter(isUpload ? .requestsWrite : .requestsRead),
            byteCount: reactor.endedByteCount(isUpload: isUpload),
            resentCount: reactor.resentCount(isUpload: isUpload),
            durations: reactor.durations(isUpload: isUpload))
    }
}
