internal import TFTPMetrics
internal import TFTPReactor

/// What clients were refused for want of something, or by a limit: a line a minute for each at
/// most, however many they are.
struct Shortages {
    private struct Kind {
        var counter: Counter
        /// What is said behind the number.
        var text: String
        var told: UInt64 = 0
        var toldAt: ContinuousClock.Instant?
    }

    private static let pause = Duration.seconds(60)
    private var kinds = [
        Kind(
            counter: .repliesWithheld,
            text:
                "replies withheld from clients that acknowledged nothing: their network has had its share"
        ),
        Kind(
            counter: .transfersEvicted,
            text: "transfers ended that no client had acknowledged: others needed their place"),
        Kind(
            counter: .uploadsEvicted,
            text: "uploads ended that had stopped moving: others needed their place"),
        Kind(
            counter: .requestsLimited,
            text: "requests refused by the access list or the limits of their client or network"),
    ]

    /// The lines that are due.
    mutating func lines(_ reactor: Reactor, now: ContinuousClock.Instant) -> [String] {
        lines({ reactor.counter($0) }, now: now)
    }

    mutating func lines(
        _ value: (Counter) -> UInt64, now: ContinuousClock.Instant
    ) -> [String] {
        var lines: [String] = []
        for index in kinds.indices {
            let count = value(kinds[index].counter)
            let isDue = kinds[index].toldAt.map { now - $0 >= Shortages.pause } ?? true
            guard count > kinds[index].told, isDue else { continue }
            lines.append("\(count - kinds[index].told) \(kinds[index].text)")
            kinds[index].told = count
            kinds[index].toldAt = now
        }
        return lines
    }
}
