internal import CLinux
internal import Glibc
internal import TFTPCore

/// Message headers, I/O vectors and small packets of the sends of one turn.
///
/// Sends complete inside the enter that submits them (MSG_DONTWAIT), so all of this is scratch:
/// `reset` after the kernel has taken every SQE, and the next turn writes over it.
@safe
struct Outbox: ~Copyable {
    static let messagesMax = 1024
    static let partsMax = 16_384
    static let bytesMax = 512 * 1024
    private static let bytesReserved = 64 * 1024
    /// Messages that windows leave free for ACKs, OACKs and ERRORs: one for each completion of a
    /// drain.
    static let messagesReserved = 320

    private let messages: UnsafeMutablePointer<clinux_message>
    private let parts: UnsafeMutablePointer<clinux_part>
    private let bytes: UnsafeMutableRawPointer
    private(set) var messageCount = 0
    private var partCount = 0
    private var byteCount = 0

    init() {
        unsafe messages = .allocate(capacity: Outbox.messagesMax)
        unsafe messages.initialize(repeating: clinux_message(), count: Outbox.messagesMax)
        unsafe parts = .allocate(capacity: Outbox.partsMax)
        unsafe parts.initialize(repeating: clinux_part(), count: Outbox.partsMax)
        unsafe bytes = .allocate(byteCount: Outbox.bytesMax, alignment: 64)
    }

    deinit {
        unsafe messages.deallocate()
        unsafe parts.deallocate()
        unsafe bytes.deallocate()
    }

    mutating func reset() {
        messageCount = 0
        partCount = 0
        byteCount = 0
    }

    /// Room for one control packet.
    var hasRoom: Bool { messageCount < Outbox.messagesMax && partCount < Outbox.partsMax - 1 }

    /// Room for a batch of `segments` blocks as one or as many messages.
    func hasRoom(messages count: Int, segments: Int) -> Bool {
        messageCount + count <= Outbox.messagesMax - Outbox.messagesReserved
            && partCount + 3 * segments + 1 < Outbox.partsMax
    }

    /// The next vectors to fill; `commit` says how many were.
    var nextParts: UnsafeMutablePointer<clinux_part> { unsafe parts + partCount }

    /// `count` bytes that stay until the reset, or nil if there is no room.
    mutating func take(byteCount count: Int) -> UnsafeMutableRawBufferPointer? {
        guard byteCount + count <= Outbox.bytesMax else { return nil }
        let start = unsafe bytes + byteCount
        byteCount += (count + 7) & ~7
        return unsafe UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    /// The same for a translated text, which leaves room for ACKs, OACKs and ERRORs.
    mutating func takeText(byteCount count: Int) -> UnsafeMutableRawBufferPointer? {
        guard byteCount + count <= Outbox.bytesMax - Outbox.bytesReserved else { return nil }
        return unsafe take(byteCount: count)
    }

    /// Makes a message of the next `count` vectors and returns its header.
    mutating func commit(
        parts count: Int, to flow: Flow, isIPv6: Bool, tellsLocal: Bool, segmentByteCount: Int
    ) -> UnsafeRawPointer {
        assert(messageCount < Outbox.messagesMax && partCount + count <= Outbox.partsMax)
        let message = unsafe messages + messageCount
        let peer = flow.peer
        var local = clinux_address(high: flow.local.high, low: flow.local.low)
        let toldLocal = tellsLocal && !flow.local.isUnspecified
        unsafe withUnsafePointer(to: &local) { local in
            unsafe clinux_message_prepare(
                message, parts + partCount, UInt32(count),
                clinux_address(high: peer.address.high, low: peer.address.low), peer.port, isIPv6,
                toldLocal ? local : nil, UInt16(segmentByteCount))
        }
        messageCount += 1
        partCount += count
        return UnsafeRawPointer(message)
    }
}
