/// The lines about origins that the log has had in the last minute. Each reason is one line a
/// minute for each origin, however many files are asked for.
struct OriginLines: Sendable {
    private var writtenAt: [Int: [String: ContinuousClock.Instant]] = [:]

    static let interval = Duration.seconds(60)
    /// A reason may be in a server's words.
    private static let reasonsMax = 16

    /// Whether there is to be a line about this origin for this reason.
    mutating func take(_ origin: Int, _ reason: String, at now: ContinuousClock.Instant) -> Bool {
        var reasons = (writtenAt[origin] ?? [:]).filter { now - $0.value < OriginLines.interval }
        defer { writtenAt[origin] = reasons }
        guard reasons[reason] == nil, reasons.count < OriginLines.reasonsMax else { return false }
        reasons[reason] = now
        return true
    }
}
