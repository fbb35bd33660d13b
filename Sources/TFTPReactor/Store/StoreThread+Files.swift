internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPStore
internal import Uring

/// Files that images are read from: they are closed when no image needs them and opened again by
/// their names, and the root is followed.
extension StoreThread {
    // MARK: Opening again

    /// Remembers by which name the file of an image is opened again.
    mutating func keepName(of image: ImageID, _ request: OpenRequest, _ name: FileName) {
        guard cache.imageIndex.byteCount(of: image) > UInt64(ImageIndex.extentByteCount) else {
            return
        }
        guard let place = request.place else {
            fileNames[image] = KeptName(tree: request.tree, bytes: name.byteArray)
            return
        }
        // From the root on, so that the snapshot can be removed meanwhile.
        let folder = "\(SnapshotLayout.sets)/\(place.snapshot.name)/"
        fileNames[image] = KeptName(tree: 0, bytes: Array(folder.utf8) + name.byteArray)
    }

    mutating func reopen(_ image: ImageID) {
        guard let kept = fileNames[image],
            let name = unsafe try? FileName(literal: kept.bytes.span.bytes)
        else { return cache.didNotReopen(image, .changed) }
        ring.startOpen(
            .reopen(image), directory: names.directory(of: kept.tree), name,
            flags: clinux_flags_read())
    }

    mutating func didReopen(_ image: ImageID, _ result: Int32) {
        guard result >= 0 else {
            let isShort = StoreFailure(Errno(rawValue: -result)) == .busy
            return cache.didNotReopen(
                image, isShort ? .busy : .changed)
        }
        guard let status = try? Files.status(ofOpen: result), status.is_regular,
            FileIdentity(status).keepsContent(of: cache.imageIndex.identity(of: image))
        else {
            clinux_close(result)
            return cache.didNotReopen(image, .changed)
        }
        clinux_set_blocking(result)
        cache.didReopen(image, file: result)
    }

    // MARK: Growing files

    /// Whether a file that has grown since an image of it was begun still has what the image has of
    /// it: the first bytes, and those before the ones that were read now. A file that was written
    /// anew mostly differs there.
    func hasKeptContent(_ order: ImageCache.ReadOrder) -> Bool {
        let image = order.key.image
        let isFirstKept = isKept(0, of: image, at: 0, order.file)
        guard isFirstKept, order.key.number > 0 else { return isFirstKept }
        let offset = ImageIndex.extentByteCount - StoreThread.comparedByteCount
        return isKept(order.key.number - 1, of: image, at: offset, order.file)
    }

    private func isKept(
        _ number: Int, of image: ImageID, at offset: Int, _ file: Int32
    ) -> Bool {
        guard let extent = unsafe cache.imageIndex.extent(number, of: image) else { return true }
        let begin = number * ImageIndex.extentByteCount
        let count = min(
            StoreThread.comparedByteCount,
            Int(cache.imageIndex.byteCount(of: image)) - begin - offset)
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filledCount in
            let room = UnsafeMutableRawBufferPointer(buffer)
            filledCount =
                unsafe (try? FileDescriptor(rawValue: file).read(
                    fromAbsoluteOffset: Int64(begin + offset), into: room)) ?? 0
        }
        // The extent is as long as the image says, and this thread alone takes it away.
        let kept = unsafe UnsafeRawBufferPointer(start: extent + offset, count: count)
        return unsafe bytes.count == count && kept.elementsEqual(bytes)
    }

    private static let comparedByteCount = 4096

    // MARK: The root

    /// Makes sure that names are looked for in the folder that is at the root's path now. Where
    /// that is another machine's it is only asked now and then.
    mutating func checkRoot() throws(StoreFailure) {
        if resources.rootIsLocal && !root.isCurrent() {
            root.follow()
            noteRoot()
        }
        if root.isLost { throw .noRoot }
    }

    /// Asks the ring to open the root's path, which may take long.
    mutating func lookAtRoot() {
        guard !upkeep.isLookingAtRoot, ring.freeCountForRequests > 0 else { return }
        upkeep.isLookingAtRoot = true
        ring.startLook(at: root)
    }

    mutating func didLookAtRoot(_ result: Int32) {
        upkeep.isLookingAtRoot = false
        root.adopt(result)
        noteRoot()
    }

    private func noteRoot() {
        let changes = root.takeChanges()
        guard !changes.isEmpty else { return }
        names.root.noteChange()
        for change in changes { status.add(.root(change, path: root.path)) }
    }

    // MARK: Trouble

    /// Has a line written of a failure that an operator should know of, at most once a minute of
    /// each kind.
    mutating func noteFailure(_ operation: StoreNote.Operation, _ errno: Errno) {
        guard StoreThread.isTrouble(errno) else { return }
        let kind = StoreNote.FailureKind(operation: operation, errno: errno.rawValue)
        if let count = upkeep.failures.note(kind, now: clinux_now()) {
            status.add(.failure(kind, count: count))
        }
    }

    /// What is no fault of the client's, nor of a name.
    private static func isTrouble(_ errno: Errno) -> Bool {
        switch StoreFailure(errno) {
        case .diskFull, .input, .busy: true
        case .notFound, .permission, .outside, .notRegular, .readOnly, .forbidden, .alreadyExists,
            .tooLarge, .quota, .changed, .handler, .tooSlow, .noRoot, .nameTooLong:
            false
        }
    }
}
