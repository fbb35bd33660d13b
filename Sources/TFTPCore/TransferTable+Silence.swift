/// Peers that say nothing, as the server's budgets see them.
extension TransferTable {
    /// How long the peer of `slot` has brought no progress, in nanoseconds.
    package func silenceNanoseconds(of slot: Int, now: UInt64) -> UInt64 {
        elapsedSinceProgress(slot, now: now)
    }

    /// The deadline of `slot` has passed, but nothing more may be sent before its peer answers:
    /// waits on, or ends it.
    package mutating func stepSilence(_ slot: Int, now: UInt64) -> Effect {
        let (elapsed, patience) = (elapsedSinceProgress(slot, now: now), patience(of: slot))
        guard elapsed < patience else { return .end(.timedOut) }
        schedule(slot, in: patience - elapsed, now: now)
        return .none
    }
}
