@testable import TFTPStore

/// What `ImageCache` is surrounded by, without threads: a disk that answers when it is told to,
/// shards that come round when they are told to, and an arena of real memory.
///
/// Each extent in the arena carries a mark at both ends. The disk overwrites the marks as soon as a
/// read is ordered, as a kernel may, so a place that is used again too early shows.
final class ImageCacheWorld {
    typealias Waiter = ImageCache.Waiter

    /// A file on the disk. What was opened keeps its number and its marks, whatever becomes of the
    /// name.
    struct File {
        var identity: FileIdentity
        /// What the file holds where it was not changed after it was opened.
        var version: UInt64
        var isOpen = false
        /// What an image of it goes by.
        let openedByteCount: UInt64

        init(identity: FileIdentity, version: UInt64) {
            self.identity = identity
            self.version = version
            isOpen = true
            openedByteCount = identity.byteCount
        }
    }

    let arena: UnsafeMutableRawPointer
    let arenaByteCount: Int
    var cache: ImageCache
    /// By descriptor.
    var files: [File] = []
    var orders: [ImageCache.ReadOrder] = []
    /// Every order there ever was.
    var orderCount = 0
    var answers: [(waiter: Waiter, failure: StoreFailure?)] = []
    var ends: [(waiter: Waiter, byteCount: UInt64)] = []
    var resumed: [ImageID] = []
    var stopped: [ImageID] = []
    var closedFiles: [Int32] = []
    var graceCount = 0
    var isGraceAwaited = false
    private var inodeCount: UInt64 = 0

    init(arenaByteCount: Int = 4 << 20, imagesMax: Int = 8, filesMax: Int = .max) {
        arena = .allocate(byteCount: arenaByteCount, alignment: 4096)
        self.arenaByteCount = arenaByteCount
        let imageIndex = ImageIndex(arena: UnsafeRawPointer(arena), imagesMax: imagesMax)
        cache = ImageCache(
            imageIndex: imageIndex, arenaByteCount: arenaByteCount, filesMax: filesMax)
    }

    deinit {
        cache.imageIndex.destroy()
        arena.deallocate()
    }

    // MARK: The cache, in words that a test can expect things of

    var imageIndex: ImageIndex { cache.imageIndex }
    var usedByteCount: Int { cache.usedByteCount }
    var readByteCount: UInt64 { cache.readByteCount }
    var evictedExtentCount: UInt64 { cache.evictedExtentCount }
    var isStarved: Bool { cache.isStarved }

    var openFileCount: Int { cache.openFileCount }
    var idleFiles: [Int32] { cache.idleFiles().map(\.1) }

    func forget(_ image: ImageID) {
        cache.forget(image)
        carryOut()
    }

    func lookup(_ identity: FileIdentity) -> ImageID? { cache.lookup(identity) }

    func insert(_ identity: FileIdentity, file: Int32, offset: UInt64 = 0) -> ImageID? {
        let id = cache.insert(identity, file: file, offset: offset)
        if id == nil { files[Int(file)].isOpen = false }
        carryOut()
        return id
    }

    // MARK: Files

    /// Makes a file of its own and opens it.
    func openFile(byteCount: Int) -> Int32 {
        inodeCount += 1
        let identity = FileIdentity(
            device: 1, inode: inodeCount, byteCount: UInt64(byteCount), modifiedNanoseconds: 5,
            changedNanoseconds: 5)
        files.append(File(identity: identity, version: inodeCount))
        return Int32(files.count - 1)
    }

    /// A new image of a new file, held once.
    func insert(byteCount: Int, offset: UInt64 = 0) -> ImageID? {
        let file = openFile(byteCount: byteCount)
        return insert(files[Int(file)].identity, file: file, offset: offset)
    }

    /// The file is written to.
    func change(_ file: Int32, byteCount: Int? = nil) {
        files[Int(file)].identity.modifiedNanoseconds += 1
        files[Int(file)].identity.changedNanoseconds += 1
        if let byteCount { files[Int(file)].identity.byteCount = UInt64(byteCount) }
    }

    func mark(_ file: Int32, _ number: Int) -> UInt64 {
        files[Int(file)].version << 32 | UInt64(number) << 1 | 1
    }

    // MARK: What the store thread does

    /// Does what the cache asks for; reads wait in `orders`.
    func carryOut() {
        for action in cache.actions {
            switch action {
            case .read(let order):
                precondition(files[Int(order.file)].isOpen, "read from a file that is closed")
                precondition(order.byteCount > 0)
                precondition(order.arenaOffset + order.byteCount <= arenaByteCount)
                scribble(order)
                orders.append(order)
                orderCount += 1
            case .answer(let waiter, let failure): answers.append((waiter, failure))
            case .answerEnd(let waiter, let byteCount): ends.append((waiter, byteCount))
            case .resume(let image, _): resumed.append(image)
            case .stopSupply(let image, _): stopped.append(image)
            case .closeFile(let file):
                precondition(files[Int(file)].isOpen, "closed twice")
                files[Int(file)].isOpen = false
                closedFiles.append(file)
            case .reopen: preconditionFailure("files of this world stay open")
            case .awaitGrace:
                precondition(!isGraceAwaited, "one grace at a time")
                isGraceAwaited = true
                graceCount += 1
            }
        }
        cache.actions.removeAll()
    }

    func passGrace() {
        isGraceAwaited = false
        cache.graceDidPass()
        carryOut()
    }

    private func scribble(_ order: ImageCache.ReadOrder) {
        stamp(order.arenaOffset, order.byteCount, 0xEEEE_EEEE_EEEE_EEEE)
    }

    /// Both ends of what lies at `offset`. Small places have one mark.
    private func stamp(_ offset: Int, _ byteCount: Int, _ mark: UInt64) {
        guard byteCount >= 8 else { return }
        arena.storeBytes(of: mark, toByteOffset: offset, as: UInt64.self)
        arena.storeBytes(of: mark, toByteOffset: (offset + byteCount - 8) & ~7, as: UInt64.self)
    }

    /// Ends the read at `index` of `orders` with `byteCount` bytes (nil: all), or a failure.
    func finish(_ index: Int = 0, byteCount: Int? = nil, failure: StoreFailure? = nil) {
        let order = orders.remove(at: index)
        let file = files[Int(order.file)]
        let count = failure == nil ? min(byteCount ?? order.byteCount, order.byteCount) : 0
        if count == order.byteCount {
            let begin = Int(order.fileOffset) % ImageIndex.extentByteCount
            stamp(order.arenaOffset - begin, begin + count, mark(order.file, order.key.number))
        }
        cache.didRead(
            order.key, byteCount: count, identity: file.identity, failure: failure)
        carryOut()
    }

    func finishAll() {
        while !orders.isEmpty { finish() }
    }

    /// Until nothing is to be done any more: reads end well, and graces pass.
    func settle() {
        for _ in 0..<1000 {
            if !orders.isEmpty {
                finish()
            } else if isGraceAwaited {
                passGrace()
            } else if cache.isStarved {
                cache.retry()
                carryOut()
                if orders.isEmpty && !isGraceAwaited { return }
            } else {
                return
            }
        }
        preconditionFailure("it does not come to rest")
    }

    // MARK: What a shard does

    func want(_ image: ImageID, _ number: Int, before end: Int = .max, slot: Int = 0) {
        let waiter = Waiter(shard: 0, slot: UInt32(slot), generation: 0)
        cache.want(image, number, before: end, for: waiter)
        carryOut()
    }

    /// Where the extent lies, or nil when it is absent. Counts as use of it.
    func look(_ image: ImageID, _ number: Int) -> Int? {
        cache.imageIndex.extent(number, of: image).map { UnsafeRawPointer(arena).distance(to: $0) }
    }

    /// Whether what lies at `offset` is extent `number` of `file`, whole.
    func holds(_ offset: Int, _ file: Int32, _ number: Int) -> Bool {
        let byteCount = ImageIndex.extentByteCount(
            number, byteCount: files[Int(file)].openedByteCount)
        guard byteCount >= 8 else { return true }
        let end = (offset + byteCount - 8) & ~7
        return arena.load(fromByteOffset: offset, as: UInt64.self) == mark(file, number)
            && arena.load(fromByteOffset: end, as: UInt64.self) == mark(file, number)
    }

    func release(_ image: ImageID) { cache.imageIndex.release(image) }

    // MARK: The end

    /// Makes so many empty images that every other one has to go, and returns the bytes that are
    /// still in use.
    func usedByteCountWhenEmptied() -> Int {
        settle()
        for _ in 0..<(4 * cache.imageIndex.imagesMax) {
            if let id = insert(byteCount: 0) { release(id) }
            settle()
        }
        return cache.usedByteCount
    }
}
