internal import TFTPCore
internal import TFTPWire

/// What the client wants done, in the order of the effects.
package enum ClientEffect: BitwiseCopyable {
    /// Send a small packet; `ClientEffectQueue.bytes(of:)` has it.
    case send(PacketOrder)
    /// Send blocks of the content, and tell how far that went: `didSend` or `didFindNoRoom`.
    case sendBlocks(ContentOrder)
    /// The options are settled: content may come, or go. The first `capacity` bytes of its memory
    /// are the ring.
    case begin(slot: Int, capacity: Int)
    /// The server says that there will be this number of bytes.
    case announce(slot: Int, byteCount: UInt64)
    /// Put a block into the content.
    case keep(KeepOrder)
    /// Receiving: the first `byteCount` bytes are here. Sending: they are with the server, and
    /// their room is free.
    case handOver(slot: Int, byteCount: UInt64)
    /// Call `stepContent` when the content has moved, and `stepAwaited` now, because it may have.
    case awaitContent(slot: Int)
    /// The transfer has ended; `takeResult` says how.
    case end(slot: Int)
    /// Begin the same transfer again, without options and through another socket. `release`
    /// follows.
    case startAgain(slot: Int)
    /// Nothing is expected through this socket any more, and the slot is free.
    case release(slot: Int, socket: UInt16)
}

/// Blocks of one transfer that are due and here.
package struct ContentOrder: BitwiseCopyable {
    /// The transfer.
    package let slot: Int
    /// The number of the first block.
    package let first: UInt64
    /// At least 1; fewer may go out.
    package let count: Int
    /// Where the content ends that there is, in bytes.
    package let end: UInt64
    /// How many orders of this visit may follow.
    let batchesLeft: Int
}

/// A block that has come, and its place.
@safe
package struct KeepOrder: BitwiseCopyable {
    /// The transfer.
    package let slot: Int
    /// The byte of the content that it begins with.
    package let offset: UInt64
    private let start: UnsafeRawPointer?
    private let count: Int

    init(slot: Int, offset: UInt64, _ payload: RawSpan) {
        self.slot = slot
        self.offset = offset
        unsafe start = payload.withUnsafeBytes { $0.baseAddress }
        count = payload.byteCount
    }

    /// The bytes, in the datagram that was stepped or in memory of the client's; until the next
    /// step.
    @unsafe
    package var payload: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: start, count: count)
    }
}

/// Effects of the latest step, first in, first out, with the packets that they name.
///
/// The driver of the client takes all of them before the next event. One step has few, whatever
/// arrives: what fills a gap ends two windows at most.
///
/// Not in a `Column`: each access to one is a call, and a block is an effect.
@safe
package struct ClientEffectQueue: ~Copyable {
    private let effects: UnsafeMutablePointer<ClientEffect>
    private var packets = PacketMemory()
    private var first = 0
    private var count = 0

    private static let effectsMax = 64

    init() { unsafe effects = .allocate(capacity: ClientEffectQueue.effectsMax) }

    deinit { unsafe effects.deallocate() }

    mutating func append(_ effect: ClientEffect) {
        precondition(
            count < ClientEffectQueue.effectsMax, "all effects are taken after each step")
        unsafe effects[count] = effect
        count += 1
    }

    /// Appends a packet of at most `byteCount` bytes that `write` fills in.
    mutating func append(
        byteCount: Int, to flow: Flow, slot: UInt32?, generation: UInt32,
        _ write: (inout OutputRawSpan) -> Void
    ) {
        let (offset, written) = packets.append(byteCount: byteCount, write)
        append(
            .send(
                PacketOrder(
                    flow: flow, slot: slot, generation: generation, offset: offset,
                    byteCount: written)))
    }

    /// Takes the next effect; nil when all is done, and then the memory of the others is used
    /// again.
    package mutating func takeFirst() -> ClientEffect? {
        guard first < count else {
            (first, count) = (0, 0)
            packets.removeAll()
            return nil
        }
        let effect = unsafe effects[first]
        first += 1
        // What this effect causes has the whole room: content that comes while blocks go out can
        // cause the next effect any number of times.
        if first == count { (first, count) = (0, 0) }
        return effect
    }

    /// The bytes of a packet, until `takeFirst` returns nil.
    @unsafe
    package func bytes(of order: PacketOrder) -> UnsafeRawBufferPointer {
        unsafe packets.bytes(of: order)
    }
}
