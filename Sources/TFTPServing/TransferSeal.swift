internal import TFTPCore
package import TFTPSeal
package import TFTPStore
package import TFTPWire

/// What a sealed request turned out to ask for, and how its transfer is sealed. A shard keeps it as
/// long as the transfer lasts.
///
/// @unchecked Sendable: its maker releases it with the answer, and only the shard that takes it
/// changes it.
package final class TransferSeal: @unchecked Sendable {
    /// The true name and mode.
    package let name: FileName
    package let mode: TransferMode
    /// What is granted. The content is sealed in blocks of that blksize.
    let grant: Grant
    /// The OACK, the same however often it goes out.
    let oack: [UInt8]
    var packets: PacketSeal
    private let companion: any Sendable

    /// - Parameter companion: is kept as long as this.
    package init(
        name: FileName, mode: TransferMode, grant: Grant, oack: [UInt8], packets: PacketSeal,
        keeping companion: any Sendable
    ) {
        self.companion = companion
        self.name = name
        self.mode = mode
        var grant = grant
        grant.isSealed = true
        self.grant = grant
        self.oack = oack
        self.packets = packets
    }
}

/// The seals of one shard's transfers, by slot.
///
/// Kept apart from the shard, because what seals and opens allocates and retains: a transfer
/// without a seal comes here for one look at whether there are any.
@safe
struct SealTable: ~Copyable {
    /// Retained while in use. One place where no request can be sealed.
    private let places: Column<Unmanaged<TransferSeal>?>
    private var count = 0
    /// What was opened last.
    private let room: UnsafeMutableRawBufferPointer

    static let tagByteCount = PacketSeal.byteCount
    /// More than any payload.
    private static let roomByteCount = 65_536

    init(capacity: Int) {
        unsafe places = Column(repeating: nil, count: capacity)
        let byteCount = capacity > 0 ? SealTable.roomByteCount : 0
        unsafe room = .allocate(byteCount: byteCount, alignment: 16)
    }

    deinit { unsafe room.deallocate() }

    var isEmpty: Bool { count == 0 }

    func contains(_ slot: Int) -> Bool { unsafe count > 0 && places[slot] != nil }

    /// Takes what was retained for this shard, for `slot`, or releases it if its transfer has gone.
    @inline(never)
    mutating func take(_ seal: Unmanaged<TransferSeal>, _ slot: Int?) {
        guard let slot, !contains(slot) else { return unsafe seal.release() }
        unsafe places[slot] = seal
        count += 1
    }

    @inline(never)
    mutating func release(_ slot: Int) {
        guard let seal = unsafe places[slot] else { return }
        unsafe places[slot] = nil
        count -= 1
        unsafe seal.release()
    }

    /// The seal of `slot`, which has one.
    private subscript(slot: Int) -> TransferSeal {
        guard let seal = unsafe places[slot] else {
            preconditionFailure("the transfer has no seal")
        }
        return unsafe seal.takeUnretainedValue()
    }

    // MARK: What is sealed

    @inline(never)
    func grant(of slot: Int) -> Grant? { contains(slot) ? self[slot].grant : nil }

    /// Puts what was inside of the request in place of what was outside.
    @inline(never)
    func unseal(_ request: inout PendingRequest, _ slot: Int) {
        request.name = self[slot].name
        guard request.opcode == .rrq else {
            request.mode = self[slot].mode
            return
        }
        // What is read was translated, or a part of it cut out, before it was sealed.
        request.options.offset = nil
        request.options.length = nil
    }

    /// The OACK; stays until the next call.
    @inline(never)
    mutating func oack(of slot: Int) -> UnsafeRawBufferPointer { unsafe keep(self[slot].oack) }

    @inline(never)
    func tag(ack block: UInt64, _ slot: Int) -> InlineArray<16, UInt8> {
        self[slot].packets.tag(ack: block)
    }

    /// The sealed message of an ERROR; empty when there may be none any more. Stays until the next
    /// call.
    @inline(never)
    mutating func errorMessage(
        _ code: ErrorCode, _ reason: StaticString, _ slot: Int
    ) -> UnsafeRawBufferPointer {
        let message = self[slot].packets.errorMessage(code, reason.rawSpan) ?? []
        return unsafe keep(message)
    }

    // MARK: What is opened

    @inline(never)
    func isAuthentic(ack block: UInt64, tag: RawSpan, _ slot: Int) -> Bool {
        self[slot].packets.isAuthentic(ack: block, tag: tag)
    }

    /// The content of DATA `block`, which stays until the next call; nil if it was not sealed with
    /// the keys.
    @inline(never)
    mutating func open(
        _ payload: RawSpan, block: UInt64, _ slot: Int
    ) -> UnsafeRawBufferPointer? {
        let count = unsafe self[slot].packets.open(payload, block: block, into: room)
        guard let count else { return nil }
        return unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
    }

    /// What an ERROR says; the text stays until the next call.
    @inline(never)
    mutating func open(
        errorMessage message: RawSpan, _ slot: Int
    ) -> (code: ErrorCode, text: UnsafeRawBufferPointer)? {
        guard let (code, text) = self[slot].packets.open(errorMessage: message) else { return nil }
        return unsafe (code, keep(text))
    }

    private func keep(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        unsafe room.copyBytes(from: bytes)
        return unsafe UnsafeRawBufferPointer(rebasing: room[..<bytes.count])
    }
}
