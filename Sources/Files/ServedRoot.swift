internal import CLinux
internal import Glibc
internal import Synchronization
package import SystemPackage
internal import TFTPStore

/// The folder at a path, followed wherever the path leads: the folder may be removed, made anew,
/// replaced, mounted over, or be behind a symbolic link that is switched.
///
/// A value that points to shared memory: any thread may read `descriptor` and ask `isCurrent`,
/// which costs one system call and neither allocates nor locks. The owner calls `destroy` when no
/// thread uses a copy any more.
@safe
package struct ServedRoot: @unchecked Sendable {
    /// What has become of the folder.
    package enum Change: Equatable, Sendable {
        /// There is no folder at the path.
        case lost
        /// It is there again.
        case back
        /// Another folder is at the path, and is served from now on.
        case replaced
        /// Another folder is at the path, and the walls around this process keep it out of there.
        case walled
    }

    @safe
    private struct Storage: ~Copyable {
        let descriptor: Atomic<Int32>
        let device: Atomic<UInt64>
        let inode: Atomic<UInt64>
        let isLost = Atomic<Bool>(false)
        let slow = Mutex<Slow>(Slow())

        init(descriptor: Int32, identity: InodeIdentity) {
            self.descriptor = Atomic(descriptor)
            device = Atomic(identity.device)
            inode = Atomic(identity.inode)
        }
    }

    private struct Slow {
        var changes: [Change] = []
        /// Whether the last folder found at the path is behind a wall.
        var isWalled = false
        /// Descriptors of folders before, which a thread may be using still.
        var retired: [(descriptor: Int32, at: UInt64)] = []
    }

    /// Where the folder is looked for; absolute.
    package let path: String
    /// `path` for the kernel.
    private let cPath: UnsafeMutablePointer<CChar>
    private let storage: UnsafeMutablePointer<Storage>

    /// No call that was given an old descriptor lasts longer.
    private static let retiredNanoseconds: UInt64 = 30_000_000_000
    private static let changesMax = 16

    /// Opens the folder at `path`.
    package init(_ path: String) throws(Errno) {
        let descriptor = try check(unsafe path.withCString { unsafe clinux_open_root($0) })
        do throws(Errno) {
            try self.init(path, descriptor: descriptor)
        } catch {
            clinux_close(descriptor)
            throw error
        }
    }

    /// Takes the folder at `path` that is open as `descriptor`, which is closed by `destroy`.
    package init(_ path: String, descriptor: Int32) throws(Errno) {
        let identity = InodeIdentity(try status(ofOpen: descriptor))
        self.path = ServedRoot.absolute(path)
        unsafe cPath = strdup(self.path)
        unsafe storage = .allocate(capacity: 1)
        unsafe storage.initialize(to: Storage(descriptor: descriptor, identity: identity))
    }

    /// The path from `/` on, for the working folder may change later; without `.` and empty
    /// components.
    private static func absolute(_ path: String) -> String {
        var whole = path
        if !path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) {
            whole = unsafe String(cString: folder) + "/" + path
            unsafe free(folder)
        }
        return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    package func destroy() {
        unsafe storage.pointee.slow.withLock { slow in
            for old in slow.retired { clinux_close(old.descriptor) }
        }
        clinux_close(descriptor)
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
        unsafe free(cPath)
    }

    // MARK: Any thread

    /// The folder, open to look only. Not to be used for longer than a call takes.
    package var descriptor: Int32 {
        unsafe storage.pointee.descriptor.load(ordering: .acquiring)
    }

    /// The folder that names are resolved beneath. For one call.
    package var folder: RootedFolder { RootedFolder(descriptor) }

    /// Whether there is no folder at the path, or none that this process may read.
    package var isLost: Bool { unsafe storage.pointee.isLost.load(ordering: .relaxed) }

    /// Whether the path leads to the folder that is open.
    package func isCurrent() -> Bool {
        guard !isLost else { return false }
        var identity = InodeIdentity(device: 0, inode: 0)
        let result = unsafe clinux_folder_at(cPath, &identity.device, &identity.inode)
        guard result == 0 else { return !ServedRoot.isLoss(Errno(rawValue: -result)) }
        return isSame(identity)
    }

    private func isSame(_ identity: InodeIdentity) -> Bool {
        unsafe identity.device == storage.pointee.device.load(ordering: .relaxed)
            && identity.inode == storage.pointee.inode.load(ordering: .relaxed)
    }

    /// Only these say that nothing is there. A server that has given privileges up may not see the
    /// way to its own folder.
    private static func isLoss(_ errno: Errno) -> Bool {
        errno == .noSuchFileOrDirectory || errno == .notDirectory
            || errno == .tooManySymbolicLinkLevels || errno == .staleNFSFileHandle
    }

    // MARK: Following

    /// Opens what is at the path now. May wait where that is another machine's.
    ///
    /// - Returns: whether there is a folder.
    @discardableResult
    package func follow() -> Bool {
        adopt(unsafe clinux_open_root(cPath))
    }

    /// Calls `body` with the path for the kernel.
    @unsafe
    package func withPath<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        unsafe body(UnsafePointer(cPath))
    }

    /// Takes what opening the path has come to: a descriptor, which is no longer the caller's, or a
    /// negated errno.
    @discardableResult
    package func adopt(_ result: Int32) -> Bool {
        unsafe storage.pointee.slow.withLock { slow in
            adopt(result, &slow)
            closeRetired(&slow)
        }
        return !isLost
    }

    private func adopt(_ result: Int32, _ slow: inout Slow) {
        guard result >= 0, let status = try? status(ofOpen: result) else {
            if result >= 0 { clinux_close(result) }
            guard ServedRoot.isLoss(Errno(rawValue: -result)) else { return }
            return lose(.lost, &slow)
        }
        let identity = InodeIdentity(status)
        if !isSame(identity) && clinux_is_walled(result) {
            clinux_close(result)
            return lose(.walled, &slow)
        }
        slow.isWalled = false
        let wasLost = isLost
        guard !isSame(identity) else {
            clinux_close(result)
            guard wasLost else { return }
            unsafe storage.pointee.isLost.store(false, ordering: .relaxed)
            return note(.back, &slow)
        }
        slow.retired.append((descriptor, clinux_now()))
        unsafe storage.pointee.descriptor.store(result, ordering: .releasing)
        unsafe storage.pointee.device.store(identity.device, ordering: .relaxed)
        unsafe storage.pointee.inode.store(identity.inode, ordering: .relaxed)
        unsafe storage.pointee.isLost.store(false, ordering: .relaxed)
        note(wasLost ? .back : .replaced, &slow)
    }

    /// The folder is not to be had, for a reason that is noted once.
    private func lose(_ reason: Change, _ slow: inout Slow) {
        let isKnown = isLost && slow.isWalled == (reason == .walled)
        slow.isWalled = reason == .walled
        unsafe storage.pointee.isLost.store(true, ordering: .relaxed)
        if !isKnown { note(reason, &slow) }
    }

    private func note(_ change: Change, _ slow: inout Slow) {
        if slow.changes.count < ServedRoot.changesMax { slow.changes.append(change) }
    }

    private func closeRetired(_ slow: inout Slow) {
        let now = clinux_now()
        slow.retired.removeAll { old in
            guard now &- old.at >= ServedRoot.retiredNanoseconds else { return false }
            clinux_close(old.descriptor)
            return true
        }
    }

    /// What has happened since the last call.
    package func takeChanges() -> [Change] {
        unsafe storage.pointee.slow.withLock { slow in
            defer { slow.changes = [] }
            closeRetired(&slow)
            return slow.changes
        }
    }
}
