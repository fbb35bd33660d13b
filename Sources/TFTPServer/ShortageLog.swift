internal import TFTPMetrics

/// Says what clients were refused for want of something, or by a limit: the first time at once,
/// then once a minute for each kind.
///
/// Sans-IO: the time and the counters are arguments.
struct ShortageLog {
    private static let all: [(counter: Counter, text: String)] = [
        (
            .shortOfTransfers,
            "requests refused: the transfer table is full; allow more transfers at once"
        ),
        (.shortOfUploads, "requests refused: every place for an upload is taken"),
        (.shortOfPendings, "requests refused: too many requests wait for the disk"),
        (
            .shortOfStore,
            """
            requests refused: no file could be opened or no memory was left; raise the limit of open \
            files, or the cache
            """
        ),
        (
            .repliesWithheld,
            """
            replies withheld from clients that acknowledged nothing: their network has had its share
            """
        ),
        (
            .turnsRefused,
            """
            blocks withheld from clients that acknowledged nothing: as many wait as their share of \
            the bytes a second sends in four seconds
            """
        ),
        (
            .transfersEvicted,
            "transfers ended that no client had acknowledged: others needed their place"
        ),
        (.uploadsEvicted, "uploads ended that had stopped moving: others needed their place"),
        (
            .requestsLimited,
            "requests refused by the access list or the limits of their client or network"
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
            return "\(refused) \(shortage.text)"
        }
    }
}
