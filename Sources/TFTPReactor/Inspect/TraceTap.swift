internal import Synchronization
package import TFTPCore
internal import TFTPServing
internal import TFTPWire

/// One datagram of a traced client, or one batch of DATA that the kernel cuts into datagrams: its
/// headers, and how long it was.
package struct TraceEvent: BitwiseCopyable, Sendable {
    /// Monotonic nanoseconds: what the shard's turn took for now.
    package var nanoseconds: UInt64 = 0
    package var peer = Endpoint(address: .unspecified, port: 0)
    package var local = Address.unspecified
    package var shard: UInt16 = 0
    /// Which of the shard's sockets.
    package var socket: UInt16 = 0
    package var isOut = false
    /// Bytes of the UDP payload, of all datagrams of a batch together.
    package var byteCount: UInt32 = 0
    /// A batch: how many datagrams of `segmentByteCount` bytes, the last perhaps shorter; 1
    /// otherwise.
    package var datagramCount: UInt16 = 1
    package var segmentByteCount: UInt16 = 0
    /// Bytes of `head` that are meant.
    package var headByteCount: UInt16 = 0
    package var head = InlineArray<256, UInt8>(repeating: 0)

    fileprivate init(_ flow: Flow, isOut: Bool, shard: Int, now: UInt64) {
        nanoseconds = now
        peer = flow.peer
        local = flow.local
        self.isOut = isOut
        self.shard = UInt16(shard)
        socket = flow.socket
    }

    /// DATA keeps its header alone: what files hold is not for here.
    fileprivate mutating func keepHead(_ bytes: RawSpan) {
        var count = min(head.count, bytes.byteCount)
        for index in 0..<count {
            // In bounds: `count` is at most the span's own.
            head[index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        if head[1] == 3 { count = min(count, Packet.ackByteCount) }
        headByteCount = UInt16(count)
    }
}

/// A bounded ring from a shard to the trace of a client. What does not fit is counted.
///
/// A value that points to memory of the reader, which frees it when the shard can no longer use it.
@safe
struct TraceTap: @unchecked Sendable {
    private struct Contents: ~Copyable {
        let client: Network
        let events: Mailbox<TraceEvent>
        let missedCount = Atomic<UInt64>(0)
    }

    let memory: UnsafeMutableRawPointer

    static let eventsMax = 4096

    /// Copies of it are many, the memory is one; `destroy` ends all of them.
    init(client: Network) {
        let contents = UnsafeMutablePointer<Contents>.allocate(capacity: 1)
        unsafe contents.initialize(
            to: Contents(client: client, events: Mailbox(capacity: TraceTap.eventsMax)))
        unsafe memory = UnsafeMutableRawPointer(contents)
    }

    @unsafe
    init(memory: UnsafeMutableRawPointer) { unsafe self.memory = memory }

    private var contents: UnsafeMutablePointer<Contents> {
        unsafe memory.assumingMemoryBound(to: Contents.self)
    }

    func destroy() {
        unsafe contents.pointee.events.destroy()
        unsafe contents.deinitialize(count: 1)
        unsafe contents.deallocate()
    }

    // MARK: The shard's side

    /// A datagram from a client.
    func noteArrival(_ bytes: RawSpan, _ flow: Flow, shard: Int, now: UInt64) {
        guard wants(flow) else { return }
        var event = TraceEvent(flow, isOut: false, shard: shard, now: now)
        event.byteCount = UInt32(bytes.byteCount)
        event.keepHead(bytes)
        put(event)
    }

    /// A small packet to a client.
    func noteDeparture(_ bytes: RawSpan, _ flow: Flow, shard: Int, now: UInt64) {
        guard wants(flow) else { return }
        var event = TraceEvent(flow, isOut: true, shard: shard, now: now)
        event.byteCount = UInt32(bytes.byteCount)
        event.keepHead(bytes)
        put(event)
    }

    /// A batch of `count` blocks of at most `blksize` bytes.
    func noteBlocks(
        first: BlockNumber, count: Int, blksize: Int, payloadByteCount: Int, _ flow: Flow,
        shard: Int, now: UInt64
    ) {
        guard wants(flow) else { return }
        var event = TraceEvent(flow, isOut: true, shard: shard, now: now)
        event.byteCount = UInt32(payloadByteCount + Packet.ackByteCount * count)
        event.datagramCount = UInt16(count)
        event.segmentByteCount = UInt16(blksize + Packet.ackByteCount)
        event.head[1] = 3
        event.head[2] = UInt8(first.rawValue >> 8)
        event.head[3] = UInt8(first.rawValue & 0xFF)
        event.headByteCount = UInt16(Packet.ackByteCount)
        put(event)
    }

    private func wants(_ flow: Flow) -> Bool {
        unsafe contents.pointee.client.contains(flow.peer.address)
    }

    private func put(_ event: TraceEvent) {
        guard unsafe !contents.pointee.events.put(event) else { return }
        _ = unsafe contents.pointee.missedCount.wrappingAdd(1, ordering: .relaxed)
    }

    // MARK: The reader's side

    func take() -> TraceEvent? { unsafe contents.pointee.events.take() }

    var missedCount: UInt64 { unsafe contents.pointee.missedCount.load(ordering: .relaxed) }
}
