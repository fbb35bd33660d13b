package import TFTPCore
package import TFTPStore
internal import TFTPWire

/// What the server wants done, in the order of the effects.
///
/// At most four words, which travel in registers: what is larger stays in the queue and has a
/// number here.
package enum ServerEffect: BitwiseCopyable, Sendable {
    /// Send a small packet; `EffectQueue.packets` has it.
    case send(UInt32)
    /// Send blocks of what a transfer is about, and tell how far that went: `didSend`,
    /// `didFindNoRoom` or `park`.
    case sendBlocks(BlockOrder)
    /// Look for the name of `TransferServer.looked`, without waiting, and tell: `stepFound`,
    /// `stepNotFound`, `stepUnknown` or `stepLookFailed`.
    case look(slot: Int)
    /// Ask the store.
    case ask(StoreRequest)
    /// The transfers that end need this image no longer.
    case releaseImage(ImageID, isSupplied: Bool)
    /// A transfer has begun, so long after its request.
    case noteStart(waitedNanoseconds: UInt64)
    /// A transfer has ended; `EffectQueue.records` has what is said of it.
    case record(UInt32)
}

/// A small packet that is to go out.
package struct PacketOrder: BitwiseCopyable, Sendable {
    package var flow: Flow
    /// Whose it is; nil for a sender that no transfer belongs to.
    package var slot: UInt32?
    package var generation: UInt32
    var offset: UInt32
    var byteCount: UInt32
}

/// Blocks of one transfer that are due.
package struct BlockOrder: BitwiseCopyable, Sendable {
    package let first: UInt64
    private let slotNumber: UInt32
    /// A window has at most as many.
    private let blockCount: UInt16
    /// How many orders of this visit may follow.
    let batchesLeft: UInt8

    init(slot: Int, first: UInt64, count: Int, batchesLeft: Int) {
        self.first = first
        slotNumber = UInt32(slot)
        blockCount = UInt16(count)
        self.batchesLeft = UInt8(batchesLeft)
    }

    package var slot: Int { Int(slotNumber) }

    /// At least 1; fewer may go out.
    package var count: Int { Int(blockCount) }
}

/// Effects of the latest step, first in, first out, with the bytes and records that they name.
///
/// The driver of the server takes all of them before the next event. One step has few, whatever
/// arrives: a request may end the few transfers between its two parties, and each end is three
/// effects at most.
package struct EffectQueue: ~Copyable {
    private let effects: Column<ServerEffect>
    /// The packets of effects, until `takeFirst` returns nil.
    package let packets: Column<PacketOrder>
    /// The records of effects, until `takeFirst` returns nil.
    package let records: Column<TransferRecord>
    private var memory = PacketMemory()
    private var first = 0
    private var count = 0
    private var packetCount = 0
    private var recordCount = 0

    private static let effectsMax = 256
    private static let recordsMax = 64

    init() {
        effects = Column(uninitializedCount: EffectQueue.effectsMax)
        packets = Column(uninitializedCount: EffectQueue.effectsMax)
        records = Column(uninitializedCount: EffectQueue.recordsMax)
    }

    var isEmpty: Bool { first == count }

    mutating func append(_ effect: ServerEffect) {
        precondition(count < EffectQueue.effectsMax, "all effects are taken after each step")
        effects[count] = effect
        count += 1
    }

    mutating func append(_ record: TransferRecord) {
        precondition(recordCount < EffectQueue.recordsMax, "all effects are taken after each step")
        records[recordCount] = record
        append(.record(UInt32(recordCount)))
        recordCount += 1
    }

    /// Appends a packet of at most `byteCount` bytes that `write` fills in.
    mutating func append(
        byteCount: Int, to flow: Flow, slot: UInt32?, generation: UInt32,
        _ write: (inout OutputRawSpan) -> Void
    ) {
        let (offset, written) = memory.append(byteCount: byteCount, write)
        packets[packetCount] = PacketOrder(
            flow: flow, slot: slot, generation: generation, offset: offset, byteCount: written)
        append(.send(UInt32(packetCount)))
        packetCount += 1
    }

    /// Takes the next effect; nil when all is done, and then the memory of the others is used
    /// again.
    package mutating func takeFirst() -> ServerEffect? {
        guard first < count else {
            (first, count, packetCount, recordCount) = (0, 0, 0, 0)
            memory.removeAll()
            return nil
        }
        first += 1
        return effects[first - 1]
    }

    /// The bytes of a packet, until `takeFirst` returns nil.
    @unsafe
    package func bytes(ofPacket number: UInt32) -> UnsafeRawBufferPointer {
        unsafe memory.bytes(of: packets[Int(number)])
    }
}
