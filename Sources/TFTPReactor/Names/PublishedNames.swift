internal import Files
internal import Synchronization
internal import TFTPStore

/// What shards read of names, without a lock, a class or a string.
///
/// A value that points to shared memory. The owner calls `destroy` when no thread uses a copy any
/// more.
///
/// @unchecked Sendable: the word and the flag are atomic, the root's name never changes, and a
/// folder's descriptor is written once, before any thread has its number.
@safe
struct PublishedNames: @unchecked Sendable {
    @safe
    private struct Storage: ~Copyable {
        let word: Atomic<UInt64>
        let rootHasTwoPaths = Atomic<Bool>(false)
        let rootName: FileName?

        init(rootName: FileName?) {
            word = Atomic(0)
            self.rootName = rootName
        }
    }

    private let storage: UnsafeMutablePointer<Storage>
    private let directories: UnsafeMutablePointer<Int32>

    /// - Parameter rootPath: the configured path of the first root, from `/` on.
    init(rootPath: String) {
        unsafe storage = .allocate(capacity: 1)
        let name = try? FileName(normalising: unsafe Array(rootPath.utf8).span.bytes)
        unsafe storage.initialize(to: Storage(rootName: name))
        unsafe directories = .allocate(capacity: NameTrees.countMax)
        unsafe directories.initialize(repeating: -1, count: NameTrees.countMax)
    }

    func destroy() {
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
        unsafe directories.deallocate()
    }

    /// What counts now; shards look once a turn.
    var word: NameWord {
        NameWord(rawValue: unsafe storage.pointee.word.load(ordering: .acquiring))
    }

    func setWord(_ word: NameWord) {
        unsafe storage.pointee.word.store(word.rawValue, ordering: .releasing)
    }

    /// Whether names may begin with a path of the root that is not the configured one.
    var rootHasTwoPaths: Bool {
        unsafe storage.pointee.rootHasTwoPaths.load(ordering: .relaxed)
    }

    func setRootHasTwoPaths(_ hasTwo: Bool) {
        unsafe storage.pointee.rootHasTwoPaths.store(hasTwo, ordering: .relaxed)
    }

    /// A name without the configured path of the first root in front of it; nil where that is not
    /// there.
    func droppingRootPath(_ name: FileName) -> FileName? {
        guard let root = unsafe storage.pointee.rootName else { return nil }
        return name.dropping(folder: root)
    }

    /// The folder of a number other than 0, which is the first root.
    func directory(of tree: Int) -> Int32 {
        assert(tree > 0 && tree < NameTrees.countMax)
        return unsafe directories[tree]
    }

    /// Enters folders that are new.
    func note(_ trees: NameTrees) {
        for tree in 1..<max(1, trees.count) where directory(of: tree) < 0 {
            // In bounds: there are no more trees than entries.
            unsafe directories[tree] = trees.directory(of: tree)
        }
    }
}
