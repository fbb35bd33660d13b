/// How long nothing came from the server while machines were waiting for it. Sans-IO.
///
/// Times are nanoseconds of a clock that does not go back.
package struct Silence: Sendable, Equatable {
    /// When the latest packet came, or the wait for one began.
    private var since: UInt64
    /// The longest silence so far.
    package private(set) var longestNanoseconds: UInt64 = 0
    /// How long the current silence lasts; 0 if the server has just been heard or no machine waits.
    package private(set) var currentNanoseconds: UInt64 = 0

    package init(now: UInt64) { since = now }

    /// One look at the network has ended.
    ///
    /// - Parameters:
    ///   - isWaiting: whether any machine waits for the server.
    ///   - hasHeard: whether anything came from it.
    package mutating func step(isWaiting: Bool, hasHeard: Bool, now: UInt64) {
        guard isWaiting || hasHeard else {
            since = now
            currentNanoseconds = 0
            return
        }
        currentNanoseconds = now - min(since, now)
        longestNanoseconds = max(longestNanoseconds, currentNanoseconds)
        guard hasHeard else { return }
        since = now
        currentNanoseconds = 0
    }

    /// Of two threads' silences, what both saw at most: a server is silent when no thread receives
    /// from it.
    package func shared(with other: Silence) -> Silence {
        var both = self
        both.longestNanoseconds = min(longestNanoseconds, other.longestNanoseconds)
        both.currentNanoseconds = min(currentNanoseconds, other.currentNanoseconds)
        return both
    }
}
