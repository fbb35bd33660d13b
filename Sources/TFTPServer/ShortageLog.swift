internal import TFTPMetrics

/// Says what requests were refused for want of: the first time at once, then once a minute.
///
/// Sans-IO: the time and the counters are arguments.
struct ShortageLog {
    private static let all: [(counter: Counter, text: String)] = [
        (.shortOfTransfers, "the transfer table is full; allow more transfers at once"),
        (.shortOfUploads, "every place for an upload is taken"),
        (.shortOfPendings, "too many requests wait for the disk"),
        (
            .shortOfStore,
            "no file could be opened or no memory was left; raise the limit of open files, or the cache"
        ),
    ]
    private static let period = Duration.seconds(60)

    private var toldCounts: [Counter: UInt64] = [:]
    private var toldAt: [Counter: ContinuousClock.Instant] = [:]

    /// What is to be logged now.
    mutating func lines(
        now: ContinuousClock.Instant, count: (Counter) -> UInt64
    ) -> [String] {
        ShortageLog.all.compactMap { shortage in
            let total = count(shortage.counter)
            let refused = total - toldCounts[shortage.counter, default: 0]
            guard refused > 0 else { return nil }
            if let last = toldAt[shortage.counter], now - last < ShortageLog.period { return nil }
            toldCounts[shortage.counter] = total
            toldAt[shortage.counter] = now
            return "\(refused) requests refused: \(shortage.text)"
        }
    }
}
