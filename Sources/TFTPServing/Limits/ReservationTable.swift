internal import TFTPCore

/// By transfer: blocks that are reserved at the rates of its client and network, and when they may
/// go out.
struct ReservationTable: ~Copyable {
    private struct Reservation: BitwiseCopyable {
        /// Nanoseconds.
        var time: UInt64 = 0
        /// 0: nothing is reserved.
        var blockCount: UInt32 = 0
        /// Nothing is reserved yet: `time` is when that may be.
        var isTurn = false
        /// The transfer's deadline is `time`.
        var isAwaited = false
    }

    private let reservations: Column<Reservation>

    /// - Parameter capacity: slots of the transfer table; 0 where bytes are not limited.
    init(capacity: Int) { reservations = Column(repeating: Reservation(), count: capacity) }

    func blockCount(of slot: Int) -> Int { Int(reservations[slot].blockCount) }

    /// When what is reserved may go out.
    func time(of slot: Int) -> UInt64 { reservations[slot].time }

    /// Whether `slot` waits until it may reserve.
    func isTurn(_ slot: Int) -> Bool { reservations[slot].isTurn }

    func isAwaited(_ slot: Int) -> Bool { reservations[slot].isAwaited }

    mutating func reserve(_ slot: Int, blockCount: Int, time: UInt64) {
        reservations[slot] = Reservation(time: time, blockCount: UInt32(blockCount))
    }

    /// One block may be reserved from `time` on.
    mutating func reserveTurn(_ slot: Int, time: UInt64) {
        reservations[slot] = Reservation(time: time, blockCount: 1, isTurn: true)
    }

    mutating func setAwaited(_ slot: Int, _ isAwaited: Bool) {
        reservations[slot].isAwaited = isAwaited
    }

    /// `count` blocks went out; what is left may go out at once.
    mutating func didSend(_ slot: Int, count: Int) {
        reservations[slot].blockCount -= min(UInt32(count), reservations[slot].blockCount)
    }

    /// Forgets what is reserved, and returns how many blocks that were.
    mutating func remove(_ slot: Int) -> Int {
        defer { reservations[slot] = Reservation() }
        return blockCount(of: slot)
    }
}
