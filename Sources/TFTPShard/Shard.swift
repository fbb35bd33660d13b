internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire
internal import Uring

/// One core's part of the server: a ring, its sockets, and the transfers that came in through them.
///
/// Lives on the stack of its own thread and goes with it. Nothing in a turn allocates, retains or locks: all
/// state is in columns and scratch memory made here.
@safe
struct Shard: ~Copyable {
    /// What a slot waits for, beside its deadline.
    enum Waiting: UInt8 {
        case nothing
        /// In the run queue: more is due than one visit sends.
        case queued
        /// The store was asked for an extent.
        case parked
    }

    let configuration: ReactorConfiguration
    let link: ShardLink
    let shared: SharedResources
    let sockets: Column<ShardSocket>
    let socketCount: Int
    var ring: Ring
    var buffers: BufferRing
    /// Large buffers for uploads; absent where none are taken.
    var uploadBuffers: BufferRing?
    var outbox = Outbox()
    var table: TransferTable
    var subjects: Subjects
    var identities = IdentityCache()
    var uploads: UploadSlots
    let waiting: Column<Waiting>
    var runQueue = RunQueue()
    /// Which places of `link.pendings` are free.
    var freePendings: FreeList
    /// Receives that ended and wait to be armed again, a bit a socket.
    var disarmed: Column<UInt64>
    /// Peers that take no segmented sends, a bit a hash of address and blksize.
    let unsegmented: Column<UInt64>
    /// A `msghdr` that says how much room a datagram's name and control data get.
    let receiveHeader: UnsafeMutablePointer<msghdr>
    /// What `now` was at the beginning of this turn.
    var now: UInt64
    var isDraining = false
    var dallyingCount = 0
    var storeIsRung = false
    /// The kernel has taken every SQE, so nothing points into the outbox or the arena.
    var isSubmitted = true
    var strayErrorsLeft = ShardLimits.strayErrorsPerSecond
    var strayErrorsSince: UInt64 = 0
    var nextDownloadSocket: UInt16 = 0

    static let unsegmentedCount = 4096

    /// Made on the thread that runs it, which the ring belongs to from then on.
    init(
        configuration: ReactorConfiguration, link: ShardLink, sockets opened: [ShardSocket],
        shared: SharedResources, transfersMax: Int
    ) throws(Errno) {
        var ring = try Ring(
            entries: ShardLimits.entryCount, completions: ShardLimits.completionCount)
        try ring.registerFiles(count: ShardLimits.socketsMax)
        for (index, socket) in opened.enumerated() { try ring.setFile(index, socket.file) }
        let buffers = try BufferRing(
            ring: &ring, group: 0, count: ShardLimits.buffersMax,
            bufferByteCount: ShardLimits.bufferByteCount)
        let uploadBuffers = try Shard.makeUploadBuffers(configuration, &ring)
        self.ring = ring
        self.buffers = buffers
        self.uploadBuffers = uploadBuffers
        self.configuration = configuration
        self.link = link
        self.shared = shared
        let nobody = ShardSocket(
            file: -1, port: 0, role: .listener, isIPv6: false, tellsLocal: false,
            address: .unspecified)
        sockets = Column(repeating: nobody, count: max(1, opened.count))
        for (index, socket) in opened.enumerated() { sockets[index] = socket }
        socketCount = opened.count
        now = clinux_now()
        table = TransferTable(capacity: transfersMax, seed: clinux_random(), now: now)
        subjects = Subjects(capacity: transfersMax)
        uploads = UploadSlots(capacity: min(transfersMax, ShardLimits.uploadsMax))
        waiting = Column(repeating: .nothing, count: transfersMax)
        freePendings = FreeList(count: ShardLink.pendingsMax)
        disarmed = Column(repeating: 0, count: ShardLimits.socketsMax / 64)
        unsegmented = Column(repeating: 0, count: Shard.unsegmentedCount / 64)
        unsafe receiveHeader = .allocate(capacity: 1)
        unsafe receiveHeader.initialize(to: msghdr())
        unsafe receiveHeader.pointee.msg_namelen = socklen_t(CLINUX_NAME_BYTES)
        unsafe receiveHeader.pointee.msg_controllen = Int(CLINUX_CONTROL_BYTES)
    }

    private static func makeUploadBuffers(
        _ configuration: ReactorConfiguration, _ ring: inout Ring
    ) throws(Errno) -> BufferRing? {
        guard configuration.upload != .deny && !configuration.isSinglePort else { return nil }
        return try BufferRing(
            ring: &ring, group: 1, count: ShardLimits.uploadBuffersMax,
            bufferByteCount: ShardLimits.uploadBufferByteCount)
    }

    deinit { unsafe receiveHeader.deallocate() }

    /// Ends every request the kernel still has, and only then gives back the memory it knows.
    mutating func close() {
        ring.cancelAll()
        buffers.destroy(ring: &ring)
        uploadBuffers?.destroy(ring: &ring)
    }
}

/// What all shards read and none writes.
@safe
struct SharedResources: @unchecked Sendable {
    let shelf: ImageShelf
    /// The root folder, opened to look only.
    let root: Int32
    /// Whether names can be looked up here without waiting for another machine.
    let rootIsLocal: Bool
    /// 65,536 DATA headers of four bytes: opcode and block number.
    let headers: UnsafeRawPointer
    let interfaces: UnsafeBufferPointer<clinux_interface>
    /// A bit for each port that one of our own sockets has.
    let ownPorts: UnsafePointer<UInt64>
}

/// What a completion belongs to: kind, generation and number in the 64 bits that a request carries.
enum Tag {
    enum Kind: UInt64 {
        case receive = 1
        case send = 2
        case bell = 3
    }

    static func receive(_ socket: Int) -> UInt64 { Kind.receive.rawValue << 56 | UInt64(socket) }

    static func send(slot: Int, generation: UInt32) -> UInt64 {
        Kind.send.rawValue << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
    }

    /// A send that belongs to no transfer.
    static let sendToStranger = Kind.send.rawValue << 56 | 0xFFFF_FFFF
    static let bell = Kind.bell.rawValue << 56

    static func kind(_ userData: UInt64) -> Kind? { Kind(rawValue: userData >> 56) }
    static func number(_ userData: UInt64) -> Int { Int(userData & 0xFFFF_FFFF) }
    static func generation(_ userData: UInt64) -> UInt32 { UInt32(userData >> 32) & 0xFF_FFFF }
}

/// Slots with more to send than one visit takes, first come first served, linked through the table.
struct RunQueue {
    private(set) var first = RunQueue.none
    private var last = RunQueue.none
    private(set) var count = 0
    private static let none = UInt32.max

    mutating func append(_ slot: Int, to table: inout TransferTable) {
        table.setLink(of: slot, RunQueue.none)
        if count == 0 { first = UInt32(slot) } else { table.setLink(of: Int(last), UInt32(slot)) }
        last = UInt32(slot)
        count += 1
    }

    mutating func popFirst(from table: borrowing TransferTable) -> Int? {
        guard count > 0 else { return nil }
        let slot = Int(first)
        first = table.link(of: slot)
        count -= 1
        return slot
    }

    /// Takes `slot` out of the middle: a transfer ended while it was queued, which is rare.
    mutating func remove(_ slot: Int, from table: inout TransferTable) {
        var kept = RunQueue()
        while let each = popFirst(from: table) {
            if each != slot { kept.append(each, to: &table) }
        }
        self = kept
    }
}

/// Numbers that are free, in a stack.
struct FreeList: ~Copyable {
    private let numbers: Column<UInt32>
    private(set) var count: Int

    init(count: Int) {
        numbers = Column(repeating: 0, count: count)
        for index in 0..<count { numbers[index] = UInt32(index) }
        self.count = count
    }

    mutating func take() -> UInt32? {
        guard count > 0 else { return nil }
        count -= 1
        return numbers[count]
    }

    mutating func give(_ number: UInt32) {
        assert(count < numbers.count)
        numbers[count] = number
        count += 1
    }
}
