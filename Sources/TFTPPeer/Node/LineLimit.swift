/// So many lines a second, and a few at once.
struct LineLimit: Sendable {
    private var left = LineLimit.burst
    private var filledAt: ContinuousClock.Instant?

    private static let burst = 20.0
    private static let perSecond = 5.0

    /// Whether one more line may be written.
    mutating func take(at now: ContinuousClock.Instant) -> Bool {
        if let filledAt {
            left = min(LineLimit.burst, left + (now - filledAt) / .seconds(1) * LineLimit.perSecond)
        }
        filledAt = now
        guard left >= 1 else { return false }
        left -= 1
        return true
    }
}
