/// The clock of a shard's turns: the monotonic clock without the time in which the process did not
/// run.
///
/// A process that was stopped (SIGSTOP, a suspended machine) has received nothing meanwhile.
/// Without this, every client would count as silent when it continues.
struct TurnClock {
    private var pausedNanoseconds: UInt64 = 0

    /// A turn that lasts so much longer than it was to sleep was a pause. Much less happens on a
    /// busy machine.
    static let pauseNanosecondsMin: UInt64 = 2_000_000_000

    /// - Parameters:
    ///   - monotonic: the kernel's clock.
    ///   - last: what this clock said at the latest turn.
    ///   - planned: how long the turn was to sleep; nil where nothing has a deadline.
    mutating func now(monotonic: UInt64, last: UInt64, planned: UInt64?) -> UInt64 {
        let now = monotonic &- pausedNanoseconds
        guard let planned, now > last else { return now }
        let elapsed = now - last
        guard elapsed > planned.addingReportingOverflow(Self.pauseNanosecondsMin).partialValue,
            elapsed > planned
        else { return now }
        pausedNanoseconds += elapsed - planned
        return last + planned
    }
}
