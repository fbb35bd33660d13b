/// State of a running server, for `status` and metrics.
package struct ServerStatus: Codable, Sendable {
    /// Of this form. A field may be added without a new number.
    package var schema = 1
    package var version = ""
    package var processID: Int32 = 0
    /// RFC 3339, UTC.
    package var startedAt = ""
    package var uptimeSeconds: Double = 0
    /// `serving` or `draining`.
    package var state = "serving"
    package var root = ""
    package var hasSnapshots = false
    /// `deny`, `create`, `existing` or `overwrite`.
    package var upload = ""
    package var listening: [String] = []
    /// The settings that differ from the defaults, one per line.
    package var policies: [String] = []
    /// Transfers by phase.
    package var phases: [String: Int] = [:]
    /// How many of them wait for content.
    package var waitingCount = 0
    /// Running transfers, a bounded number.
    package var running: [TransferStatus] = []
    /// The latest transfers and requests that came to nothing, newest first.
    package var problems: [ProblemStatus] = []
    package var totals = TotalsStatus()
    package var cache = CacheStatus()
    package var shards: [ShardStatus] = []
    /// What other parts of the program add, such as peers.
    package var sections: [String: [String: String]] = [:]

    package init() {}
}

/// One running transfer.
package struct TransferStatus: Codable, Sendable {
    package var client = ""
    /// `RRQ` or `WRQ`.
    package var direction = ""
    /// What kind of client it looks like.
    package var kind = ""
    package var name = ""
    package var phase = ""
    /// One line: what it does, or what it waits for.
    package var explanation = ""
    package var mode = ""
    package var blksize = 512
    package var windowsize = 1
    /// The options of the request, while nothing has been granted, and those that were granted
    /// then.
    package var options: [String: UInt64] = [:]
    package var byteCount: UInt64 = 0
    /// Absent while unknown.
    package var sizeByteCount: UInt64?
    package var bytesPerSecond: Double = 0
    package var ageSeconds: Double = 0
    /// Since the client's last progress.
    package var idleSeconds: Double = 0
    /// Blocks sent more than once.
    package var resentCount = 0
    package var roundTripSeconds: Double?
    package var gapSeconds: Double = 0
    package var isSealed = false
    package var shard = 0
}

/// A request that was refused, or a transfer that failed, timed out or was aborted.
package struct ProblemStatus: Codable, Sendable {
    package var client = ""
    package var ageSeconds: Double = 0
    /// As the log says it.
    package var line = ""
    package var outcome = ""
    /// `RefusalReason.label`; absent where the client ended it.
    package var reason: String?
    package var name = ""
    /// How often the same has come since then, this one included.
    package var count = 1
}

package struct TotalsStatus: Codable, Sendable {
    package var requestsRead: UInt64 = 0
    package var requestsWrite: UInt64 = 0
    package var done: UInt64 = 0
    package var failed: UInt64 = 0
    package var refused: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var blocksResent: UInt64 = 0
    /// By `RefusalReason.label`, those that are not zero.
    package var refusals: [String: UInt64] = [:]
    /// Downloads of missing files by `MissPattern.label`, those that are not zero.
    package var misses: [String: UInt64] = [:]
    /// Log records that were dropped because the log is too slow.
    package var recordsDropped: UInt64 = 0
}

package struct CacheStatus: Codable, Sendable {
    package var sizeByteCount = 0
    package var usedByteCount = 0
    package var imageCount = 0
    package var evictedCount: UInt64 = 0
    package var readByteCount: UInt64 = 0
}

package struct ShardStatus: Codable, Sendable {
    package var index = 0
    package var activeCount = 0
    package var cpuSeconds: Double?
    package var turns: UInt64 = 0
    package var datagramsReceived: UInt64 = 0
    package var blocksSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
}
