internal import CLinux
internal import Dispatch
internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Synchronization
internal import TFTPStore

/// Tells what changes beneath a folder (inotify(7)). Of a tree of snapshots it is the current one,
/// by its names in the tree, and that another one has become current.
final class FolderWatch: Sendable {
    enum Change: Hashable, Sendable {
        /// A file of this name has come, gone, or been written to.
        case file(String)
        /// A folder of this name has come.
        case directory(String)
        /// Anything may have changed: at the start, when an event queue has overflowed, and when a
        /// folder has gone.
        case everything
    }

    /// Says that there are changes to take, once for any number of them.
    let news: AsyncStream<Void>

    private let root: URL
    private let hasSnapshots: Bool
    private let logger: Logger
    private let tell: AsyncStream<Void>.Continuation
    /// Changes that have not been taken yet; `[.everything]` replaces all others.
    private let changes = Mutex<[Change]>([.everything])
    private let backlogMax: Int
    private let names: FolderNames?
    private let descriptor: Int32
    private let source: Source?
    private let directories = Mutex<[Int32: String]>([:])
    /// What watches the tree itself.
    private let treeWatch: Int32

    private static let events =
        UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE)
        | UInt32(IN_CREATE) | UInt32(IN_ATTRIB)
    /// If more changes wait, they are dropped and the whole folder is read again.
    static let backlogMax = 10_000

    init(
        _ root: String, hasSnapshots: Bool, names: FolderNames? = nil,
        backlogMax: Int = FolderWatch.backlogMax, logger: Logger
    ) {
        self.names = names
        self.hasSnapshots = hasSnapshots
        self.root = URL(filePath: root, directoryHint: .isDirectory)
        self.logger = logger
        self.backlogMax = backlogMax
        (news, tell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        tell.yield()
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard descriptor >= 0 else {
            source = nil
            treeWatch = -1
            logger.warning("changes of the folder are not seen: no inotify (errno \(errno))")
            return
        }
        treeWatch =
            hasSnapshots
            ? unsafe inotify_add_watch(descriptor, root, UInt32(IN_MOVED_TO) | UInt32(IN_CREATE))
            : -1
        let source = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "folder.watch"))
        self.source = Source(value: source)
        let descriptor = descriptor
        source.setCancelHandler { close(descriptor) }
        source.setEventHandler { [weak self] in self?.read() }
        source.resume()
    }

    deinit {
        source?.value.cancel()
        tell.finish()
    }

    /// What has changed since the last time.
    func take() -> [Change] {
        changes.withLock { changes in
            let taken = changes
            changes = []
            return taken
        }
    }

    /// The files beneath a folder, which is watched from now on; nil for all of it.
    func files(beneath directory: String?) async -> [String] {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var files: [String] = []
                var isComplete = self.tellsChanges
                let appearances = directory.flatMap { self.names?.appearances(of: $0) } ?? 0
                if directory == nil {
                    self.names?.beginWalk()
                    self.forget()
                }
                if let top = directory ?? self.top {
                    self.list(top, into: &files, &isComplete)
                }
                let all = files.flatMap { SnapshotLayout.names($0) }
                if let directory {
                    self.names?.endWalk(
                        of: directory, appearances: appearances, all, isComplete: isComplete)
                } else {
                    self.names?.endWalk(all, isComplete: isComplete)
                }
                continuation.resume(returning: files)
            }
        }
    }

    /// The folder that is walked; nil if there is no current snapshot.
    private var top: String? {
        guard hasSnapshots else { return "" }
        let link = root.appending(path: SnapshotLayout.current).path
        return (try? FileManager.default.destinationOfSymbolicLink(atPath: link)).flatMap {
            SnapshotLayout.name(linked: $0) == nil ? nil : $0
        }
    }

    /// What was watched so far may belong to a snapshot that was current.
    private func forget() {
        let numbers = directories.withLock { all in
            defer { all = [:] }
            return Array(all.keys)
        }
        for number in numbers { inotify_rm_watch(descriptor, number) }
    }

    /// Whether the name is hidden from peers.
    private static func isHidden(_ name: String) -> Bool {
        name.lowercased().hasPrefix("\(FileName.uploadPrefix)")
            || SnapshotLayout.Hidden.allCases.contains { name.hasPrefix($0.rawValue) }
    }

    /// Whether the kernel tells of all changes: not of those that another host makes.
    private var tellsChanges: Bool {
        let kind = unsafe clinux_file_system(root.path)
        return descriptor >= 0 && kind >= 0 && !FolderWatch.remoteFileSystems.contains(kind)
    }

    /// NFS, SMB, CIFS, FUSE, 9p and Ceph (statfs(2)).
    private static let remoteFileSystems: Set<Int64> = [
        0x6969, 0xFE53_4D42, 0xFF53_4D42, 0x6573_5546, 0x0102_1997, 0x00C3_6400,
    ]

    /// A file of this name has come, gone, or been written to.
    private func noteFile(_ path: String) {
        var status = stat()
        let isThere = unsafe stat(root.appending(path: path).path, &status) == 0
        // What lies behind a link is not walked.
        if isThere, status.st_mode & S_IFMT == S_IFDIR { names?.lose() }
        for name in SnapshotLayout.names(path) {
            if isThere { names?.insert([name]) } else { names?.remove(name) }
        }
    }

    private func list(
        _ directory: String, into files: inout [String], _ isComplete: inout Bool
    ) {
        // First the watch, then the look: what comes in between is seen twice, and nothing is
        // missed.
        let isWatched = watch(directory)
        let url = directory.isEmpty ? root : root.appending(path: directory)
        let found = try? FileManager.default.contentsOfDirectory(atPath: url.path)
        // One that has gone meanwhile has no names; of one that may not be read nothing is known.
        if !isWatched || found == nil, isThere(url.path) { isComplete = false }
        for entry in (found ?? []).sorted() where !FolderWatch.isHidden(entry) {
            let name = directory.isEmpty ? entry : "\(directory)/\(entry)"
            var status = stat()
            let isThere = unsafe lstat(url.appending(path: entry).path, &status) == 0
            let kind = isThere ? status.st_mode & S_IFMT : 0
            // A link to a folder would be walked twice, or for ever.
            if kind == S_IFDIR {
                list(name, into: &files, &isComplete)
            } else if files.count < Catalogue.entriesMax {
                files.append(name)
                if kind == S_IFLNK, isDirectory(name) { isComplete = false }
            } else {
                isComplete = false
            }
        }
    }

    /// Whether a name leads to a folder, through links.
    private func isDirectory(_ name: String) -> Bool {
        var status = stat()
        return unsafe stat(root.appending(path: name).path, &status) == 0
            && status.st_mode & S_IFMT == S_IFDIR
    }

    private func isThere(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 || errno != ENOENT
    }

    /// Whether its changes are told of from now on.
    private func watch(_ directory: String) -> Bool {
        guard descriptor >= 0 else { return false }
        let path = directory.isEmpty ? root.path : root.appending(path: directory).path
        let number = unsafe inotify_add_watch(descriptor, path, FolderWatch.events)
        guard number >= 0 else {
            logger.warning(
                "changes in \"\(directory)\" are not seen: inotify_add_watch, errno \(errno)")
            return false
        }
        directories.withLock { $0[number] = directory }
        return true
    }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return }
            var offset = 0
            while offset + 16 <= count {
                offset += unsafe buffer[offset..<count].withUnsafeBytes { unsafe take($0) }
            }
        }
    }

    /// Takes one event, `struct inotify_event` of the kernel: watch, mask, cookie, length of the
    /// name, name. Returns how many bytes it had.
    private func take(_ event: UnsafeRawBufferPointer) -> Int {
        let number = unsafe event.loadUnaligned(fromByteOffset: 0, as: Int32.self)
        let mask = unsafe event.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
        let length = unsafe Int(event.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        let name = unsafe String(
            decoding: event[16..<16 + length].prefix { $0 != 0 }, as: UTF8.self)
        if mask & UInt32(IN_Q_OVERFLOW) != 0 {
            say(.everything)
        } else if number == treeWatch {
            if name == SnapshotLayout.current { say(.everything) }
        } else if FolderWatch.isHidden(name) {
            // It gets another name, or goes.
        } else if let directory = directories.withLock({ $0[number] }), !name.isEmpty {
            let path = directory.isEmpty ? name : "\(directory)/\(name)"
            if mask & UInt32(IN_ISDIR) == 0 {
                noteFile(path)
                say(.file(path))
            } else if mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 {
                // It is walked when its turn has come.
                names?.note(newFolder: path)
                say(.directory(path))
            } else if mask & UInt32(IN_MOVED_FROM) != 0 {
                // Events do not name the files in it.
                say(.everything)
            }
        }
        if mask & UInt32(IN_IGNORED) != 0 {
            directories.withLock { _ = $0.removeValue(forKey: number) }
        }
        return 16 + length
    }

    func say(_ change: Change) {
        if change == .everything { names?.lose() }
        let isFull = changes.withLock { changes in
            guard changes.first != .everything else { return false }
            let isFull = changes.count >= backlogMax
            if isFull || change == .everything {
                changes = [.everything]
            } else {
                changes.append(change)
            }
            return isFull
        }
        if isFull {
            logger.notice("more files change than can be followed: the folder is read once more")
        }
        tell.yield()
    }
}
