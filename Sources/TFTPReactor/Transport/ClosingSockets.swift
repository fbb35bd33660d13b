internal import TFTPCore

/// The sockets that are on their way out of a port: a bit each, by number.
///
/// A socket leaves in three steps. Its receive is cancelled, behind everything that was queued for
/// it; the receive tells that it has ended; and when the kernel has taken all that was queued, the
/// socket is closed.
struct ClosingSockets: ~Copyable {
    private let closing: Column<UInt64>
    /// Those whose receive has still to be cancelled.
    private let uncancelled: Column<UInt64>
    /// Those whose receive has ended, while something that was queued for them may not be with the
    /// kernel yet.
    private let unclosed: Column<UInt64>

    enum Step: Equatable {
        /// The receive ended by itself, before it was cancelled: what is queued for the socket goes
        /// out first.
        case armAgain
        case close
        /// `takeClosable` tells when.
        case wait
    }

    init(capacity: Int) {
        closing = Column(repeating: 0, count: capacity / 64 + 1)
        uncancelled = Column(repeating: 0, count: capacity / 64 + 1)
        unclosed = Column(repeating: 0, count: capacity / 64 + 1)
    }

    func contains(_ index: Int) -> Bool { closing.hasBit(index) }

    func begin(_ index: Int) {
        closing.setBit(index)
        uncancelled.setBit(index)
    }

    /// The receive of a socket that is closing has completed for the last time.
    ///
    /// - Parameter isSubmitted: whether the kernel has taken everything that was queued.
    func stepEnded(_ index: Int, isSubmitted: Bool) -> Step {
        guard !uncancelled.hasBit(index) else { return .armAgain }
        guard isSubmitted else {
            unclosed.setBit(index)
            return .wait
        }
        closing.clearBit(index)
        return .close
    }

    /// One whose receive can be cancelled; `didCancel` says that it was. What is in `disarmed` has
    /// nothing to be cancelled yet.
    func nextUncancelled(except disarmed: borrowing Column<UInt64>) -> Int? {
        for word in 0..<uncancelled.count {
            let bits = uncancelled[word] & ~disarmed[word]
            if bits != 0 { return word * 64 + bits.trailingZeroBitCount }
        }
        return nil
    }

    func didCancel(_ index: Int) { uncancelled.clearBit(index) }

    /// One that had to wait, now that the kernel has taken everything.
    func takeClosable() -> Int? {
        for word in 0..<unclosed.count where unclosed[word] != 0 {
            let index = word * 64 + unclosed[word].trailingZeroBitCount
            unclosed.clearBit(index)
            closing.clearBit(index)
            return index
        }
        return nil
    }
}

extension Column<UInt64> {
    func hasBit(_ index: Int) -> Bool { self[index / 64] & (1 << UInt64(index % 64)) != 0 }

    func setBit(_ index: Int) { self[index / 64] |= 1 << UInt64(index % 64) }

    func clearBit(_ index: Int) { self[index / 64] &= ~(1 << UInt64(index % 64)) }
}
