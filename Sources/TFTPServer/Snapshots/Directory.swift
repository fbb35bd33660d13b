internal import CLinux
internal import Files
internal import Glibc
internal import SystemPackage

/// An open folder, and what is done with the names in it. Nothing here follows a symbolic link.
struct Directory: ~Copyable {
    let descriptor: Int32

    /// What a name stands for.
    enum Kind {
        case file, folder, link, other
    }

    /// Identifies a file or folder while it exists.
    struct Key: Equatable {
        let device: UInt64
        let inode: UInt64
    }

    private init(taking result: Int32) throws(Errno) {
        guard result >= 0 else { throw Errno(rawValue: errno) }
        descriptor = result
    }

    /// - Parameter path: may be, or go through, symbolic links.
    init(_ path: String) throws(Errno) {
        try self.init(taking: unsafe Glibc.open(path, clinux_flags_list()))
    }

    deinit { clinux_close(descriptor) }

    func folder(_ name: String) throws(Errno) -> Directory {
        try Directory(taking: unsafe openat(descriptor, name, clinux_flags_list() | O_NOFOLLOW))
    }

    func makeFolder(_ name: String) throws(Errno) -> Directory {
        try Directory.check(unsafe mkdirat(descriptor, name, 0o700))
        return try folder(name)
    }

    func file(_ name: String) throws(Errno) -> OpenFile {
        try OpenFile(taking: unsafe openat(descriptor, name, clinux_flags_read() | O_NOFOLLOW))
    }

    func makeFile(_ name: String) throws(Errno) -> OpenFile {
        try OpenFile(taking: unsafe openat(descriptor, name, clinux_flags_create(), 0o600))
    }

    /// What a symbolic link says.
    func target(of name: String) throws(Errno) -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe clinux_read_link(descriptor, name, &bytes, UInt32(bytes.count))
        guard count >= 0 else { throw Errno(rawValue: -count) }
        return String(decoding: bytes[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func makeLink(_ name: String, to target: String) throws(Errno) {
        try Directory.check(unsafe symlinkat(target, descriptor, name))
    }

    /// Over what has the name, in one step.
    func rename(_ from: String, to name: String) throws(Errno) {
        try Directory.check(unsafe renameat(descriptor, from, descriptor, name))
    }

    /// Never over another one.
    func renameNew(_ from: String, to name: String) throws(Errno) {
        let result = unsafe clinux_rename_new(descriptor, from, name)
        guard result == 0 else { throw Errno(rawValue: -result) }
    }

    func removeFile(_ name: String) throws(Errno) {
        try Directory.check(unsafe unlinkat(descriptor, name, 0))
    }

    /// With all that is in it. Others may be removing it as well.
    func removeFolder(_ name: String) throws(Errno) {
        do throws(Errno) {
            try empty(folder(name))
            try Directory.check(unsafe unlinkat(descriptor, name, AT_REMOVEDIR))
        } catch .noSuchFileOrDirectory {
            // They have been quicker.
        }
    }

    private func empty(_ folder: borrowing Directory) throws(Errno) {
        for name in try folder.names() {
            if try folder.kind(of: name) == .folder {
                try folder.removeFolder(name)
            } else {
                try folder.removeFile(name)
            }
        }
    }

    /// What a name stands for; nil for nothing.
    func kind(of name: String) throws(Errno) -> Kind? {
        var status = stat()
        guard unsafe fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            guard errno == ENOENT else { throw Errno(rawValue: errno) }
            return nil
        }
        let kind: Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .folder
            case S_IFLNK: .link
            default: .other
            }
        return kind
    }

    func key() throws(Errno) -> Key {
        var status = stat()
        try Directory.check(unsafe fstat(descriptor, &status))
        return Key(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// All names but `.` and `..`, sorted.
    ///
    /// - Throws: `illegalByteSequence` if a name is not UTF-8.
    func names() throws(Errno) -> [String] {
        // A descriptor of its own, since closing the stream closes it.
        let copy = unsafe openat(descriptor, ".", clinux_flags_list())
        guard copy >= 0 else { throw Errno(rawValue: errno) }
        return try Files.names(inOpenFolder: copy)
    }

    /// When it was last written to, in nanoseconds since 1970.
    func modifiedNanoseconds() throws(Errno) -> Int64 {
        var status = clinux_status()
        let result = unsafe clinux_status_of(descriptor, &status)
        guard result == 0 else { throw Errno(rawValue: -result) }
        return status.modified_ns
    }

    func setModified(nanoseconds: Int64) throws(Errno) {
        try Directory.setModified(descriptor, nanoseconds)
    }

    func setMode(_ mode: mode_t) throws(Errno) { try Directory.check(fchmod(descriptor, mode)) }

    /// Returns when what has been written to it, and its names, would survive a power failure.
    func synchronise() throws(Errno) { try Directory.check(fsync(descriptor)) }

    /// Waits until no other process has a lock on it; it is given back when this value goes.
    func lock() throws(Errno) {
        let result = clinux_lock_alone(descriptor, true)
        guard result == 0 else { throw Errno(rawValue: -result) }
    }

    /// Turns the lock into a shared one, for processes that only use the folder.
    func shareLock() throws(Errno) {
        let result = clinux_lock_shared(descriptor)
        guard result == 0 else { throw Errno(rawValue: -result) }
    }

    /// Takes the exclusive lock, which is held until this value goes. False if another process has
    /// a lock.
    func lockAtOnce() -> Bool { clinux_lock_alone(descriptor, false) == 0 }

    fileprivate static func check(_ result: Int32) throws(Errno) {
        guard result >= 0 else { throw Errno(rawValue: errno) }
    }

    fileprivate static func setModified(_ descriptor: Int32, _ nanoseconds: Int64) throws(Errno) {
        // Before 1970 as well the nanoseconds are those since the second, not before it.
        let second: Int64 = 1_000_000_000
        let rest = (nanoseconds % second + second) % second
        let time = timespec(tv_sec: Int((nanoseconds - rest) / second), tv_nsec: Int(rest))
        try check(unsafe futimens(descriptor, [time, time]))
    }
}

/// A regular file, or what was one a moment ago.
struct OpenFile: ~Copyable {
    let descriptor: Int32

    fileprivate init(taking result: Int32) throws(Errno) {
        guard result >= 0 else { throw Errno(rawValue: errno) }
        descriptor = result
    }

    deinit { clinux_close(descriptor) }

    func status() throws(Errno) -> clinux_status {
        var status = clinux_status()
        let result = unsafe clinux_status_of(descriptor, &status)
        guard result == 0 else { throw Errno(rawValue: -result) }
        return status
    }

    /// Takes the content of `other`, and the time when that was written to.
    func copy(_ other: borrowing OpenFile, modifiedNanoseconds: Int64) throws(Errno) {
        clinux_set_blocking(other.descriptor)
        let result = clinux_copy_content(other.descriptor, descriptor)
        guard result == 0 else { throw Errno(rawValue: -result) }
        try Directory.check(fchmod(descriptor, 0o644))
        try Directory.setModified(descriptor, modifiedNanoseconds)
        try Directory.check(fsync(descriptor))
    }
}
