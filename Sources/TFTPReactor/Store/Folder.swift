internal import CLinux
internal import Dispatch
internal import Files
internal import Synchronization
package import SystemPackage
package import TFTPCore
package import TFTPStore

/// A folder that a server serves, for whoever reads it off the shards: names lead where they lead
/// for the shards, and nowhere else.
///
/// What may wait for a disk, or for another machine, runs on threads of its own, a few at a time,
/// and never on a thread of Swift's tasks.
package final class Folder: Sendable {
    private let root: ServedRoot
    private static let threadsMax = 8
    /// Whether files that not everybody may read are read as well: what the process's server is
    /// configured to.
    static let servesUnreadable = Atomic<Bool>(false)
    fileprivate static let queue = OperationGate(limit: threadsMax)

    package init(_ path: String) throws(Errno) {
        root = try ServedRoot(path)
    }

    /// The folder that is served from `root`, wherever its path leads by then.
    init(_ root: ServedRoot) throws(Errno) {
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
            let descriptor = try Folder.openBeneath(try self.here(), name, clinux_flags_path())
            defer { clinux_close(descriptor) }
            return try Folder.identity(of: descriptor)
        }
    }

    /// The snapshot that is current in this folder; nil where there is none.
    package func currentSnapshot() async -> String? {
        try? await Folder.queue.run { try SnapshotTree.currentName(beneath: self.here()) }
    }

    /// Opens the regular file under `name`; throws as `identity(of:)`.
    package func open(_ name: FileName) async throws -> File {
        try await Folder.queue.run { try Folder.open(name, beneath: self.here()) }
    }

    /// Opens the regular file that `name` stands for in a snapshot; throws as `identity(of:)`.
    package static func open(_ name: FileName, in place: SnapshotPlace) async throws -> File {
        try await queue.run {
            try open(
                name.dropping(place.prefixByteCount), beneath: place.snapshot.directory)
        }
    }

    private static func open(_ name: FileName, beneath directory: Int32) throws -> File {
        let look = try openBeneath(directory, name, clinux_flags_path())
        defer { clinux_close(look) }
        _ = try identity(of: look)
        // A FIFO may have taken its place meanwhile, so the file says once more what it is.
        let file = File(
            descriptor: FileDescriptor(
                rawValue: try openBeneath(directory, name, clinux_flags_read())))
        _ = try identity(of: file.descriptor.rawValue)
        clinux_set_blocking(file.descriptor.rawValue)
        return file
    }

    private static func openBeneath(
        _ root: Int32, _ name: FileName, _ flags: Int32
    ) throws -> Int32 {
        guard !name.namesDirectory, !name.isReserved else { throw Errno.permissionDenied }
        let descriptor = unsafe name.withUnsafeCString {
            unsafe clinux_open_beneath(root, $0, flags, 0, UInt64(CLINUX_RESOLVE_BENEATH))
        }
        guard descriptor >= 0 else { throw Errno(rawValue: -descriptor) }
        return descriptor
    }

    fileprivate static func identity(of descriptor: Int32) throws -> FileIdentity {
        var status = clinux_status()
        let result = unsafe clinux_status_of(descriptor, &status)
        guard result == 0 else { throw Errno(rawValue: -result) }
        let isPublic = status.is_public || servesUnreadable.load(ordering: .relaxed)
        guard status.is_regular && isPublic else { throw Errno.permissionDenied }
        return FileIdentity(status)
    }

    /// A regular file that is open for reading.
    package final class File: Sendable {
        fileprivate let descriptor: FileDescriptor

        fileprivate init(descriptor: FileDescriptor) { self.descriptor = descriptor }

        deinit { try? descriptor.close() }

        /// What it is now; another than before when somebody writes to it.
        package func identity() async throws -> FileIdentity {
            try await Folder.queue.run { try Folder.identity(of: self.descriptor.rawValue) }
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
