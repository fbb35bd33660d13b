internal import CLinux
internal import Synchronization
internal import TFTPCore

/// Ways from the shards that read sockets of another process to all shards.
///
/// A socket that a service manager has bound is one queue, which only one shard reads. The sender's
/// address and port decide which shard answers, as the kernel does for sockets of our own
/// (SO_REUSEPORT): a repeated request reaches the shard that has the transfer. Bounded and without
/// waiting: a datagram that finds a full queue is dropped, as on a network.
///
/// A value that points to shared memory; the owner calls `destroy` after all threads have ended.
@safe
struct Steering: @unchecked Sendable {
    /// One datagram with what it was received as.
    struct Datagram: BitwiseCopyable, Sendable {
        var flow: Flow
        var byteCount: UInt16
        var bytes: InlineArray<1536, UInt8>
    }

    /// Shards 0 to `readerCount` - 1 read.
    let readerCount: Int
    let shardCount: Int
    private let queues: UnsafeMutablePointer<Mailbox<Datagram>>
    private let wakeups: UnsafeMutablePointer<Int32>
    private let activeReaders: UnsafeMutablePointer<Atomic<Int>>

    private static let queueCapacity = 256

    init(readerCount: Int, wakeups shardWakeups: [Int32]) {
        self.readerCount = readerCount
        shardCount = shardWakeups.count
        unsafe queues = .allocate(capacity: readerCount * shardCount)
        for index in 0..<(readerCount * shardCount) {
            unsafe (queues + index).initialize(to: Mailbox(capacity: Steering.queueCapacity))
        }
        unsafe wakeups = .allocate(capacity: shardCount)
        for (index, wakeup) in shardWakeups.enumerated() { unsafe wakeups[index] = wakeup }
        unsafe activeReaders = .allocate(capacity: 1)
        unsafe activeReaders.initialize(to: Atomic(readerCount))
    }

    func destroy() {
        for index in 0..<(readerCount * shardCount) { unsafe queues[index].destroy() }
        unsafe queues.deallocate()
        unsafe wakeups.deallocate()
        unsafe activeReaders.deallocate()
    }

    /// The shard that answers `peer`.
    func shard(of peer: Endpoint) -> Int {
        var hash = peer.address.high ^ peer.address.low &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ UInt64(peer.port)) &* 0xBF58_476D_1CE4_E5B9
        return Int((hash >> 32) % UInt64(shardCount))
    }

    /// Hands a datagram over; the caller wakes its shard by `wake` at the end of the turn. False:
    /// it is lost.
    func put(_ bytes: RawSpan, _ flow: Flow, from reader: Int, to shard: Int) -> Bool {
        guard bytes.byteCount <= 1536 else { return false }
        var datagram = Datagram(
            flow: flow, byteCount: UInt16(bytes.byteCount), bytes: InlineArray(repeating: 0))
        for index in 0..<bytes.byteCount {
            // In bounds: the loop ends at the span's own count.
            datagram.bytes[index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        return unsafe queues[reader * shardCount + shard].put(datagram)
    }

    /// Wakes each shard of `steered` once, and forgets them.
    func wake(_ steered: inout ShardSet) {
        steered.removeAll { shard in unsafe clinux_eventfd_ring(wakeups[shard]) }
    }

    func take(from reader: Int, at shard: Int) -> Datagram? {
        unsafe queues[reader * shardCount + shard].take()
    }

    /// A reader has ended. Every shard checks again whether it has everything.
    func endReader() {
        _ = unsafe activeReaders.pointee.subtract(1, ordering: .acquiringAndReleasing)
        for shard in 0..<shardCount { unsafe clinux_eventfd_ring(wakeups[shard]) }
    }

    /// Whether nothing more comes for a shard.
    func isOver(for shard: Int) -> Bool {
        guard unsafe activeReaders.pointee.load(ordering: .acquiring) == 0 else { return false }
        return (0..<readerCount).allSatisfy { unsafe queues[$0 * shardCount + shard].isEmpty }
    }
}

/// Numbers of shards.
struct ShardSet: BitwiseCopyable {
    private var words = InlineArray<4, UInt64>(repeating: 0)

    mutating func insert(_ shard: Int) {
        precondition(shard < ReactorConfiguration.shardsMax)
        words[shard >> 6] |= 1 << UInt64(shard & 63)
    }

    /// Calls `body` for each, lowest first, and forgets it.
    mutating func removeAll(_ body: (Int) -> Void) {
        for index in 0..<4 {
            while words[index] != 0 {
                body(index << 6 | words[index].trailingZeroBitCount)
                words[index] &= words[index] - 1
            }
        }
    }
}
