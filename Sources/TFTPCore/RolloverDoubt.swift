/// Whether a receiver in lockstep counts on with 1 after block 65535, as its sender finds out.
///
/// Block 0 is sent first, and again. Sent as 1 the same block would be the next one for a receiver
/// that has taken a 0, or still will: the wrong bytes in its place. So silence decides nothing, for
/// a receiver that has paused may find every 0 when it comes back; only one that asks again and
/// again, each time after another 0, has not taken them.
package struct RolloverDoubt: BitwiseCopyable, Sendable {
    /// How often it has asked after one more block 0.
    private var count: UInt8 = 0
    /// It has asked since the latest block 0.
    private var isAsked = false
    /// The block has gone out as 1. A receiver that acknowledges 0 now may have taken both.
    package private(set) var hasTried = false

    /// A receiver that does not answer packets that it cannot use repeats its ACK by a clock, and
    /// the network may lose a block 0.
    package static let countMin: UInt8 = 3

    /// No doubt yet.
    package init() {}

    /// The ACK of 65535 came again although block 0 is out.
    package mutating func stepRepeatedAck() { isAsked = true }

    /// Block 0 would go out once more.
    ///
    /// - Returns: whether it is to go out as 1 from now on.
    package mutating func stepRepeat() -> Bool {
        guard isAsked, !hasTried else { return false }
        isAsked = false
        count += 1
        hasTried = count >= RolloverDoubt.countMin
        return hasTried
    }
}
