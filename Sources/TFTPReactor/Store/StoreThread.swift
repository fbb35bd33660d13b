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
        case syncFolder(InodeIdentity)
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

        var client: StoreClient {
            StoreClient(shard: shard, slot: slot, generation: generation, pending: pending)
        }
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
    let policies: PublishedPolicies
    let nameMemories: [NameMemory]
    let wakeup: Int32
    let arena: UnsafeMutableRawPointer
    let status: StoreStatus
    var handlers: StoreHandlers
    var ring: Ring
    var cache: ImageCache
    var uploads: UploadTable
    var uploadDisk: UploadDisk
    let quota: UploadQuota
    /// By upload: what it has taken of its quotas; empty where there are none.
    var charges: [UploadQuota.Charge?]
    /// Requests for files whose content is being replaced. At most as many as may be pending.
    var postponed: [InodeIdentity: [(OpenRequest, FileName)]] = [:]
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
    var holdsSnapshots = false
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
        policies: PublishedPolicies,
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
        self.policies = policies
        self.nameMemories = nameMemories
        self.wakeup = wakeup
        unsafe self.arena = arena
        self.status = status
        handlers = StoreHandlers(
            configuration, handler: handler, queue: handlerQueue, shardCount: links.count,
            pendingsMax: links[0].pendingsMax)
        let locksMemory = clinux_begin_locking_memory()
        defer { if locksMemory { clinux_end_locking_memory() } }
        ring = try Ring(entries: 512, completions: 2048, uses: .files)
        cache = ImageCache(
            imageIndex: imageIndex, arenaByteCount: arenaByteCount,
            filesMax: max(16, Int(filesMax) / 2))
        // Twice as many as the shards keep: those that they give up are still being closed.
        let uploadsMax = 2 * ShardLimits.uploadsMax * links.count
        uploads = UploadTable(
            uploadsMax: uploadsMax, isDurable: configuration.uploads.isDurable)
        uploadDisk = UploadDisk(
            root: root, settings: configuration.uploads, uploadsMax: uploadsMax)
        let quota = UploadQuota(configuration.uploads.quota, seed: .random(in: 0 ... .max))
        charges = Array(repeating: nil, count: quota.isActive ? uploadsMax : 0)
        self.quota = quota
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
            closeHandlers()
            throw error
        }
    }

    private mutating func serve() throws(Errno) {
        _ = ring.queuePoll(file: wakeup, userData: StoreThread.bellTag)
        removeLeftovers()
        while !status.isStopping { try turn() }
        closeHandlers()
        // What the shards have still said is taken in, so that uploads are known to be given up.
        repeat { try turn() } while links.contains { !$0.toStore.isEmpty }
        for number in uploads.openNumbers { uploads.abort(number) }
        carryOutUploads()
        while freeOperations.count + checksCount < StoreThread.operationsMax { try turn() }
        ring.cancelAll()
        uploadDisk.closeSpares()
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
        if handlers.handler != nil { takeHandlerMessages() }
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
        let deadline = handlers.table.nanosecondsUntilDeadline(now: clinux_now())
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
        // At the end no client waits for an answer.
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
            handlers.table.stepWait(image, now: clinux_now(), cache)
        case .openUpload(let slot, let generation, let pending, let byteCount):
            let open = OpenRequest(
                shard: shard, slot: slot, generation: generation, pending: pending)
            if asksNames(open) { return askNames(open, upload: .init(byteCount: byteCount)) }
            let asked = unsafe links[shard].pendings[Int(pending)]
            // The root's own path may stand in front.
            guard let inner = names.root.droppingPath(asked.name) else {
                return openUpload(
                    open, asked.name, byteCount: byteCount, asked.policy.upload)
            }
            guard adoptPolicy(open, of: inner) else { return refuse(open, .forbidden) }
            let policy = unsafe links[shard].pendings[Int(pending)].policy
            openUpload(open, inner, byteCount: byteCount, policy.upload)
        case .write(let upload, let chunk, let byteCount, let isLast)
        where upload & HandlerTable.uploadFlag != 0:
            handlers.table.stepChunk(
                upload, shard: shard, chunk, byteCount: Int(byteCount), isLast: isLast)
            carryOutHandlers()
        case .abort(let upload) where upload & HandlerTable.uploadFlag != 0:
            handlers.table.stepAbort(upload)
            carryOutHandlers()
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

    /// Releases files that no client can ask for any more: an open one keeps its place on the disk.
    private mutating func sweep() {
        let now = clinux_now()
        guard now &- sweptAt >= StoreThread.sweepNanoseconds else { return }
        sweptAt = now
        for (image, file) in cache.idleFiles() {
            var status = clinux_status()
            let isKnown = unsafe clinux_status_of(file, &status) == 0
            let isLost = !isKnown || status.links == 0 || cache.imageIndex.failure(of: image) != nil
            if isLost { cache.forget(image) }
        }
        cache.closeIdleFiles()
        uploadDisk.closeSpares()
        fileNames = fileNames.filter { !cache.isGone($0.key) }
        lookAtRoot()
        for image in cache.idleSupplies() { cache.didRelease(image) }
        holdsSnapshots = snapshots?.sweep() ?? false
    }

    // MARK: Grace

    mutating func beginGrace() {
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
