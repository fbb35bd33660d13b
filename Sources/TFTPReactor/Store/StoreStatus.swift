internal import Synchronization
internal import TFTPStore

/// What the store thread tells others, and the one thing it is told.
final class StoreStatus: Sendable {
    private let stopping = Atomic<Bool>(false)
    private let read = Atomic<UInt64>(0)
    private let used = Atomic<Int>(0)
    private let images = Atomic<Int>(0)
    private let evicted = Atomic<UInt64>(0)

    var isStopping: Bool { stopping.load(ordering: .acquiring) }

    func stop() { stopping.store(true, ordering: .releasing) }

    func note(_ cache: borrowing ImageCache) {
        read.store(cache.readByteCount, ordering: .relaxed)
        used.store(cache.usedByteCount, ordering: .relaxed)
        images.store(cache.imageCount, ordering: .relaxed)
        evicted.store(cache.evictedExtentCount, ordering: .relaxed)
    }

    /// Bytes read from files so far.
    var readByteCount: UInt64 { read.load(ordering: .relaxed) }
    var usedByteCount: Int { used.load(ordering: .relaxed) }
    var imageCount: Int { images.load(ordering: .relaxed) }
    var evictedExtentCount: UInt64 { evicted.load(ordering: .relaxed) }
}
