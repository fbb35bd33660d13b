internal import CLinux
internal import Synchronization
internal import TFTPMetrics
internal import TFTPServing
internal import TFTPStore

/// Everything one shard shares with other threads. Apart from these, images and counters, nothing
/// is shared.
///
/// A value that points to shared memory; the owner calls `destroy` after all threads have ended.
@safe
struct ShardLink: @unchecked Sendable {
    /// What the shard is told to do.
    enum Order: Int, AtomicRepresentable {
        case run
        /// Take no new transfer, let running ones finish.
        case drain
        case stop
    }

    let index: Int
    let toStore: Mailbox<StoreRequest>
    let fromStore: Mailbox<StoreReply>
    let records: Mailbox<TransferRecord>
    let counters: Counters
    let statistics: ShardStatistics
    let inspection: InspectionLink
    /// Rung for the shard, and by the shard for the store thread.
    let shardWakeup: Int32
    let storeWakeup: Int32
    /// Requests that wait for the store, and chunks of uploads.
    let memory: ServingMemory
    let supplyWords: Mailbox<SupplyMessage>
    private let words: UnsafeMutablePointer<Words>

    /// Two cache lines, because they are fetched in pairs: what a shard writes each turn shares
    /// them with nothing.
    private static let lineByteCount = 128

    private struct Words: ~Copyable {
        /// How often the shard has come round.
        let turnCount = Atomic<UInt64>(0)
        let activeCount = Atomic<Int>(0)
        let order = Atomic<Order>(.run)
        let hasLeft = Atomic<Bool>(false)
    }

    private static let supplyWordsMax = 4096
    private static let recordsMax = 4096

    /// - Parameter pendingsMax: requests that may wait for the store, or a handler, at once.
    init(index: Int, transfersMax: Int, pendingsMax: Int, storeWakeup: Int32) {
        self.index = index
        var capacity = 1024
        // Each transfer may want one extent, each pending request is one question and may be given
        // up, each chunk is one write, and each upload one word when it is given up.
        let questionsMax =
            transfersMax + 2 * pendingsMax + ServingLimits.chunksMax + 2 * ShardLimits.uploadsMax
        while capacity < questionsMax { capacity *= 2 }
        toStore = Mailbox(capacity: capacity)
        fromStore = Mailbox(capacity: 2 * capacity)
        records = Mailbox(capacity: ShardLink.recordsMax)
        supplyWords = Mailbox(capacity: ShardLink.supplyWordsMax)
        counters = Counters()
        statistics = ShardStatistics()
        inspection = InspectionLink()
        shardWakeup = clinux_eventfd()
        self.storeWakeup = storeWakeup
        memory = ServingMemory(pendingsMax: pendingsMax)
        let line = UnsafeMutableRawPointer.allocate(
            byteCount: ShardLink.lineByteCount, alignment: ShardLink.lineByteCount)
        unsafe words = line.bindMemory(to: Words.self, capacity: 1)
        unsafe words.initialize(to: Words())
    }

    func destroy() {
        toStore.destroy()
        fromStore.destroy()
        records.destroy()
        supplyWords.destroy()
        counters.destroy()
        statistics.destroy()
        inspection.destroy()
        memory.destroy()
        clinux_close(shardWakeup)
        unsafe words.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(words).deallocate()
    }

    // What the store thread reads of `memory`.
    var pendingsMax: Int { memory.pendingsMax }
    var pendings: UnsafeMutablePointer<PendingRequest> { unsafe memory.pendings }
    var notes: UnsafeMutablePointer<HandlerEndpoints> { unsafe memory.notes }
    var sealedPendings: UnsafeMutablePointer<SealedPending> { unsafe memory.sealedPendings }
    func chunk(_ index: UInt32) -> UnsafeMutableRawPointer { unsafe memory.chunk(index) }

    /// The shard holds no pointer into the arena from before this call.
    func noteTurn() {
        // Ordered against the store's withdrawal of an extent: either the shard's next look finds
        // it gone, or the store sees this turn as not yet over.
        _ = unsafe words.pointee.turnCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    }

    /// The shard has ended, and holds nothing any more.
    func noteEnd() {
        unsafe words.pointee.turnCount.store(ShardLink.ended, ordering: .sequentiallyConsistent)
    }

    static let ended = UInt64.max

    var turnCount: UInt64 {
        unsafe words.pointee.turnCount.load(ordering: .sequentiallyConsistent)
    }

    func noteActive(_ count: Int) {
        unsafe words.pointee.activeCount.store(count, ordering: .relaxed)
    }

    var activeCount: Int { unsafe words.pointee.activeCount.load(ordering: .relaxed) }

    /// The shard has closed its listeners.
    func noteLeft() { unsafe words.pointee.hasLeft.store(true, ordering: .releasing) }

    var hasLeft: Bool { unsafe words.pointee.hasLeft.load(ordering: .acquiring) }

    var order: Order {
        get { unsafe words.pointee.order.load(ordering: .relaxed) }
        nonmutating set {
            unsafe words.pointee.order.store(newValue, ordering: .relaxed)
            ring()
        }
    }

    /// Wakes the shard.
    func ring() { clinux_eventfd_ring(shardWakeup) }
}
