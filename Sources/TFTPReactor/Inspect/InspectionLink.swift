internal import Synchronization

/// Requests from other threads to a shard: one for a snapshot, one for a trace.
///
/// A value that points to shared memory of its own cache lines; the owner calls `destroy` after the
/// shard has ended. Without a request a shard pays two loads a turn, of a line that stays in its
/// cache.
@safe
struct InspectionLink: @unchecked Sendable {
    /// @safe: what the pointers lead to is handed over whole, by an exchange.
    @safe private struct Words: ~Copyable {
        /// The snapshot that is wanted, or nil.
        let snapshot = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
        /// Where packets of a traced client go, or nil.
        let tap = unsafe Atomic<UnsafeMutableRawPointer?>(nil)
    }

    private let words: UnsafeMutablePointer<Words>
    private static let lineByteCount = 128

    init() {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: InspectionLink.lineByteCount, alignment: InspectionLink.lineByteCount)
        unsafe words = memory.bindMemory(to: Words.self, capacity: 1)
        unsafe words.initialize(to: Words())
    }

    func destroy() {
        unsafe words.deinitialize(count: 1)
        unsafe UnsafeMutableRawPointer(words).deallocate()
    }

    // MARK: Snapshots

    /// Requests a snapshot. The memory is the shard's until it says that it has
    /// finished, or until `takeSnapshot` gives it back.
    func offer(_ snapshot: UnsafeMutablePointer<ShardSnapshot>) {
        unsafe words.pointee.snapshot.store(
            UnsafeMutableRawPointer(snapshot), ordering: .releasing)
    }

    /// Takes the requested snapshot: the shard to fill it, or the requester after a timeout.
    func takeSnapshot() -> UnsafeMutablePointer<ShardSnapshot>? {
        guard unsafe words.pointee.snapshot.load(ordering: .relaxed) != nil else { return nil }
        let memory = unsafe words.pointee.snapshot.exchange(nil, ordering: .acquiringAndReleasing)
        return unsafe memory?.assumingMemoryBound(to: ShardSnapshot.self)
    }

    // MARK: Traces

    /// Where packets of a traced client go; asked by the shard, once a turn.
    var tap: TraceTap? {
        guard let memory = unsafe words.pointee.tap.load(ordering: .acquiring) else { return nil }
        return unsafe TraceTap(memory: memory)
    }

    /// The old one may be in use until the shard has come round once more.
    func set(_ tap: TraceTap?) {
        unsafe words.pointee.tap.store(tap?.memory, ordering: .sequentiallyConsistent)
    }
}
