/// Uploads on their way from chunks to a durable name. Sans-IO: the caller opens, writes, syncs and
/// names, and this says what comes next.
///
/// Chunks are written at offsets in the order they were handed in, whatever order the writes end
/// in. After the last write has ended well the file is synced, then it gets its name, then the
/// folder is synced, and then the client hears of it: what is acknowledged is on the disk. Uploads
/// that end while their folder is being synced share the next sync of it.
///
/// Invariants: an upload is named once, after a sync of all its bytes; it is answered once, with
/// `commit` or `fail`; and `discard` is the last action of each.
package struct UploadTable: ~Copyable {
    /// How an upload comes to stand under its name.
    package enum Placing: Equatable, Sendable {
        /// No file of that name may exist.
        case create
        /// In one step, in the place of another one if there is one.
        case replace
        /// What was received is copied into the file that exists, which is open for writing as
        /// `target`, which is `of`. Uploads to one file are copied one after the other.
        case rewrite(target: Int32, of: InodeIdentity)
    }

    /// A folder that was changed, open so that it can be synced.
    package struct ChangedFolder: Sendable {
        package let identity: InodeIdentity
        package let file: Int32

        package init(identity: InodeIdentity, file: Int32) {
            self.identity = identity
            self.file = file
        }
    }

    package struct Upload: Sendable {
        /// What is received goes here.
        package let file: Int32
        package let placing: Placing
        /// The shard that answers the client, and its transfer.
        package let shard: UInt32
        package let slot: UInt32
        package let generation: UInt32
        /// What `didPlace` was told of; stay open until `discard`.
        package fileprivate(set) var folders: [ChangedFolder] = []
        package fileprivate(set) var byteCount: UInt64 = 0
        fileprivate var writtenBackByteCount: UInt64 = 0
        fileprivate var writesInFlight = 0
        fileprivate var isLastSeen = false
        fileprivate var isAborted = false
        fileprivate var hasFailed = false
        fileprivate var phase = Phase.receiving
        /// Whether nothing was written, and it has not got its name.
        package var isUntouched: Bool { byteCount == 0 && !isLastSeen }
        /// Syncs of folders that it waits for.
        fileprivate var syncsLeft = 0

        package init(
            file: Int32, placing: Placing, shard: UInt32, slot: UInt32, generation: UInt32
        ) {
            self.file = file
            self.placing = placing
            self.shard = shard
            self.slot = slot
            self.generation = generation
        }
    }

    fileprivate enum Phase {
        case receiving
        /// For the end of another upload to the file that it goes into.
        case waiting
        case copying
        case syncing
        case placing
        case syncingFolders
        case ended
    }

    /// What the caller must do, in order.
    package enum Action: Equatable, Sendable {
        /// Begin to write a part of `file` back to the disk, so that there is less to sync at the
        /// end. No answer.
        case writeBack(file: Int32, offset: UInt64, byteCount: Int)
        /// Copy `byteCount` bytes of one file over the content of another; the answer goes to
        /// `didCopy`.
        case copy(UInt32, from: Int32, to: Int32, byteCount: UInt64)
        /// Sync a file; the answer goes to `didSync`.
        case sync(UInt32, file: Int32)
        /// Give the upload its name, or see that the name still leads to the file that it was
        /// copied into; the answer goes to `didPlace`.
        case place(UInt32)
        /// Sync a folder; the answer goes to `didSyncFolder`.
        case syncFolder(InodeIdentity, file: Int32)
        /// Tell the shard that the upload is complete.
        case commit(UInt32)
        /// Tell the shard that it cannot be completed.
        case fail(UInt32, StoreFailure)
        /// Nothing is left to be done: close its files, and then call `close`.
        case discard(UInt32)
    }

    /// A sync of one folder, and the uploads that wait for it.
    private struct FolderSync {
        /// Named before the sync that is under way began.
        var sharing: [UInt32] = []
        /// Named since: the next sync is theirs.
        var waiting: [UInt32] = []
    }

    package var actions: [Action] = []
    private var uploads: [Upload?]
    private var free: [Int]
    private var folderSyncs: [InodeIdentity: FolderSync] = [:]
    /// Uploads to each file whose content is being replaced; the first is the one under way.
    private var rewrites: [InodeIdentity: [UInt32]] = [:]
    private let isDurable: Bool
    private let byteCountMax: UInt64

    /// After so many bytes more the disk is set to work.
    package static let writeBackByteCount = 8 << 20

    /// - Parameters:
    ///   - isDurable: false answers before anything is synced: a crash of the machine loses what
    ///     was acknowledged.
    ///   - byteCountMax: a longer upload fails with `tooLarge`.
    package init(uploadsMax: Int, isDurable: Bool = true, byteCountMax: UInt64 = .max) {
        uploads = Array(repeating: nil, count: uploadsMax)
        free = Array((0..<uploadsMax).reversed())
        self.isDurable = isDurable
        self.byteCountMax = byteCountMax
    }

    package var isFull: Bool { free.isEmpty }
    package var count: Int { uploads.count - free.count }

    package subscript(number: UInt32) -> Upload? { uploads[Int(number)] }

    /// - Precondition: not full.
    package mutating func open(_ upload: Upload) -> UInt32 {
        let number = free.removeLast()
        uploads[number] = upload
        return UInt32(number)
    }

    /// Forgets an upload, after `discard`.
    package mutating func close(_ number: UInt32) {
        assert(uploads[Int(number)]?.phase == .ended)
        assert(uploads[Int(number)]?.writesInFlight == 0)
        uploads[Int(number)] = nil
        free.append(Int(number))
    }

    /// Every upload that is open, to be thrown away at the end.
    package var openNumbers: [UInt32] {
        uploads.indices.filter { uploads[$0] != nil }.map { UInt32($0) }
    }

    // MARK: Receiving

    /// `byteCount` bytes are to be appended. Returns where they go, or nil when they need not be
    /// written.
    package mutating func stepWrite(
        _ number: UInt32, byteCount: Int, isLast: Bool
    ) -> UInt64? {
        guard let before = uploads[Int(number)] else { return nil }
        assert(!before.isLastSeen, "nothing comes after the last chunk")
        uploads[Int(number)]?.isLastSeen = isLast
        guard !before.hasFailed, !before.isAborted, byteCount > 0,
            isWithinLimit(number, byteCount)
        else {
            settle(number)
            return nil
        }
        uploads[Int(number)]?.byteCount += UInt64(byteCount)
        uploads[Int(number)]?.writesInFlight += 1
        return before.byteCount
    }

    private mutating func isWithinLimit(_ number: UInt32, _ byteCount: Int) -> Bool {
        guard let upload = uploads[Int(number)] else { return false }
        guard upload.byteCount + UInt64(byteCount) > byteCountMax else { return true }
        failReceiving(number, .tooLarge)
        return false
    }

    /// A write ended; `failure` is nil when all of it is in the file. The first failure is told,
    /// once.
    package mutating func didWrite(_ number: UInt32, failure: StoreFailure?) {
        guard let before = uploads[Int(number)] else { return }
        assert(before.writesInFlight > 0)
        uploads[Int(number)]?.writesInFlight -= 1
        if let failure { failReceiving(number, failure) }
        writeBack(number)
        settle(number)
    }

    /// Nothing more of the upload is taken; it is told once, with `failure`.
    package mutating func refuse(_ number: UInt32, _ failure: StoreFailure) {
        guard uploads[Int(number)]?.phase == .receiving else { return }
        failReceiving(number, failure)
    }

    private mutating func failReceiving(_ number: UInt32, _ failure: StoreFailure) {
        guard let before = uploads[Int(number)], !before.hasFailed else { return }
        uploads[Int(number)]?.hasFailed = true
        if !before.isAborted { actions.append(.fail(number, failure)) }
    }

    /// Has what was written since the last time go to the disk. What is still being written is left
    /// for the next time.
    private mutating func writeBack(_ number: UInt32) {
        guard isDurable, let upload = uploads[Int(number)], !upload.hasFailed else { return }
        if case .rewrite = upload.placing { return }
        let byteCount = upload.byteCount - upload.writtenBackByteCount
        guard byteCount >= UInt64(UploadTable.writeBackByteCount) else { return }
        uploads[Int(number)]?.writtenBackByteCount = upload.byteCount
        actions.append(
            .writeBack(
                file: upload.file, offset: upload.writtenBackByteCount, byteCount: Int(byteCount)))
    }

    /// The shard has given it up.
    package mutating func abort(_ number: UInt32) {
        guard uploads[Int(number)] != nil else { return }
        uploads[Int(number)]?.isAborted = true
        if uploads[Int(number)]?.phase == .waiting { return end(number) }
        settle(number)
    }

    /// Goes on once nothing is being written.
    private mutating func settle(_ number: UInt32) {
        guard let upload = uploads[Int(number)], upload.phase == .receiving,
            upload.writesInFlight == 0
        else { return }
        if upload.isAborted || upload.hasFailed && upload.isLastSeen {
            end(number)
        } else if upload.isLastSeen {
            complete(number, upload)
        }
    }

    // MARK: Completing

    private mutating func complete(_ number: UInt32, _ upload: Upload) {
        assert(!upload.hasFailed)
        guard case .rewrite(_, let file) = upload.placing else {
            return isDurable ? sync(number, upload.file) : place(number)
        }
        rewrites[file, default: []].append(number)
        uploads[Int(number)]?.phase = .waiting
        if rewrites[file]?.first == number { copy(number) }
    }

    private mutating func copy(_ number: UInt32) {
        guard let upload = uploads[Int(number)], case .rewrite(let target, _) = upload.placing
        else { return }
        assert(upload.phase == .waiting)
        uploads[Int(number)]?.phase = .copying
        actions.append(
            .copy(number, from: upload.file, to: target, byteCount: upload.byteCount))
    }

    private mutating func sync(_ number: UInt32, _ file: Int32) {
        uploads[Int(number)]?.phase = .syncing
        actions.append(.sync(number, file: file))
    }

    private mutating func place(_ number: UInt32) {
        uploads[Int(number)]?.phase = .placing
        actions.append(.place(number))
    }

    /// The content is in the file that exists.
    package mutating func didCopy(_ number: UInt32, failure: StoreFailure?) {
        guard let upload = uploads[Int(number)], case .rewrite(let target, _) = upload.placing
        else { return }
        assert(upload.phase == .copying)
        if let failure { return fail(number, failure) }
        isDurable ? sync(number, target) : place(number)
    }

    /// The content is on the disk.
    package mutating func didSync(_ number: UInt32, failure: StoreFailure?) {
        assert(uploads[Int(number)]?.phase == .syncing)
        if let failure { return fail(number, failure) }
        place(number)
    }

    /// The file has its name; `folders` were changed by that, and stay open until `discard`.
    package mutating func didPlace(_ number: UInt32, in folders: [ChangedFolder]) {
        assert(uploads[Int(number)]?.phase == .placing)
        uploads[Int(number)]?.folders = folders
        guard isDurable, !folders.isEmpty else { return finish(number) }
        uploads[Int(number)]?.phase = .syncingFolders
        uploads[Int(number)]?.syncsLeft = folders.count
        for folder in folders {
            folderSyncs[folder.identity, default: FolderSync()].waiting.append(number)
        }
    }

    /// The file cannot have its name.
    package mutating func didNotPlace(_ number: UInt32, _ failure: StoreFailure) {
        assert(uploads[Int(number)]?.phase == .placing)
        fail(number, failure)
    }

    /// Begins the syncs of folders that uploads wait for. Called when all that has come in is dealt
    /// with, so that what came in together shares one.
    package mutating func startFolderSyncs() {
        for (identity, sync) in folderSyncs where sync.sharing.isEmpty {
            guard let first = sync.waiting.first,
                let folder = uploads[Int(first)]?.folders.first(where: { $0.identity == identity })
            else { continue }
            folderSyncs[identity] = FolderSync(sharing: sync.waiting)
            actions.append(.syncFolder(identity, file: folder.file))
        }
    }

    /// The names that a folder had when its sync began are on the disk.
    package mutating func didSyncFolder(_ identity: InodeIdentity, failure: StoreFailure?) {
        guard let sync = folderSyncs[identity] else {
            assertionFailure("a sync ends once")
            return
        }
        folderSyncs[identity] =
            sync.waiting.isEmpty ? nil : FolderSync(waiting: sync.waiting)
        for number in sync.sharing {
            if let failure { failReceiving(number, failure) }
            uploads[Int(number)]?.syncsLeft -= 1
            guard let upload = uploads[Int(number)], upload.syncsLeft == 0 else { continue }
            upload.hasFailed ? end(number) : finish(number)
        }
    }

    private mutating func finish(_ number: UInt32) {
        actions.append(.commit(number))
        end(number)
    }

    private mutating func fail(_ number: UInt32, _ failure: StoreFailure) {
        actions.append(.fail(number, failure))
        end(number)
    }

    private mutating func end(_ number: UInt32) {
        let before = uploads[Int(number)]
        uploads[Int(number)]?.phase = .ended
        actions.append(.discard(number))
        if case .rewrite(_, let file) = before?.placing { endRewrite(number, file) }
    }

    /// The next upload to the file begins, if this was the one under way.
    private mutating func endRewrite(_ number: UInt32, _ file: InodeIdentity) {
        guard let index = rewrites[file]?.firstIndex(of: number) else { return }
        rewrites[file]?.remove(at: index)
        guard let next = rewrites[file]?.first else {
            rewrites[file] = nil
            return
        }
        if index == 0 { copy(next) }
    }

    /// Whether the content of a file is being replaced, so that it is neither old nor new.
    package func isRewriting(_ file: InodeIdentity) -> Bool { rewrites[file] != nil }
}
