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
    /// Where the file of an image was found.
    struct KeptName {
        var tree: Int
        var bytes: [UInt8]
    }

    let configuration: ReactorConfiguration
    let resources: Resources
    let policies: PublishedPolicies
    let status: StoreStatus
    var shards: StoreShards
    var ring: StoreRing
    var cache: ImageCache
    var uploads: UploadTable
    var uploadDisk: UploadDisk
    var handlers: StoreHandlers
    /// By which name the file of an image is opened again.
    var fileNames: [ImageID: KeptName] = [:]
    var upkeep = Upkeep()

    private static let pollNanoseconds: UInt64 = 1_000_000
    /// How often files are looked for that have lost their last name.
    private static let sweepNanoseconds: UInt64 = 10_000_000_000

    init(
        configuration: ReactorConfiguration, links: [ShardLink], resources: Resources,
        policies: PublishedPolicies, wakeup: Int32, status: StoreStatus,
        handler: (any RequestHandler)?, handlerQueue: HandlerQueue
    ) throws(Errno) {
        let filesMax = clinux_raise_file_limit()
        self.configuration = configuration
        self.resources = resources
        self.policies = policies
        self.status = status
        shards = StoreShards(links)
        handlers = StoreHandlers(
            configuration, handler: handler, queue: handlerQueue, shardCount: links.count,
            pendingsMax: links[0].pendingsMax)
        let locksMemory = clinux_begin_locking_memory()
        defer { if locksMemory { clinux_end_locking_memory() } }
        ring = try StoreRing(bell: wakeup)
        cache = ImageCache(
            imageIndex: resources.imageIndex, arenaByteCount: resources.arenaByteCount,
            filesMax: max(16, Int(filesMax) / 2))
        // Twice as many as the shards keep: those that they give up are still being closed.
        let uploadsMax = 2 * ShardLimits.uploadsMax * links.count
        uploads = UploadTable(
            uploadsMax: uploadsMax, isDurable: configuration.uploads.isDurable)
        uploadDisk = UploadDisk(
            root: resources.root, settings: configuration.uploads, uploadsMax: uploadsMax)
    }

    var links: [ShardLink] { shards.links }
    var root: ServedRoot { resources.root }
    var names: NameResolver { resources.names }
    var snapshots: SnapshotTree? { resources.snapshots }

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
        ring.awaitBell()
        removeLeftovers()
        while !status.isStopping { try turn() }
        closeHandlers()
        // What the shards have still said is taken in, so that uploads are known to be given up.
        repeat { try turn() } while links.contains { !$0.toStore.isEmpty }
        for number in uploads.openNumbers { uploads.abort(number) }
        carryOutUploads()
        while !ring.isIdle { try turn() }
        ring.cancelAll()
        uploadDisk.closeSpares()
    }

    private mutating func turn() throws(Errno) {
        let count = try ring.wait(nanoseconds: sleepNanoseconds())
        for index in 0..<count { takeCompletion(index) }
        takeRequests()
        takeSupplyWords()
        takeNames()
        if configuration.contentCheck != nil { takeChecks() }
        if handlers.handler != nil { takeHandlerMessages() }
        if shards.endGrace(isForced: status.isStopping) { cache.graceDidPass() }
        if cache.isStarved { cache.retry() }
        sweep()
        carryOut()
        carryOutUploads()
        takeReady()
        status.note(cache)
        shards.ring()
    }

    /// How long there is nothing to do unless a completion comes.
    private func sleepNanoseconds() -> UInt64 {
        let isPolling = shards.isInGrace || cache.isStarved || status.isStopping
        if isPolling { return StoreThread.pollNanoseconds }
        let deadline = handlers.table.nanosecondsUntilDeadline(now: clinux_now())
        return min(StoreThread.sweepNanoseconds, deadline ?? .max)
    }

    // MARK: Requests

    private mutating func takeRequests() {
        for shard in links.indices {
            while ring.freeCountForRequests > 0,
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

    mutating func reply(_ reply: StoreReply, _ shard: Int) { shards.reply(reply, shard) }

    // MARK: Completions

    private mutating func takeCompletion(_ index: Int) {
        guard let (operation, number, result) = ring.takeCompletion(index) else { return }
        switch operation {
        case .none: assertionFailure("an operation completes once")
        case .look(let request): didLook(request, number, result)
        case .open(let request, let name): didOpen(request, name, result)
        case .reopen(let image): didReopen(image, result)
        case .lookAtRoot: didLookAtRoot(result)
        case .read(let order): didRead(order, result)
        case .write(let order): didWrite(order, result)
        case .writeBack: break
        case .copyRead(let copy): didCopyRead(copy, result)
        case .copyWrite(let copy): didCopyWrite(copy, result)
        case .syncBackup(let order, let folder): didSyncBackup(order, folder, result)
        case .sync(let upload): didSync(upload, result)
        case .syncFolder(let identity): didSyncFolder(identity, result)
        }
    }

    /// Releases files that no client can ask for any more: an open one keeps its place on the disk.
    private mutating func sweep() {
        let now = clinux_now()
        guard now &- upkeep.sweptAt >= StoreThread.sweepNanoseconds else { return }
        upkeep.sweptAt = now
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
        snapshots?.sweep()
    }
}

/// What the store does now and then, and what of it is under way.
struct Upkeep {
    var sweptAt: UInt64 = 0
    var isLookingAtRoot = false
    /// Failures that the log has been told of.
    var failures = FailureLimiter<StoreNote.FailureKind>()
}
