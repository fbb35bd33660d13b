internal import CLinux
internal import Files
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Names looked up here and now, where the kernel has them in memory.
extension Shard {
    /// Finds the file of an RRQ, or says that only the store can.
    mutating func look(_ slot: Int) {
        if names.isActive { return lookForMeaning(slot) }
        guard isRootCurrent() else { return server.stepUnknown(slot) }
        var status = clinux_status()
        var failure = look(for: server.looked.name.terminatedBytes, &status)
        if failure == .notFound, let stripped = server.looked.name.strippingTrailingJunk() {
            failure = look(for: stripped.terminatedBytes, &status)
        }
        if failure == .notFound, let inner = shared.names.droppingRootPath(server.looked.name) {
            failure = look(for: inner.terminatedBytes, &status)
            if failure == .found && !server.stepRenamed(slot, to: inner) { return }
        }
        if failure == .notFound, shared.names.rootHasTwoPaths { failure = .wait }
        switch failure {
        case .wait: return server.stepUnknown(slot)
        case .notFound: return server.stepNotFound(slot)
        case .failed(let failure): return server.stepLookFailed(slot, failure)
        case .found: break
        }
        stepLooked(slot, status)
    }

    /// Whether the root's path still leads to the folder that is open; the store follows one that
    /// has gone, or is another folder by now. The kernel is asked once a turn.
    mutating func isRootCurrent() -> Bool {
        guard !rootIsCurrent else { return true }
        rootIsCurrent = shared.root.isCurrent()
        return rootIsCurrent
    }

    /// The name stands for what `status` says.
    mutating func stepLooked(_ slot: Int, _ status: clinux_status) {
        guard status.isServed(configuration) else {
            return server.stepLookFailed(slot, status.is_regular ? .permission : .notRegular)
        }
        // The store looks at the folders on the way as well.
        guard !configuration.actsAsOwner || server.looked.name.directory == nil,
            let image = identities[FileIdentity(status)], shared.imageIndex.retain(image)
        else { return server.stepUnknown(slot) }
        guard shared.imageIndex.failure(of: image) == nil else {
            shared.imageIndex.release(image)
            return server.stepUnknown(slot)
        }
        // Blocks of the default size pass everywhere.
        if server.looked.options.asksForBlksize { notePath(slot) }
        server.stepFound(slot, image, byteCount: shared.imageIndex.byteCount(of: image))
    }

    /// Tells the server what passes the way to the client of `slot`, which is about to be granted
    /// something. Not of the link that has our address: blocks leave by another one perhaps.
    mutating func notePath(_ slot: Int) {
        let client = server.table.flow(of: slot).peer.address
        server.notePath(slot, mtu: paths.byteCount(to: client, now: now))
    }

    enum Look: Equatable {
        case found
        case notFound
        /// Only a wait can tell.
        case wait
        case failed(StoreFailure)
    }

    /// Looks at what `name` stands for, without waiting and without opening it.
    ///
    /// - Parameter name: ends with a NUL. Not a `FileName`, which would be copied.
    func look(
        for name: RawSpan, in root: Int32? = nil, _ status: inout clinux_status
    ) -> Look {
        let root = root ?? shared.root.descriptor
        let resolve = UInt64(CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_AT_ONCE)
        let file = unsafe name.withUnsafeBytes { bytes in
            // Never empty, and terminated.
            let path = unsafe bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(
                to: CChar.self)
            return unsafe clinux_open_beneath(root, path, clinux_flags_path(), 0, resolve)
        }
        guard file >= 0 else {
            let errno = Errno(rawValue: -file)
            // Not in memory; or out of the root, or only on another file system.
            if errno == .resourceTemporarilyUnavailable || errno == .improperLink { return .wait }
            let failure = StoreFailure(errno)
            return failure == .notFound ? .notFound : .failed(failure)
        }
        defer { clinux_close(file) }
        let result = unsafe clinux_status_of(file, &status)
        return result == 0 ? .found : .failed(StoreFailure(Errno(rawValue: -result)))
    }
}
