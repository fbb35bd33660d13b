internal import CLinux
internal import Glibc
package import SystemPackage
internal import TFTPReactor

/// A file that takes its name when it is complete. Until then it has no name, or a temporary one in
/// the same folder if the file system does not support files without a name.
///
/// @unchecked Sendable: used by one task, step by step.
package final class NewFile: @unchecked Sendable {
    private let path: String
    private let file: FileDescriptor
    /// The directory of the final name; -1 if the existing object at the path is written in place.
    private let directory: Int32
    /// The temporary name, while there is one.
    private var temporaryName: String?
    private let finalName: String
    /// Open, and ours to close.
    private var isOpen: Bool

    /// Opens what will be at `path`.
    package init(at path: FilePath) throws(TFTPClient.Failure) {
        let target = NewFile.target(of: path)
        self.path = path.string
        isOpen = true
        finalName = target.lastComponent?.string ?? ""
        let status = NewFile.status(of: target)
        guard finalName != "", status?.is_directory != true else {
            throw .file(path: path.string, problem: "is a folder; name a file in it")
        }
        if let status, !status.is_regular {
            directory = -1
            file = try NewFile.openForWriting(target)
            return
        }
        let folder = target.removingLastComponent()
        directory =
            folder.string.isEmpty
            ? NewFile.openRoot(".") : NewFile.openRoot(folder.string)
        guard directory >= 0 else {
            throw NewFile.failure(Errno(rawValue: -directory), path.string)
        }
        do throws(Errno) {
            let (file, name) = try NewFile.openTemporary(in: directory)
            self.file = file
            temporaryName = name
            if status != nil { NewFile.keepMode(of: target, on: file) }
        } catch {
            clinux_close(directory)
            throw NewFile.failure(error, path.string)
        }
    }

    /// Opens an object that is not a regular file, such as a named pipe. Waits for its reader until
    /// the task is cancelled.
    private static func openForWriting(
        _ path: FilePath
    ) throws(TFTPClient.Failure) -> FileDescriptor {
        while true {
            do {
                let file = try FileDescriptor.open(
                    path, .writeOnly, options: [.nonBlocking, .closeOnExec])
                clinux_set_blocking(file.rawValue)
                return file
            } catch Errno.noSuchAddressOrDevice where !Task.isCancelled {
                usleep(readerMicroseconds)
            } catch {
                throw failure(error, path.string)
            }
        }
    }

    private static let readerMicroseconds: UInt32 = 50_000

    /// Writes to what is open already, and leaves it open.
    package init(descriptor: FileDescriptor) {
        path = descriptor == .standardOutput ? "standard output" : "the output"
        file = descriptor
        directory = -1
        finalName = ""
        isOpen = false
    }

    deinit {
        if let temporaryName {
            _ = unsafe temporaryName.withCString { unsafe clinux_unlink(directory, $0) }
        }
        if isOpen { try? file.close() }
        if directory >= 0 { clinux_close(directory) }
    }

    /// Whether what is written is out, and cannot be replaced.
    var isStream: Bool { directory < 0 }

    /// Appends.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(TFTPClient.Failure) {
        do {
            _ = try unsafe file.writeAll(bytes)
        } catch {
            throw NewFile.failure(error, path)
        }
    }

    /// Gives it its name, in one step, whatever had it before.
    package func commit() throws(TFTPClient.Failure) {
        guard directory >= 0 else { return }
        do throws(Errno) {
            if temporaryName == nil { temporaryName = try linkTemporary() }
            guard let name = temporaryName else { return }
            // Some file systems tell only now that they could not keep it.
            isOpen = false
            try NewFile.close(file)
            try NewFile.check(
                unsafe name.withCString { from in
                    unsafe finalName.withCString { unsafe clinux_rename(directory, from, $0) }
                })
            temporaryName = nil
        } catch {
            throw NewFile.failure(error, path)
        }
    }

    private func linkTemporary() throws(Errno) -> String {
        let name = NewFile.makeTemporaryName()
        try NewFile.check(
            unsafe name.withCString {
                unsafe clinux_link_unnamed(file.rawValue, directory, $0)
            })
        return name
    }

    // MARK: Opening

    /// Gives the new content the permissions of what it replaces, and its owner where this process
    /// may: a file that only its owner could read stays so.
    private static func keepMode(of path: FilePath, on file: FileDescriptor) {
        var status = stat()
        guard unsafe stat(path.string, &status) == 0 else { return }
        // Changing the owner may clear permission bits, so the mode comes last.
        _ = fchown(file.rawValue, status.st_uid, status.st_gid)
        _ = fchmod(file.rawValue, status.st_mode & 0o7777)
    }

    /// What a symbolic link names, so that the link stays what it is.
    private static func target(of path: FilePath) -> FilePath {
        guard let real = unsafe realpath(path.string, nil) else { return path }
        defer { unsafe free(real) }
        return unsafe FilePath(String(cString: real))
    }

    private static func status(of path: FilePath) -> clinux_status? {
        let file = unsafe path.string.withCString { path in
            unsafe clinux_open_beneath(AT_FDCWD, path, clinux_flags_path(), 0, 0)
        }
        guard file >= 0 else { return nil }
        defer { clinux_close(file) }
        var status = clinux_status()
        return unsafe clinux_status_of(file, &status) == 0 ? status : nil
    }

    private static func openRoot(_ path: String) -> Int32 {
        unsafe path.withCString { unsafe clinux_open_root($0) }
    }

    private static func openTemporary(
        in directory: Int32
    ) throws(Errno) -> (FileDescriptor, String?) {
        let unnamed = unsafe clinux_open_beneath(directory, ".", clinux_flags_unnamed(), 0o666, 0)
        if unnamed >= 0 { return (FileDescriptor(rawValue: unnamed), nil) }
        let errno = Errno(rawValue: -unnamed)
        // File systems and old kernels that do not support O_TMPFILE.
        guard [.notSupported, .isDirectory, .invalidArgument].contains(errno) else {
            throw errno
        }
        let name = makeTemporaryName()
        let named = unsafe name.withCString {
            unsafe clinux_open_beneath(directory, $0, clinux_flags_create(), 0o666, 0)
        }
        try check(named)
        return (FileDescriptor(rawValue: named), name)
    }

    private static func makeTemporaryName() -> String {
        ".bootstorm-\(String(systemRandom(), radix: 16))"
    }

    private static func close(_ file: FileDescriptor) throws(Errno) {
        do {
            try file.close()
        } catch {
            throw error as? Errno ?? .ioError
        }
    }

    private static func check(_ result: Int32) throws(Errno) {
        if result < 0 { throw Errno(rawValue: -result) }
    }

    fileprivate static func failure(_ error: any Error, _ path: String) -> TFTPClient.Failure {
        guard let errno = error as? Errno else { return .file(path: path, problem: "\(error)") }
        // The disk or the user's quota is full.
        let isFull = errno == .noSpace || errno == .diskQuotaExceeded || errno == .fileTooLarge
        return isFull ? .diskFull(path: path) : .file(path: path, problem: errno.description)
    }
}

/// A file that is sent.
struct FileSource: Sendable {
    private let path: String
    private let file: FileDescriptor
    private let isOurs: Bool
    /// What it has in the beginning; nil for a pipe and the like.
    let byteCount: UInt64?
    /// Is told that something has been read, if that cannot be read again.
    var monitor: TFTPClient.Monitor?
    /// Whether what is read is gone.
    var isStream: Bool { !isOurs || byteCount == nil }

    init(_ path: FilePath) throws(TFTPClient.Failure) {
        self.path = path.string
        do {
            // A named pipe may have no writer yet; `isReady` waits for one.
            file = try FileDescriptor.open(
                path, .readOnly, options: [.closeOnExec, .nonBlocking])
        } catch {
            throw NewFile.failure(error, path.string)
        }
        isOurs = true
        var status = clinux_status()
        guard unsafe clinux_status_of(file.rawValue, &status) == 0, !status.is_directory else {
            try? file.close()
            throw .file(path: path.string, problem: "is a folder; name a file in it")
        }
        byteCount = status.is_regular ? status.byte_count : nil
    }

    /// Reads what is open already, from where it stands on, and leaves it open.
    init(descriptor: FileDescriptor) throws(TFTPClient.Failure) {
        path = descriptor == .standardInput ? "standard input" : "the input"
        file = descriptor
        isOurs = false
        var status = clinux_status()
        let result = unsafe clinux_status_of(file.rawValue, &status)
        guard result == 0 else { throw NewFile.failure(Errno(rawValue: -result), path) }
        guard !status.is_directory else { throw .file(path: path, problem: "is a folder") }
        guard status.is_regular, let offset = try? file.seek(offset: 0, from: .current) else {
            byteCount = nil
            return
        }
        byteCount = status.byte_count - min(status.byte_count, UInt64(clamping: offset))
    }

    func close() { if isOurs { try? file.close() } }

    /// Waits a moment for something to read, or the end. Of a pipe nothing may come for a long
    /// time.
    func isReady() -> Bool {
        guard byteCount == nil else { return true }
        var poller = pollfd(fd: file.rawValue, events: Int16(POLLIN), revents: 0)
        // If poll fails (EPERM, EINTR), the read decides.
        let count = unsafe poll(&poller, 1, FileSource.momentMilliseconds)
        return count > 0 || count < 0 && errno != EINTR
    }

    /// The longest time until the transfer's own end is noticed.
    private static let momentMilliseconds: Int32 = 100

    /// Reads on. Returns 0 at the end.
    func read(into room: UnsafeMutableRawBufferPointer) throws(TFTPClient.Failure) -> Int {
        do {
            let count = try unsafe file.read(into: room)
            if count > 0, isStream { monitor?.note(.input) }
            return count
        } catch {
            throw NewFile.failure(error, path)
        }
    }

    /// Throws when what was read is not what was there in the beginning.
    func check(readByteCount: UInt64) throws(TFTPClient.Failure) {
        if let byteCount, byteCount != readByteCount { throw .sourceChanged(path: path) }
    }
}

extension ContentWriter {
    /// Writes all of a file.
    mutating func write(_ source: FileSource) async throws {
        var byteCount: UInt64 = 0
        while true {
            guard try await waitForContent(source) else { return }
            let count = isPlain ? try await pass(source) : try await translate(source)
            guard let count else { return }
            guard count > 0 else { break }
            byteCount += UInt64(count)
        }
        try source.check(readByteCount: byteCount)
    }

    /// Waits until there is something to read. False when the transfer has ended before.
    private func waitForContent(_ source: FileSource) async throws -> Bool {
        while !source.isReady() {
            try Task.checkCancellation()
            if hasEnded { return false }
        }
        return true
    }

    /// Reads straight into the ring. Returns 0 at the end of the file, and nil when the transfer
    /// has ended.
    private mutating func pass(_ source: FileSource) async throws -> Int? {
        guard let room = unsafe try await room() else { return nil }
        let count = try unsafe source.read(into: room)
        didFill(count)
        return count
    }

    private mutating func translate(_ source: FileSource) async throws -> Int? {
        let piece = try unsafe [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, count in
            count = try unsafe source.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        guard !piece.isEmpty else { return 0 }
        return try await write(piece) ? piece.count : nil
    }
}
