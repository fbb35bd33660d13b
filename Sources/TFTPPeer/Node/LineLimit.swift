/// A number of lines, or of queries, a second, and a few more at once.
struct LineLimit: Sendable {
    private let burst: Double
    private let perSecond: Double
    private var left: Double
    private var filledAt: ContinuousClock.Instant?

    init(burst: Double = 20, perSecond: Double = 5) {
        (self.burst, self.perSecond, left) = (burst, perSecond, burst)
    }

    /// Whether there may be one more.
    mutating func take(at now: ContinuousClock.Instant) -> Bool {
        if let filledAt {
            left = min(burst, left + (now - filledAt) / .seconds(1) * perSecond)
        }
        filledAt = now
        guard left >= 1 else { return false }
        left -= 1
        return true
    }
}
