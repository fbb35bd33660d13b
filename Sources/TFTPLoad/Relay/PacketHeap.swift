internal import TFTPCore

/// The packets on their way through one direction, by the time they arrive.
///
/// Bytes lie in a ring in the order they came and go back to it in that order too, so one packet
/// that is held back keeps what came after it; a bounded delay bounds that. Full is full: what
/// finds no room is dropped and counted.
///
/// A packet that was taken stays in place until `releaseTaken`, for the kernel to read.
@safe
struct PacketHeap: ~Copyable {
    static let packetsMax = 65_536
    static let bytesMax = 64 << 20

    private struct Packet: BitwiseCopyable {
        var flow: Flow
        /// Where its bytes begin, counted from the first byte ever: the place in the ring is what
        /// is left by division.
        var position: UInt64
        var byteCount: UInt32
        var isGone: Bool
    }

    private struct Entry: BitwiseCopyable {
        var arrivesAt: UInt64
        /// How many packets came before it: its slot, and the order where times are equal.
        var number: UInt64

        func isBefore(_ other: Entry) -> Bool {
            arrivesAt != other.arrivesAt ? arrivesAt < other.arrivesAt : number < other.number
        }
    }

    private let packets: Column<Packet>
    private let entries: Column<Entry>
    private let bytes: UnsafeMutableRawPointer
    /// Not initialised until packets fill it, so that a quiet relay is small.
    private let byteCapacity: UInt64
    /// Packets waiting in `entries`.
    private(set) var count = 0
    /// The numbers of the oldest packet still kept and of the next one to come.
    private var oldest: UInt64 = 0
    private var next: UInt64 = 0
    private var nextPosition: UInt64 = 0
    /// The packets that were taken, for `releaseTaken`.
    private let taken: Column<UInt64>
    private var takenCount = 0

    init(packetsMax: Int = PacketHeap.packetsMax, bytesMax: Int = PacketHeap.bytesMax) {
        precondition(packetsMax.nonzeroBitCount == 1 && bytesMax >= 65_536)
        let unusedFlow = Flow(
            peer: Endpoint(address: .unspecified, port: 0), local: .unspecified, socket: 0)
        packets = Column(
            repeating: Packet(flow: unusedFlow, position: 0, byteCount: 0, isGone: true),
            count: packetsMax)
        entries = Column(repeating: Entry(arrivesAt: 0, number: 0), count: packetsMax)
        taken = Column(repeating: 0, count: packetsMax)
        unsafe bytes = .allocate(byteCount: bytesMax, alignment: 64)
        byteCapacity = UInt64(bytesMax)
    }

    deinit { unsafe bytes.deallocate() }

    private func slot(_ number: UInt64) -> Int { Int(number) & (packets.count - 1) }

    // MARK: In

    /// Keeps a copy of `payload` until it arrives at `flow`'s peer; false if the heap is full.
    mutating func insert(_ payload: RawSpan, to flow: Flow, arrivesAt: UInt64) -> Bool {
        guard next - oldest < UInt64(packets.count),
            let position = position(for: UInt64(payload.byteCount))
        else { return false }
        let start = Int(position % byteCapacity)
        unsafe payload.withUnsafeBytes { payload in
            guard let source = payload.baseAddress else { return }
            // `position(for:)` has found this much in one piece.
            unsafe (bytes + start).copyMemory(from: source, byteCount: payload.count)
        }
        packets[slot(next)] = Packet(
            flow: flow, position: position, byteCount: UInt32(payload.byteCount), isGone: false)
        push(Entry(arrivesAt: arrivesAt, number: next))
        next += 1
        nextPosition = position + UInt64(payload.byteCount)
        return true
    }

    /// Where this many bytes fit in one piece; nil where nowhere.
    private mutating func position(for byteCount: UInt64) -> UInt64? {
        // Empty: begin again where the cache is warm.
        if next == oldest { nextPosition = 0 }
        let begin = next == oldest ? 0 : packets[slot(oldest)].position
        var position = nextPosition
        let left = byteCapacity - position % byteCapacity
        if byteCount > left { position += left }
        return position + byteCount - begin <= byteCapacity ? position : nil
    }

    private mutating func push(_ entry: Entry) {
        var place = count
        count += 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard entry.isBefore(entries[parent]) else { break }
            entries[place] = entries[parent]
            place = parent
        }
        entries[place] = entry
    }

    // MARK: Out

    /// When the next packet arrives; nil when none is on its way.
    var nextArrivesAt: UInt64? { count > 0 ? entries[0].arrivesAt : nil }

    /// A packet that arrives. Its bytes stay until `releaseTaken`.
    @unsafe
    struct Taken {
        let flow: Flow
        let payload: UnsafeRawBufferPointer
    }

    /// Takes the packet that arrives first.
    @unsafe
    mutating func takeFirst() -> Taken {
        let number = entries[0].number
        popFirst()
        taken[takenCount] = number
        takenCount += 1
        let packet = packets[slot(number)]
        let start = unsafe UnsafeRawPointer(bytes) + Int(packet.position % byteCapacity)
        return unsafe Taken(
            flow: packet.flow,
            payload: UnsafeRawBufferPointer(start: start, count: Int(packet.byteCount)))
    }

    private mutating func popFirst() {
        assert(count > 0)
        count -= 1
        let entry = entries[count]
        var place = 0
        while 2 * place + 1 < count {
            var child = 2 * place + 1
            if child + 1 < count && entries[child + 1].isBefore(entries[child]) { child += 1 }
            guard entries[child].isBefore(entry) else { break }
            entries[place] = entries[child]
            place = child
        }
        entries[place] = entry
    }

    /// Gives back the room of everything that was taken: the kernel has read it.
    mutating func releaseTaken() {
        for index in 0..<takenCount { packets[slot(taken[index])].isGone = true }
        takenCount = 0
        while oldest < next, packets[slot(oldest)].isGone { oldest += 1 }
    }
}
