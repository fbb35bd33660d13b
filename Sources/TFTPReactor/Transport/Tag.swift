/// What a completion belongs to: kind, generation and number in the 64 bits that a request carries.
enum Tag {
    enum Kind: UInt64 {
        case receive = 1
        case send = 2
        case wakeup = 3
        /// A send that the kernel is to cut into segments.
        case batch = 4
        /// Ending a receive, which completes only when there was none.
        case cancel = 5
        /// A deadline.
        case alarm = 6
    }

    static func receive(_ socket: Int) -> UInt64 { Kind.receive.rawValue << 56 | UInt64(socket) }

    static func send(slot: Int, generation: UInt32) -> UInt64 {
        Kind.send.rawValue << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
    }

    static func batch(slot: Int, generation: UInt32) -> UInt64 {
        Kind.batch.rawValue << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
    }

    /// A send that belongs to no transfer.
    static let sendToStranger = Kind.send.rawValue << 56 | 0xFFFF_FFFF
    static let wakeup = Kind.wakeup.rawValue << 56
    static let cancel = Kind.cancel.rawValue << 56

    /// The monotonic clock begins when the machine does, and 2^56 ns are more than two years.
    static func alarm(at nanoseconds: UInt64) -> UInt64 {
        Kind.alarm.rawValue << 56 | deadline(nanoseconds)
    }
    static func deadline(_ userData: UInt64) -> UInt64 { userData & 0xFF_FFFF_FFFF_FFFF }

    static func kind(_ userData: UInt64) -> Kind? { Kind(rawValue: userData >> 56) }
    static func number(_ userData: UInt64) -> Int { Int(userData & 0xFFFF_FFFF) }
    static func generation(_ userData: UInt64) -> UInt32 { UInt32(userData >> 32) & 0xFF_FFFF }
}
