internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import Uring

/// The thread that owns every file operation that may wait: it runs `ImageCache` and `UploadTable`
/// for all shards.
///
/// Opens, reads and writes go through a ring, many at a time. What only touches a directory of an
/// upload (making the temporary, linking, renaming) is done in place: uploads are rare, and a shard
/// never waits for it.
@safe
struct StoreThread: ~Copyable {
    /// A request to the ring that has not completed.
    enum Operation {
        case none
        /// Looking at what a name stands for.
        case look(OpenRequest)
        /// Opening it to be read; it was a regular file a moment ago.
        case open(OpenRequest, FileName)
        case reopen(ImageID)
        case lookAtRoot
        case read(ImageCache.ReadOrder)
        case write(WriteOrder)
        case writeBack
        case copyRead(FileCopy)
        case copyWrite(FileCopy)
        case sync(UInt32)
        case syncFolder(FolderIdentity)
    }

    struct OpenRequest {
        var shard: Int
        var slot: UInt32
        var generation: UInt32
        var pending: UInt32
        /// Whether the name is being tried without the junk at its end.
        var isStripped = false
        /// Whether a handler has been asked.
        var isAsked = false
        /// Whether it is settled what the name means, and the folder that it is looked for in.
        var isResolved = false
        var tree = 0
        /// Where there are snapshots, what it is for.
        var place: SnapshotPlace?
    }

    /// Where the file of an image was found.
    struct KeptName {
        var tree: Int
        var bytes: [UInt8]
    }

    struct WriteOrder {
        var upload: UInt32
        var shard: Int
        var chunk: UInt32
        var fileOffset: UInt64
        var byteCount: Int
        var doneByteCount = 0
    }

    let configuration: ReactorConfiguration
    let links: [ShardLink]
    let root: ServedRoot
    /// Whether names can be looked up without waiting for another machine.
    let rootIsLocal: Bool
    var isLookingAtRoot = false
    /// By which name the file of an image is opened again.
    var fileNames: [ImageID: KeptName] = [:]
    var failureLimiter = FailureLimiter<StoreNote.FailureKind>()
    let snapshots: SnapshotTree?
    let names: NameResolver
    let nameMemories: [NameMemory]
    let wakeup: Int32
    let arena: UnsafeMutableRawPointer
    let status: StoreStatus
    let handler: (any RequestHandler)?
    let handlerQueue: HandlerQueue
    var handlerTable: HandlerTable
    var ring: Ring
    var cache: ImageCache
    var uploads: UploadTable
    var uploadDisk: UploadDisk
    var operations: [Operation]
    var freeOperations: [Int]
    /// Extents that have been read and are being compared. Each keeps its operation's number until
    /// then.
    var checksCount = 0
    /// The name each operation opens, and in raw memory what the kernel reads of it until it
    /// completes: 32 bytes of flags, then the path with its NUL.
    var openNames: [FileName?]
    let openMemory: UnsafeMutableRawPointer
    var sweptAt: UInt64 = 0
    /// Whether snapshots may be held that are to be let go of in time.
    private var holdsSnapshots = false
    /// When a line was last written about the room for handlers' content.
    var roomNotedAt: UInt64 = 0
    /// Shards that were answered since they were last woken.
    var toRing: Set<Int> = []
    /// What each shard's turn count was when the grace began; empty when none is under way.
    var graceTurnCounts: [UInt64] = []

    static let operationsMax = 512
    static let openHowByteCount = 32
    static let openByteCount = openHowByteCount + FileName.capacity
    /// Operations that requests leave free for reads, writes and second tries.
    static let operationsReserved = 128
    private static let pollNanoseconds: UInt64 = 1_000_000
    /// How often files are looked for that have lost their last name.
    private static let sweepNanoseconds: UInt64 = 10_000_000_000

    init(
        configuration: ReactorConfiguration, links: [ShardLink], root: ServedRoot,
        rootIsLocal: Bool, snapshots: SnapshotTree?, names: NameResolver,
        nameMemories: [NameMemory], wakeup: Int32, arena: UnsafeMutableRawPointer,
        arenaByteCount: Int, imageIndex: ImageIndex, status: StoreStatus,
        handler: (any RequestHandler)?, handlerQueue: HandlerQueue
    ) throws(Errno) {
        let filesMax = clinux_raise_file_limit()
        self.configuration = configuration
        self.links = links
        self.root = root
        self.rootIsLocal = rootIsLocal
        self.snapshots = snapshots
        self.names = names
        self.nameMemories = nameMemories
        self.wakeup = wakeup
        unsafe self.arena = arena
        self.status = status
        self.handler = handler
        self.handlerQueue = handlerQueue
        handlerTable = HandlerTable(
            capacity: handler == nil ? 0 : configuration.handlersMax, shardCount: links.count,
            pendingsMax: links[0].pendingsMax)
        let locksMemory = clinux_begin_locking_memory()
        defer { if locksMemory { clinux_end_locking_memory() } }
        ring = try Ring(entries: 512, completions: 2048, uses: .files)
        cache = ImageCache(
            imageIndex: imageIndex, arenaByteCount: arenaByteCount,
            filesMax: max(16, Int(filesMax) / 2))
        let uploadsMax = ShardLimits.uploadsMax * links.count
        uploads = UploadTable(
            uploadsMax: uploadsMax, isDurable: configuration.uploads.isDurable)
        uploadDisk = UploadDisk(
            root: root, settings: configuration.uploads, uploadsMax: uploadsMax)
        operations = Array(repeating: .none, count: StoreThread.operationsMax)
        freeOperations = Array((0..<StoreThread.operationsMax).reversed())
        openNames = Array(repeating: nil, count: StoreThread.operationsMax)
        unsafe openMemory = .allocate(
            byteCount: StoreThread.operationsMax * StoreThread.openByteCount, alignment: 8)
    }

    deinit { unsafe openMemory.deallocate() }

    /// Runs until told to stop, which happens after the last shard has ended; then throws away what
    /// was not finished.
    mutating func run() throws(Errno) {
        do throws(Errno) {
            try serve()
        } catch {
            closeHandlerTable()
            throw error
        }
    }

    private mutating func serve() throws(Errno) {
        _ = ring.queuePoll(file: wakeup, userData: StoreThread.bellTag)
        removeLeftovers()
        while !status.isStopping { try turn() }
        closeHandlerTable()
        // What the shards have still said is taken in, so that uploads are known to be given up.
        repeat { try turn() } while links.contains { !$0.toStore.isEmpty }
        for number in uploads.openNumbers { uploads.abort(number) }
        carryOutUploads()
        while freeOperations.count + checksCount < StoreThread.operationsMax { try turn() }
        ring.cancelAll()
    }

    static let bellTag = UInt64.max

    private mutating func turn() throws(Errno) {
        _ = try ring.enter(waitingFor: 1, nanoseconds: sleepNanoseconds())
        let count = ring.drain()
        for index in 0..<count { handle(ring.completion(index)) }
        takeRequests()
        takeSupplyWords()
        takeNames()
        if configuration.contentCheck != nil { takeChecks() }
        if handler != nil {
            takeWords()
            expireQuestions()
        }
        checkGrace()
        if cache.isStarved { cache.retry() }
        sweep()
        carryOut()
        carryOutUploads()
        status.note(cache)
        for shard in toRing { links[shard].ring() }
        toRing.removeAll(keepingCapacity: true)
    }

    /// How long there is nothing to do unless a completion comes.
    private func sleepNanoseconds() -> UInt64 {
        let isPolling = !graceTurnCounts.isEmpty || cache.isStarved || status.isStopping
        if isPolling { return StoreThread.pollNanoseconds }
        let deadline = handlerTable.nanosecondsUntilDeadline(now: clinux_now())
        return min(StoreThread.sweepNanoseconds, deadline ?? .max)
    }

    // MARK: Requests

    private mutating func takeRequests() {
        for shard in links.indices {
            while freeOperations.count > StoreThread.operationsReserved,
                let request = links[shard].toStore.take()
            {
                handle(request, shard)
            }
        }
    }

    private mutating func handle(_ request: StoreRequest, _ shard: Int) {
        switch request {
        // At the end nobody waits for an answer any more.
        case .open where status.isStopping, .ask where status.isStopping,
            .want where status.isStopping, .openUpload where status.isStopping:
            break
        case .open(let slot, let generation, let pending):
            find(OpenRequest(shard: shard, slot: slot, generation: generation, pending: pending))
        case .ask(let slot, let generation, let pending):
            ask(OpenRequest(shard: shard, slot: slot, generation: generation, pending: pending))
        case .giveUp(let pending): giveUp(pending: pending, shard)
        case .want(let slot, let generation, let image, let extent, let end):
            let waiter = ImageCache.Waiter(
                shard: UInt32(shard), slot: slot, generation: generation)
            cache.want(image, Int(extent), before: Int(end), for: waiter)
            watch(image)
        case .openUpload(let slot, let generation, let pending, let byteCount):
            let open = OpenRequest(
                shard: shard, slot: slot, generation: generation, pending: pending)
            if asksNames(open) { return askNames(open, upload: .init(byteCount: byteCount)) }
            let asked = unsafe links[shard].pendings[Int(pending)]
            let name = asked.name
            // The root's own path may stand in front.
            openUpload(
                open, names.trees.droppingRootPath(name) ?? name, byteCount: byteCount,
                asked.policy.upload)
        case .write(let upload, let chunk, let byteCount, let isLast)
        where upload & HandlerTable.takenFlag != 0:
            handTaken(upload, shard, chunk, Int(byteCount), isLast: isLast)
        case .abort(let upload) where upload & HandlerTable.takenFlag != 0:
            abortTaken(upload)
        case .write(let upload, let chunk, let byteCount, let isLast):
            write(upload, shard, chunk, Int(byteCount), isLast: isLast)
        case .abort(let upload):
            uploads.abort(upload)
        }
    }

    /// What shards say of images that handlers supply.
    private mutating func takeSupplyWords() {
        for link in links {
            while let word = link.supplyWords.take() {
                if word.extent == SupplyMessage.released {
                    cache.didRelease(word.image)
                } else {
                    cache.didAcknowledge(word.image, extent: Int(word.extent))
                }
            }
        }
    }

    mutating func reply(_ reply: StoreReply, _ shard: Int) {
        // Twice as many places as a shard can have questions open.
        let isPut = links[shard].fromStore.put(reply)
        assert(isPut)
        toRing.insert(shard)
    }

    // MARK: Completions

    private mutating func handle(_ completion: Completion) {
        guard completion.userData != StoreThread.bellTag else {
            clinux_eventfd_clear(wakeup)
            if !completion.hasMore {
                _ = ring.queuePoll(file: wakeup, userData: StoreThread.bellTag)
            }
            return
        }
        let number = Int(completion.userData)
        let operation = operations[number]
        operations[number] = .none
        freeOperations.append(number)
        switch operation {
        case .none: assertionFailure("an operation completes once")
        case .look(let request): didLook(request, number, completion.result)
        case .open(let request, let name): didOpen(request, name, completion.result)
        case .reopen(let image): didReopen(image, completion.result)
        case .lookAtRoot: didLookAtRoot(completion.result)
        case .read(let order): didRead(order, completion.result)
        case .write(let order): didWrite(order, completion.result)
        case .writeBack: break
        case .copyRead(let copy): didCopyRead(copy, completion.result)
        case .copyWrite(let copy): didCopyWrite(copy, completion.result)
        case .sync(let upload): didSync(upload, completion.result)
        case .syncFolder(let identity): didSyncFolder(identity, completion.result)
        }
    }

    /// Takes a number for `operation`, lets `queue` put it on the ring, and returns it.
    @discardableResult
    mutating func start(
        _ operation: Operation, _ queue: (inout Ring, UInt64, Int) -> Bool
    ) -> Int {
        guard let number = freeOperations.popLast() else {
            preconditionFailure("requests leave \(StoreThread.operationsReserved) operations free")
        }
        operations[number] = operation
        if queue(&ring, UInt64(number), number) { return number }
        // The submission queue is full: hand it over and try once more.
        _ = try? ring.enter(waitingFor: 0, nanoseconds: 0)
        let isQueued = queue(&ring, UInt64(number), number)
        precondition(isQueued, "an enter empties the submission queue")
        return number
    }

    // MARK: Reading

    /// Looks for the name that is asked for, in the snapshot that it is for where there are any.
    mutating func find(_ request: OpenRequest) {
        let name = unsafe links[request.shard].pendings[Int(request.pending)].name
        var request = request
        do throws(StoreFailure) {
            try checkRoot()
            try place(&request, name)
        } catch {
            return miss(request, error)
        }
        if asksNames(request) { return askNames(request) }
        look(request, name.dropping(request.place?.prefixByteCount ?? 0))
    }

    /// Settles once which snapshot the request is for.
    mutating func place(_ request: inout OpenRequest, _ name: FileName) throws(StoreFailure) {
        guard let snapshots, request.place == nil else { return }
        let note = unsafe links[request.shard].notes[Int(request.pending)]
        request.place = try snapshots.place(name, for: note.peer.address)
        holdsSnapshots = true
    }

    mutating func look(_ request: OpenRequest, _ name: FileName) {
        startOpen(
            .look(request), directory: directory(of: request), name, flags: clinux_flags_path())
    }

    private func directory(of request: OpenRequest) -> Int32 {
        request.place?.snapshot.directory ?? names.trees.directory(of: request.tree)
    }

    mutating func startOpen(
        _ operation: Operation, directory: Int32, _ name: FileName, flags: Int32
    ) {
        let memory = unsafe openMemory
        let started = start(operation) { ring, tag, number in
            let how = unsafe memory + number * StoreThread.openByteCount
            let path = unsafe how + StoreThread.openHowByteCount
            unsafe name.withUnsafeCString { name in
                unsafe path.copyMemory(from: name, byteCount: FileName.capacity)
            }
            return unsafe ring.queueOpen(
                directory: directory, path: path.assumingMemoryBound(to: CChar.self), flags: flags,
                resolve: UInt64(CLINUX_RESOLVE_BENEATH), storage: how, userData: tag)
        }
        openNames[started] = name
    }

    private mutating func didLook(_ request: OpenRequest, _ number: Int, _ result: Int32) {
        guard let name = openNames[number] else { return }
        guard result >= 0 else {
            if mayBeReached(request, result) { return askNames(request) }
            let failure = StoreFailure(errno: -result)
            if failure == .notFound && hasOtherSpelling(request, name) { return askNames(request) }
            guard failure == .notFound, !request.isStripped, !request.isResolved,
                let stripped = name.strippingTrailingJunk()
            else { return miss(request, failure) }
            var again = request
            again.isStripped = true
            return look(again, stripped)
        }
        defer { clinux_close(result) }
        var status = clinux_status()
        guard unsafe clinux_status_of(result, &status) == 0, status.isServed(configuration) else {
            return refuse(request, status.is_regular ? .permission : .notRegular)
        }
        if let image = cache.lookup(FileIdentity(status)) { return answer(request, image) }
        startOpen(
            .open(request, name), directory: directory(of: request), name,
            flags: clinux_flags_read())
    }

    /// There is no such file; a handler may have what the folder has not.
    mutating func miss(_ request: OpenRequest, _ failure: StoreFailure) {
        let isForHandler =
            failure == .notFound && configuration.reads == .afterFolder && !request.isAsked
        isForHandler ? ask(request) : refuse(request, failure)
    }

    private mutating func didOpen(_ request: OpenRequest, _ name: FileName, _ result: Int32) {
        guard result >= 0 else {
            noteFailure(.opening, Errno(rawValue: -result))
            return refuse(request, StoreFailure(errno: -result))
        }
        var status = clinux_status()
        guard unsafe clinux_status_of(result, &status) == 0, status.isServed(configuration) else {
            clinux_close(result)
            return refuse(request, status.is_regular ? .permission : .notRegular)
        }
        let identity = FileIdentity(status)
        // Somebody else may have asked for the same meanwhile.
        if let image = cache.lookup(identity) {
            clinux_close(result)
            return answer(request, image)
        }
        guard identity.byteCount <= ImageCache.imageByteCountMax else {
            clinux_close(result)
            return refuse(request, .tooLarge)
        }
        clinux_set_blocking(result)
        let offset = unsafe links[request.shard].pendings[Int(request.pending)].offset
        guard
            let image = cache.insert(
                identity, file: result, offset: offset, isReopenable: true)
        else {
            clinux_close(result)
            noteFailure(.opening, .tooManyOpenFiles)
            return refuse(request, .busy)
        }
        keepName(of: image, request, name)
        answer(request, image)
    }

    private mutating func answer(_ request: OpenRequest, _ image: ImageID) {
        reply(
            .opened(
                slot: request.slot, generation: request.generation, pending: request.pending,
                image: image), request.shard)
    }

    mutating func refuse(_ request: OpenRequest, _ failure: StoreFailure) {
        reply(
            .refused(
                slot: request.slot, generation: request.generation, pending: request.pending,
                failure: failure), request.shard)
    }

    private mutating func didRead(_ order: ImageCache.ReadOrder, _ result: Int32) {
        var status = clinux_status()
        let isKnown = unsafe clinux_status_of(order.file, &status) == 0
        var identity = isKnown ? FileIdentity(status) : nil
        if result < 0 { noteFailure(.reading, Errno(rawValue: -result)) }
        if let now = identity, now.hasGrown(since: cache.imageIndex.identity(of: order.key.image)),
            !hasKeptContent(order)
        {
            identity = nil
        }
        // What is of another version by now is not shown to anybody, and the cache says so.
        if let identity, result == order.byteCount, let judge = configuration.contentCheck,
            identity.hasSameContent(as: cache.imageIndex.identity(of: order.key.image)),
            judge.knows(identity)
        {
            return check(order, identity, by: judge)
        }
        cache.didRead(order.key, result: result, identity: identity)
    }

    // MARK: Checking

    /// For the cache the read lasts until the extent has been compared, and so does its operation:
    /// there are no more copies of extents than operations.
    private mutating func check(
        _ order: ImageCache.ReadOrder, _ identity: FileIdentity, by judge: any ContentCheck
    ) {
        guard let number = freeOperations.popLast() else {
            preconditionFailure("the read has just given its number back")
        }
        checksCount += 1
        let extent = unsafe extent(of: order)
        handlerQueue.check(
            HandlerQueue.Check(operation: number, order: order, identity: identity),
            unsafe Array(extent),
            at: UInt64(order.key.number) * UInt64(ImageIndex.extentByteCount), by: judge)
    }

    /// The place in the arena that `order`, which may have been the last of several, has filled.
    private func extent(of order: ImageCache.ReadOrder) -> UnsafeMutableRawBufferPointer {
        let begin = UInt64(order.key.number) * UInt64(ImageIndex.extentByteCount)
        let doneByteCount = Int(order.fileOffset - begin)
        // The cache keeps the place for this read until it is told of the end.
        return unsafe UnsafeMutableRawBufferPointer(
            start: arena + order.arenaOffset - doneByteCount,
            count: doneByteCount + order.byteCount)
    }

    private mutating func takeChecks() {
        for check in handlerQueue.takeChecks() {
            freeOperations.append(check.operation)
            checksCount -= 1
            var result = Int32(check.order.byteCount)
            switch check.result {
            case .right: break
            case .mended(let bytes):
                let extent = unsafe extent(of: check.order)
                if bytes.count == extent.count {
                    unsafe extent.copyBytes(from: bytes)
                } else {
                    result = -StoreThread.rottenErrno
                }
            case .wrong: result = -StoreThread.rottenErrno
            }
            cache.didRead(check.order.key, result: result, identity: check.identity)
        }
    }

    /// EIO.
    private static let rottenErrno: Int32 = 5

    /// Does what the cache asks for.
    private mutating func carryOut() {
        // Reads take operations that are free; the rest of the actions wait for the next turn. One
        // action may lead to others.
        while freeOperations.count > 0 && !cache.actions.isEmpty {
            var index = 0
            let actions = cache.actions
            while index < actions.count && freeOperations.count > 0 {
                carryOut(actions[index])
                index += 1
            }
            cache.actions.removeFirst(index)
        }
    }

    private mutating func carryOut(_ action: ImageCache.Action) {
        switch action {
        case .read(let order): read(order)
        case .answer(let waiter, _) where waiter.shard == StoreThread.tasks,
            .answerEnd(let waiter, _) where waiter.shard == StoreThread.tasks:
            answerTask(waiter)
        case .answer(let waiter, let errno): answer(waiter, errno)
        case .answerEnd(let waiter, let byteCount):
            reply(
                .ended(slot: waiter.slot, generation: waiter.generation, byteCount: byteCount),
                Int(waiter.shard))
        case .resume(let image, let supplier): resumeSupply(image, supplier)
        case .stopSupply(let image, let supplier): stopSupply(image, supplier)
        case .closeFile(let file): clinux_close(file)
        case .reopen(let image): reopen(image)
        case .awaitGrace: beginGrace()
        }
    }

    private mutating func read(_ order: ImageCache.ReadOrder) {
        let target = unsafe UnsafeMutableRawBufferPointer(
            start: arena + order.arenaOffset, count: order.byteCount)
        start(.read(order)) { ring, tag, _ in
            unsafe ring.queueRead(
                file: order.file, into: target, offset: order.fileOffset, userData: tag)
        }
    }

    private mutating func answer(_ waiter: ImageCache.Waiter, _ errno: Int32) {
        let shard = Int(waiter.shard)
        guard errno != 0 else {
            return reply(.ready(slot: waiter.slot, generation: waiter.generation), shard)
        }
        reply(
            .lost(
                slot: waiter.slot, generation: waiter.generation,
                failure: StoreFailure(errno: errno)), shard)
    }

    /// Lets go of files that nobody can ask for any more: an open one keeps its place on the disk.
    private mutating func sweep() {
        let now = clinux_now()
        guard now &- sweptAt >= StoreThread.sweepNanoseconds else { return }
        sweptAt = now
        for (image, file) in cache.idleFiles() {
            var status = clinux_status()
            let isKnown = unsafe clinux_status_of(file, &status) == 0
            let isLost = !isKnown || status.links == 0 || cache.imageIndex.failure(of: image) != 0
            if isLost { cache.forget(image) }
        }
        cache.closeIdleFiles()
        fileNames = fileNames.filter { !cache.isGone($0.key) }
        lookAtRoot()
        for image in cache.idleSupplies() { cache.didRelease(image) }
        holdsSnapshots = snapshots?.sweep() ?? false
    }

    // MARK: Grace

    private mutating func beginGrace() {
        assert(graceTurnCounts.isEmpty)
        graceTurnCounts = links.map(\.turnCount)
        // A sleeping shard comes round only when it is woken.
        for link in links { link.ring() }
    }

    private mutating func checkGrace() {
        guard !graceTurnCounts.isEmpty else { return }
        let isOver = zip(links, graceTurnCounts).allSatisfy { link, before in
            let count = link.turnCount
            return count != before || count == ShardLink.ended
        }
        guard isOver || status.isStopping else { return }
        graceTurnCounts = []
        cache.graceDidPass()
    }
}
