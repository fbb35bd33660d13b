internal import CLinux
internal import Dispatch
internal import Files
package import SystemPackage
package import TFTPCore
package import TFTPStore

/// A folder that a server serves, for readers other than the shards: names lead where they lead
/// for the shards, and nowhere else.
///
/// What may wait for a disk, or for another machine, runs on threads of its own, a few at a time,
/// and never on a thread of Swift's tasks.
package final class Folder: Sendable {
    private let root: ServedRoot
    private static let threadsMax = 8
    /// Whether files are read as well that are not readable by every user.
    private let servesUnreadable: Bool
    fileprivate static let queue = OperationGate(limit: threadsMax)

    package init(_ path: String, servesUnreadable: Bool = false) throws(Errno) {
        root = try ServedRoot(path)
        self.servesUnreadable = servesUnreadable
    }

    /// The folder that is served from `root`, wherever its path leads by then.
    init(_ root: ServedRoot, servesUnreadable: Bool) throws(Errno) {
        self.servesUnreadable = servesUnreadable
        self.root = try ServedRoot(
            root.path, descriptor: try root.folder.open(nil, clinux_flags_directory()))
    }

    deinit { root.destroy() }

    /// The folder that is at the path now.
    private func here() throws -> Int32 {
        if !root.isCurrent() { root.follow() }
        guard !root.isLost else { throw Errno.staleNFSFileHandle }
        return root.descriptor
    }

    /// What the regular file under `name` is now.
    ///
    /// - Throws: `Errno.noSuchFileOrDirectory` where there is none, `permissionDenied` for anything
    ///   but a regular file, and what else the kernel says; `staleNFSFileHandle` while there is no
    ///   folder at the path.
    package func identity(of name: FileName) async throws -> FileIdentity {
        try await Folder.queue.run {
            let descriptor = try Folder.open(name, clinux_flags_path(), beneath: self.here())
            defer { clinux_close(descriptor) }
            return try Folder.identity(of: descriptor, self.servesUnreadable)
        }
    }

    /// The snapshot that is current in this folder; nil where there is none.
    package func currentSnapshot() async -> String? {
        try? await Folder.queue.run { try SnapshotTree.currentName(beneath: self.here()) }
    }

    /// Opens the regular file under `name`; throws as `identity(of:)`.
    package func open(_ name: FileName) async throws -> File {
        try await Folder.queue.run { try self.open(name, beneath: self.here()) }
    }

    /// Opens the regular file that `name` stands for in a snapshot; throws as `identity(of:)`.
    package func open(_ name: FileName, in place: SnapshotPlace) async throws -> File {
        try await Folder.queue.run {
            try self.open(
                name.dropping(place.prefixByteCount), beneath: place.snapshot.directory)
        }
    }

    private func open(_ name: FileName, beneath directory: Int32) throws -> File {
        let look = try Folder.open(name, clinux_flags_path(), beneath: directory)
        defer { clinux_close(look) }
        _ = try Folder.identity(of: look, servesUnreadable)
        // A FIFO may have taken its place meanwhile, so the file says once more what it is.
        let file = File(
            descriptor: FileDescriptor(
                rawValue: try Folder.open(name, clinux_flags_read(), beneath: directory)),
            servesUnreadable: servesUnreadable)
        _ = try Folder.identity(of: file.descriptor.rawValue, servesUnreadable)
        clinux_set_blocking(file.descriptor.rawValue)
        return file
    }

    private static func open(
        _ name: FileName, _ flags: Int32, beneath directory: Int32
    ) throws -> Int32 {
        let folder = RootedFolder(directory)
        guard !name.namesDirectory, !name.isReserved,
            !clinux_acts_as_other_user() || folder.isOpenToAll(name)
        else { throw Errno.permissionDenied }
        return try folder.open(name, flags)
    }

    fileprivate static func identity(
        of descriptor: Int32, _ servesUnreadable: Bool
    ) throws -> FileIdentity {
        let status = try status(ofOpen: descriptor)
        guard status.is_regular && (status.is_public || servesUnreadable) else {
            throw Errno.permissionDenied
        }
        return FileIdentity(status)
    }

    /// A regular file that is open for reading.
    package final class File: Sendable {
        fileprivate let descriptor: FileDescriptor

        private let servesUnreadable: Bool

        fileprivate init(descriptor: FileDescriptor, servesUnreadable: Bool) {
            self.descriptor = descriptor
            self.servesUnreadable = servesUnreadable
        }

        deinit { try? descriptor.close() }

        /// What it is now; another than before when the file is written to.
        package func identity() async throws -> FileIdentity {
            try await Folder.queue.run {
                try Folder.identity(of: self.descriptor.rawValue, self.servesUnreadable)
            }
        }

        /// Bytes from `offset` on: `count` of them, fewer only at the end of the file.
        package func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
            try await Folder.queue.run {
                try unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filledCount in
                    while filledCount < count {
                        let rest = unsafe UnsafeMutableRawBufferPointer(
                            rebasing: UnsafeMutableRawBufferPointer(buffer)[filledCount...])
                        let readCount = try unsafe self.descriptor.read(
                            fromAbsoluteOffset: Int64(offset) + Int64(filledCount), into: rest)
                        guard readCount > 0 else { break }
                        filledCount += readCount
                    }
                }
            }
        }
    }
}

extension SnapshotTree {
    /// `place` for tasks, which may not wait on a thread of theirs.
    package func placeAside(_ name: FileName, for address: Address) async throws -> SnapshotPlace {
        try await Folder.queue.run { try self.place(name, for: address) }
    }
}

/// Runs what may wait on threads of its own, a few at a time; the others wait in line.
private final class OperationGate: Sendable {
    private let slots: DispatchSemaphore
    private let line = DispatchQueue(label: "folder.line")
    private let threads = DispatchQueue(label: "folder", attributes: .concurrent)

    init(limit: Int) { slots = DispatchSemaphore(value: limit) }

    func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            line.async {
                self.slots.wait()
                self.threads.async {
                    let result = Swift.Result(catching: body)
                    self.slots.signal()
                    continuation.resume(with: result)
                }
            }
        }
    }
}
