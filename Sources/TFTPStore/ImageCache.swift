/// Which images there are, which of their extents are in memory, and which readers wait for what.
/// Sans-IO: the store thread owns it, carries out its `actions`, and reports what came of them.
///
/// This is not the packet path: a transfer gets here when its image or an extent of it is absent.
/// So dictionaries are fine. Everything is bounded: images by `imagesMax`, bytes by the arena,
/// waiters by the number of transfers (each waits for one thing at a time).
///
/// Images that are handed in piece by piece instead of read from a file are in `ImageCache+Supply`.
/// (More than twelve properties: the limits, the tables they hold for, and what they have counted.)
///
/// Invariants: an extent is in at most one of `loading`, `pending`, and the clock; an image whose
/// file is closed for good has either all of its extents or none that anybody can ask for, unless
/// it is supplied.
package struct ImageCache: ~Copyable {
    /// What the store thread must do, in order.
    package enum Action: Equatable, Sendable {
        case read(ReadOrder)
        /// The extent is there (nil), or will not come.
        case answer(Waiter, failure: StoreFailure?)
        /// A supplied image ends after so many bytes, which was unknown before.
        case answerEnd(Waiter, byteCount: UInt64)
        /// There is room again for the next bytes of a supplied image.
        case resume(ImageID, supplier: UInt32)
        /// No reader wants the rest of a supplied image any more.
        case stopSupply(ImageID, supplier: UInt32)
        case closeFile(Int32)
        /// Open the file of an image again; the answer goes to `didReopen` or `didNotReopen`.
        case reopen(ImageID)
        /// Call `graceDidPass` once every shard has come round: none can hold a pointer from
        /// before.
        case awaitGrace
    }

    struct Entry {
        var id: ImageID
        var identity: FileIdentity
        /// -1 while it is closed: everything is in memory, or it is opened again when more is
        /// needed.
        var file: Int32
        /// Whether it can be opened again by its name.
        var isReopenable = false
        /// When it was read from last, as `usesCount` counts.
        var usedAt = 0
        /// Extents that wait for it to be opened again.
        var reopening: [Int] = []
        var extentCount: Int
        var readsInFlight = 0
        /// What is known of content that is handed in; nil for a file.
        var supply: Supply?
    }

    struct Loading {
        var arenaOffset: Int
        var doneByteCount: Int
    }

    package let imageIndex: ImageIndex
    package var actions: [Action] = []
    package private(set) var readByteCount: UInt64 = 0
    package internal(set) var evictedExtentCount: UInt64 = 0

    let arenaByteCount: Int
    let filesMax: Int
    package internal(set) var openFileCount = 0
    /// Reads that were ordered so far.
    var usesCount = 0
    /// What that was at the last sweep.
    var sweptUsesCount = 0
    var allocator: BuddyAllocator
    var entries: [Entry?]
    var freeIndexes: [Int]
    /// Supplied images that many may share, by the key that their handler gave them.
    var byKey: [String: Int] = [:]
    package internal(set) var suppliedImageCount = 0
    /// What supplied images count for that can not be evicted.
    var countedByteCount = 0
    private var byIdentity: [FileIdentity: Int] = [:]
    private var waiters: [ExtentKey: [Waiter]] = [:]
    private var loading: [ExtentKey: Loading] = [:]
    /// Extents for which there was no room, oldest first.
    var pending: [ExtentKey] = []
    /// Extents in memory, in the order the clock's hand passes them.
    var clock: [ExtentKey] = []
    var hand = 0
    var imageHand = 0
    /// Withdrawn, and perhaps still being read by a shard: free after the grace that is under way.
    var limbo: [(offset: Int, byteCount: Int)] = []
    /// Withdrawn since that grace began: free after the next.
    var nextLimbo: [(offset: Int, byteCount: Int)] = []
    var limboIndexes: [Int] = []
    private var nextLimboIndexes: [Int] = []
    var isGraceUnderWay = false
    /// Bytes ever put in limbo.
    var withdrawnByteCount = 0

    /// Larger files are refused: their extent tables would be out of proportion.
    package static let imageByteCountMax: UInt64 = 4 << 40
    /// Extents read ahead of the one that is asked for.
    private static let readAheadCount = 2

    /// - Parameters:
    ///   - arenaByteCount: of the arena that `imageIndex` lies over; a multiple of 4 KiB.
    ///   - filesMax: files kept open to read absent extents from.
    package init(imageIndex: ImageIndex, arenaByteCount: Int, filesMax: Int = .max) {
        precondition(arenaByteCount >= 4 * ImageIndex.extentByteCount)
        self.imageIndex = imageIndex
        self.arenaByteCount = arenaByteCount
        self.filesMax = filesMax
        allocator = BuddyAllocator(
            byteCount: arenaByteCount, blockByteCountMin: 4096,
            blockByteCountMax: ImageIndex.extentByteCount)
        entries = Array(repeating: nil, count: imageIndex.imagesMax)
        freeIndexes = Array((0..<imageIndex.imagesMax).reversed())
    }

    package var usedByteCount: Int { allocator.usedByteCount }
    package var imageCount: Int { byIdentity.count }
    /// Whether a reader waits for room that nothing under way will make: ask `retry` again soon.
    package var isStarved: Bool { !pending.isEmpty && !isGraceUnderWay }

    // MARK: Images

    /// The image of this version of the file, held once for the caller; nil when it is not here.
    package func lookup(_ identity: FileIdentity) -> ImageID? {
        guard let index = byIdentity[identity], let entry = entries[index] else { return nil }
        guard imageIndex.failure(of: entry.id) == nil, imageIndex.retain(entry.id) else {
            return nil
        }
        return entry.id
    }

    /// Makes an image of the open `file`, held once for the caller, and begins to read it.
    ///
    /// - Parameters:
    ///   - offset: the first byte that is wanted.
    ///   - isReopenable: whether `file` may be closed in between, and asked for again by `reopen`.
    /// - Returns: nil when every place is held by a running transfer; `file` stays the caller's
    ///   then.
    package mutating func insert(
        _ identity: FileIdentity, file: Int32, offset: UInt64 = 0, isReopenable: Bool = false
    ) -> ImageID? {
        assert(identity.byteCount <= ImageCache.imageByteCountMax)
        if let old = byIdentity[identity] { forget(index: old) }
        makeRoomForFile()
        if freeIndexes.isEmpty || openFileCount >= filesMax {
            evictImages(among: imageIndex.imagesMax)
        }
        guard openFileCount < filesMax, let index = freeIndexes.popLast() else { return nil }
        openFileCount += 1
        let id = imageIndex.open(index: index, identity: identity)
        let extentCount = ImageIndex.extentCount(byteCount: identity.byteCount)
        entries[index] = Entry(
            id: id, identity: identity, file: file, isReopenable: isReopenable && extentCount > 1,
            extentCount: extentCount)
        byIdentity[identity] = index
        if extentCount == 0 {
            closeFile(index: index)
        } else if offset < identity.byteCount {
            let number = Int(offset / UInt64(ImageIndex.extentByteCount))
            load(ExtentKey(image: id, number: number))
        }
        makePlaces()
        return id
    }

    /// Takes idle images down before the last place is taken: a place is free only after a grace,
    /// and requests meanwhile would be refused.
    mutating func makePlaces() {
        let comingCount = freeIndexes.count + limboIndexes.count + nextLimboIndexes.count
        if comingCount < imageIndex.imagesMax / 64 { evictImages(among: imageIndex.imagesMax / 16) }
    }

    /// Takes down an image that will not be asked for again, unless a transfer holds it.
    package mutating func forget(_ image: ImageID) {
        guard !isGone(image), forget(index: Int(image.index)) else { return }
        clock = clock.filter { $0.image != image }
        beginGraceIfNeeded()
    }

    // MARK: Extents

    /// `waiter` needs extent `number` of an image that it holds; of a supplied one, the bytes
    /// before `number` units of `supplyUnitByteCount`.
    ///
    /// - Parameter end: no extent from here on is wanted, so none is read ahead.
    package mutating func want(
        _ image: ImageID, _ number: Int, before end: Int = .max, for waiter: Waiter
    ) {
        // A transfer that ended while it waited no longer holds the image, and it may have gone
        // meanwhile.
        guard !isGone(image) else {
            actions.append(.answer(waiter, failure: .changed))
            return
        }
        if let failure = imageIndex.failure(of: image) {
            actions.append(.answer(waiter, failure: failure))
            return
        }
        guard entries[Int(image.index)]?.supply == nil else {
            return wantSupplied(image, unit: number, for: waiter)
        }
        let key = ExtentKey(image: image, number: number)
        guard !imageIndex.isPresent(extent: number, of: image) else {
            actions.append(.answer(waiter, failure: nil))
            return
        }
        waiters[key, default: []].append(waiter)
        load(key)
        readAhead(of: key, before: end)
    }

    /// A read of `key` brought `count` bytes, or failed.
    ///
    /// - Parameter identity: of the file after the read; nil when it could not be asked.
    package mutating func didRead(
        _ key: ExtentKey, byteCount count: Int, identity: FileIdentity?,
        failure: StoreFailure? = nil
    ) {
        guard var state = loading.removeValue(forKey: key),
            let entry = entries[Int(key.image.index)], entry.id == key.image
        else {
            assertionFailure("a read ends once, and its image stays until then")
            return
        }
        entries[Int(key.image.index)]?.readsInFlight -= 1
        let expected = byteCount(of: key)
        readByteCount += UInt64(count)
        state.doneByteCount += count
        let isSame = identity?.keepsContent(of: entry.identity) ?? false
        if count > 0 && isSame && state.doneByteCount < expected {
            // Interrupted; the rest is asked for.
            loading[key] = state
            order(key, state, file: entry.file)
            return
        }
        guard count > 0 && isSame && failure == nil else {
            allocator.free(offset: state.arenaOffset, byteCount: expected)
            fail(key.image, failure ?? .changed)
            return
        }
        imageIndex.publish(extent: key.number, of: key.image, offset: state.arenaOffset)
        clock.append(key)
        answerWaiters(of: key, nil)
        if entry.extentCount == 1 { closeFile(index: Int(key.image.index)) }
    }
    // MARK: Room

    /// Every shard has come round since `awaitGrace`: what was withdrawn before is free.
    package mutating func graceDidPass() {
        assert(isGraceUnderWay)
        isGraceUnderWay = false
        for block in limbo { allocator.free(offset: block.offset, byteCount: block.byteCount) }
        for index in limboIndexes {
            imageIndex.discard(index: index)
            freeIndexes.append(index)
        }
        limbo = nextLimbo
        limboIndexes = nextLimboIndexes
        nextLimbo = []
        nextLimboIndexes = []
        beginGraceIfNeeded()
        retry()
    }

    /// Tries again for all readers that wait for room.
    package mutating func retry() {
        let waiting = pending
        pending = []
        for key in waiting {
            guard let entry = entries[Int(key.image.index)], entry.id == key.image else { continue }
            load(key)
        }
    }

    mutating func load(_ key: ExtentKey) {
        guard let entry = entries[Int(key.image.index)], entry.id == key.image else { return }
        if let supply = entry.supply {
            actions.append(.resume(key.image, supplier: supply.supplier))
            return
        }
        guard
            loading[key] == nil, !pending.contains(key),
            !imageIndex.isPresent(extent: key.number, of: key.image)
        else { return }
        guard entry.file >= 0 else { return reopen(key, entry) }
        let byteCount = byteCount(of: key)
        guard let offset = allocator.allocate(byteCount: byteCount) else {
            pending.append(key)
            evictExtents(byteCount: byteCount)
            return
        }
        let state = Loading(arenaOffset: offset, doneByteCount: 0)
        loading[key] = state
        order(key, state, file: entry.file)
    }

    private mutating func order(_ key: ExtentKey, _ state: Loading, file: Int32) {
        let begin = UInt64(key.number) * UInt64(ImageIndex.extentByteCount)
        entries[Int(key.image.index)]?.readsInFlight += 1
        usesCount += 1
        entries[Int(key.image.index)]?.usedAt = usesCount
        actions.append(
            .read(
                ReadOrder(
                    key: key, file: file, fileOffset: begin + UInt64(state.doneByteCount),
                    arenaOffset: state.arenaOffset + state.doneByteCount,
                    byteCount: byteCount(of: key) - state.doneByteCount)))
    }

    private mutating func readAhead(of key: ExtentKey, before end: Int) {
        guard let entry = entries[Int(key.image.index)] else { return }
        let next = key.number + 1
        let last = min(entry.extentCount, end, next + ImageCache.readAheadCount)
        for number in next..<max(next, last) where pending.isEmpty {
            load(ExtentKey(image: key.image, number: number))
        }
    }

    func byteCount(of key: ExtentKey) -> Int {
        ImageIndex.extentByteCount(key.number, byteCount: imageIndex.byteCount(of: key.image))
    }

    private mutating func answerWaiters(of key: ExtentKey, _ failure: StoreFailure?) {
        for waiter in waiters.removeValue(forKey: key) ?? [] {
            actions.append(.answer(waiter, failure: failure))
        }
    }

    /// The content is lost: all waiting readers are told.
    mutating func fail(_ image: ImageID, _ failure: StoreFailure) {
        imageIndex.fail(image, failure)
        answerSuppliedWaiters(of: image, failure)
        if let entry = entries[Int(image.index)], byIdentity[entry.identity] == Int(image.index) {
            byIdentity[entry.identity] = nil
        }
        for key in waiters.keys where key.image == image { answerWaiters(of: key, failure) }
        pending.removeAll { $0.image == image }
    }

    /// Whether the image is not in the cache any more.
    package func isGone(_ image: ImageID) -> Bool { entries[Int(image.index)]?.id != image }

    /// Takes one image down with all that is in memory of it. False when it is held or being read.
    @discardableResult
    mutating func forget(index: Int) -> Bool {
        guard let entry = entries[index], entry.readsInFlight == 0, imageIndex.close(entry.id)
        else {
            return false
        }
        closeFile(index: index)
        remove(index: index, entry)
        for number in 0..<entry.extentCount {
            guard let offset = imageIndex.withdraw(extent: number, of: entry.id) else { continue }
            let byteCount = ImageIndex.extentByteCount(
                number, byteCount: entry.identity.byteCount)
            putInLimbo(offset: offset, byteCount: byteCount)
        }
        return true
    }

    mutating func remove(index: Int, _ entry: Entry) {
        if byIdentity[entry.identity] == index { byIdentity[entry.identity] = nil }
        if entry.supply != nil { removeSupply(entry) }
        entries[index] = nil
        pending.removeAll { $0.image == entry.id }
        for key in waiters.keys where key.image == entry.id {
            answerWaiters(of: key, .changed)
        }
        if isGraceUnderWay {
            nextLimboIndexes.append(index)
        } else {
            limboIndexes.append(index)
        }
    }
}
