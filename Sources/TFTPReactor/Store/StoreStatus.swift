package import Files
internal import Synchronization
internal import TFTPStore

/// What the store thread tells others, and the one thing it is told.
final class StoreStatus: Sendable {
    private let stopping = Atomic<Bool>(false)
    private let read = Atomic<UInt64>(0)
    private let used = Atomic<Int>(0)
    private let images = Atomic<Int>(0)
    private let evicted = Atomic<UInt64>(0)
    private let notes = Mutex<[StoreNote]>([])
    private static let notesMax = 100

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

    /// Keeps something for the log until it is taken; too many at once are dropped.
    func add(_ note: StoreNote) {
        notes.withLock { notes in
            if notes.count < StoreStatus.notesMax { notes.append(note) }
        }
    }

    func takeNotes() -> [StoreNote] {
        notes.withLock { notes in
            defer { notes = [] }
            return notes
        }
    }
}

/// What an operator should know of the folder that is served.
package enum StoreNote: Equatable, Sendable {
    /// Files that killed servers had left behind were removed.
    case leftoversRemoved(count: Int)
    case root(ServedRoot.Change, path: String)
    /// So many of these since the last time.
    case failure(FailureKind, count: Int)

    package enum Operation: Sendable {
        case opening
        case reading
        case writing
        case syncing
    }

    /// What failed, and how.
    package struct FailureKind: Hashable, Sendable {
        package let operation: Operation
        /// As errno(3).
        package let errno: Int32
    }
}
