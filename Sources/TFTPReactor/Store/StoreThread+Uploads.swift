internal import CLinux
internal import Dispatch
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import Uring

/// Uploads: carries out what `UploadTable` decides, by the ring and on `UploadDisk`.
extension StoreThread {
    /// Opens a file that receives the upload, for a client that waits to send it.
    mutating func openUpload(
        _ request: OpenRequest, _ name: FileName, byteCount: UInt64, _ policy: UploadPolicy
    ) {
        // What is published is not written to.
        guard snapshots == nil else { return refuse(request, .forbidden) }
        if uploads.isFull { carryOutUploads() }
        guard !uploads.isFull else { return refuse(request, .busy) }
        let client = unsafe links[request.shard].notes[Int(request.pending)].peer.address
        guard uploadDisk.charges.admits(client, byteCount: byteCount) else {
            return refuse(request, .quota)
        }
        let upload: UInt32
        do throws(StoreFailure) {
            try checkRoot()
            upload = try uploadDisk.open(name, policy, byteCount: byteCount) { file, placing in
                uploads.open(
                    UploadTable.Upload(
                        file: file, placing: placing, shard: UInt32(request.shard),
                        slot: request.slot, generation: request.generation))
            }
        } catch .outside where !request.isResolved {
            // A link that the kernel does not follow may lead to a file within the root.
            return askNames(request, upload: .init(byteCount: byteCount))
        } catch {
            return refuse(request, error)
        }
        uploadDisk.charges.begin(upload, client)
        reply(
            .uploadOpened(
                slot: request.slot, generation: request.generation, pending: request.pending,
                upload: upload), request.shard)
    }

    // MARK: Writing

    mutating func write(
        _ upload: UInt32, _ shard: Int, _ chunk: UInt32, _ byteCount: Int, isLast: Bool
    ) {
        if !uploadDisk.charges.take(byteCount, for: upload) { uploads.refuse(upload, .quota) }
        if uploads[upload]?.isUntouched == true { uploadDisk.begin(upload) }
        guard
            let offset = uploads.stepWrite(upload, byteCount: byteCount, isLast: isLast)
        else { return reply(.written(chunk: chunk), shard) }
        write(
            WriteOrder(
                upload: upload, shard: shard, chunk: chunk, fileOffset: offset,
                byteCount: byteCount))
    }

    private mutating func write(_ order: WriteOrder) {
        guard let file = uploads[order.upload]?.file else { return }
        let left = order.byteCount - order.doneByteCount
        let bytes = unsafe UnsafeRawBufferPointer(
            start: links[order.shard].chunk(order.chunk) + order.doneByteCount, count: left)
        ring.start(.write(order)) { ring, tag, _ in
            unsafe ring.queueWrite(
                file: file, from: bytes,
                offset: order.fileOffset + UInt64(order.doneByteCount), userData: tag)
        }
    }

    mutating func didWrite(_ order: WriteOrder, _ result: Int32) {
        if result > 0 && order.doneByteCount + Int(result) < order.byteCount {
            // A disk that fills up takes a part first; the rest says why.
            var rest = order
            rest.doneByteCount += Int(result)
            return write(rest)
        }
        reply(.written(chunk: order.chunk), order.shard)
        if result <= 0 { noteFailure(.writing, result < 0 ? Errno(rawValue: -result) : .noSpace) }
        uploads.didWrite(order.upload, failure: StoreThread.failure(ofWrite: result))
    }

    /// A write of nothing where something was to be written: the disk is full.
    private static func failure(ofWrite result: Int32) -> StoreFailure? {
        result > 0 ? nil : result == 0 ? .diskFull : StoreFailure(Errno(rawValue: -result))
    }

    // MARK: Completing

    /// Does what the table asks for.
    mutating func carryOutUploads() {
        repeat {
            while ring.freeCount > 0 && !uploads.actions.isEmpty {
                carryOut(uploads.actions.removeFirst())
            }
            uploads.startFolderSyncs()
        } while ring.freeCount > 0 && !uploads.actions.isEmpty
    }

    private mutating func carryOut(_ action: UploadTable.Action) {
        switch action {
        case .writeBack(let file, let offset, let byteCount):
            ring.start(.writeBack) { ring, tag, _ in
                ring.queueWriteBack(
                    file: file, offset: offset, byteCount: byteCount, userData: tag)
            }
        case .copy(let number, let from, let to, let byteCount):
            let order = FileCopy(upload: number, from: from, to: to, byteCount: byteCount)
            uploadDisk.keepsOld ? backUp(order) : overwrite(order)
        case .sync(let number, let file):
            ring.start(.sync(number)) { ring, tag, _ in ring.queueSync(file: file, userData: tag) }
        case .place(let number): place(number)
        case .syncFolder(let identity, let file):
            ring.start(.syncFolder(identity)) { ring, tag, _ in
                ring.queueSync(file: file, userData: tag)
            }
        case .commit(let number):
            guard let upload = uploads[number] else { return }
            uploadDisk.charges.keep(number)
            reply(
                .committed(slot: upload.slot, generation: upload.generation), Int(upload.shard))
        case .fail(let number, let failure):
            guard let upload = uploads[number] else { return }
            reply(
                .failed(slot: upload.slot, generation: upload.generation, failure: failure),
                Int(upload.shard))
        case .discard(let number):
            let upload = uploads[number]
            uploadDisk.discard(
                number, upload?.folders ?? [], isUntouched: upload?.isUntouched ?? false)
            uploadDisk.charges.giveBack(number)
            uploads.close(number)
            if case .rewrite(_, let file) = upload?.placing { lookAgain(for: file) }
        }
    }

    private mutating func place(_ number: UInt32) {
        do throws(StoreFailure) {
            uploads.didPlace(number, in: try uploadDisk.place(number))
        } catch {
            uploads.didNotPlace(number, error)
        }
    }

    mutating func didSync(_ number: UInt32, _ result: Int32) {
        if result < 0 { noteFailure(.syncing, Errno(rawValue: -result)) }
        uploads.didSync(number, failure: StoreThread.failure(ofSync: result))
    }

    mutating func didSyncFolder(_ identity: InodeIdentity, _ result: Int32) {
        if result < 0 { noteFailure(.syncing, Errno(rawValue: -result)) }
        uploads.didSyncFolder(identity, failure: StoreThread.failure(ofSync: result))
    }

    /// Where a file system has nothing to sync, there is nothing to fail.
    static func failure(ofSync result: Int32) -> StoreFailure? {
        guard result < 0 else { return nil }
        let errno = Errno(rawValue: -result)
        let isUnsupported =
            errno == .invalidArgument || errno == .readOnlyFileSystem
            || errno == .notSupportedOnSocket || errno == .noFunction
        return isUnsupported ? nil : StoreFailure(errno)
    }

    // MARK: Rewriting

    /// Copies an upload into the file that it replaces.
    mutating func overwrite(_ order: FileCopy) {
        if case .rewrite(_, let file) = uploads[order.upload]?.placing {
            cache.failImages(of: file)
        }
        copy(order)
    }

    mutating func copy(_ copy: FileCopy) {
        var copy = copy
        guard copy.doneByteCount < copy.byteCount else { return endCopy(copy) }
        let memory = unsafe copy.takeMemory()
        ring.start(.copyRead(copy)) { ring, tag, _ in
            unsafe ring.queueRead(
                file: copy.from, into: memory, offset: copy.doneByteCount, userData: tag)
        }
    }

    mutating func didCopyRead(_ copy: FileCopy, _ result: Int32) {
        guard result > 0 else { return endCopy(copy, failure: .input) }
        var copy = copy
        copy.pieceByteCount = Int(result)
        writePiece(copy)
    }

    private mutating func writePiece(_ copy: FileCopy) {
        let piece = unsafe copy.piece
        ring.start(.copyWrite(copy)) { ring, tag, _ in
            unsafe ring.queueWrite(
                file: copy.to, from: piece, offset: copy.doneByteCount, userData: tag)
        }
    }

    mutating func didCopyWrite(_ copy: FileCopy, _ result: Int32) {
        if let failure = StoreThread.failure(ofWrite: result) {
            return endCopy(copy, failure: failure)
        }
        var copy = copy
        // What was not written of the piece is read once more.
        copy.doneByteCount += UInt64(result)
        self.copy(copy)
    }

    /// What the old content was longer is cut off.
    private mutating func endCopy(_ copy: FileCopy, failure: StoreFailure? = nil) {
        copy.freeMemory()
        if let next = copy.next { return endBackup(copy, next, failure) }
        var failure = failure
        if failure == nil {
            let result = clinux_truncate(copy.to, copy.byteCount)
            if result < 0 { failure = StoreFailure(Errno(rawValue: -result)) }
        }
        uploads.didCopy(copy.upload, failure: failure)
    }

    /// Has a request wait while the content of its file is being replaced, and is neither old nor
    /// new. False when it is not.
    mutating func postpone(
        _ request: OpenRequest, _ name: FileName, _ status: clinux_status
    ) -> Bool {
        let file = InodeIdentity(status)
        guard uploads.isRewriting(file) else { return false }
        uploadDisk.postponed[file, default: []].append((request, name))
        return true
    }

    /// The content has been replaced.
    private mutating func lookAgain(for file: InodeIdentity) {
        guard !uploads.isRewriting(file),
            let requests = uploadDisk.postponed.removeValue(forKey: file)
        else { return }
        uploadDisk.ready += requests
    }

    /// Looks for what waited for new content, as far as there is room: any number of clients may
    /// have asked meanwhile. The rest waits for operations to end.
    mutating func takeReady() {
        let count = min(uploadDisk.ready.count, ring.freeCountForRequests)
        guard count > 0 else { return }
        let requests = uploadDisk.ready.prefix(count)
        uploadDisk.ready.removeFirst(count)
        for (request, name) in requests { look(request, name) }
    }

    // MARK: Leftovers

    /// Removes what killed servers have left in the folder, beside everything else: the folder may
    /// be large.
    func removeLeftovers() {
        guard configuration.takesUploads, snapshots == nil else { return }
        guard let folder = try? root.folder.open(nil, clinux_flags_list()) else { return }
        let status = status
        DispatchQueue.global().async {
            let count = unsafe clinux_remove_leftovers(
                folder, FileName.uploadPrefix.description, clinux_wall_clock())
            clinux_close(folder)
            if count > 0 { status.add(.leftoversRemoved(count: Int(count))) }
        }
    }
}
