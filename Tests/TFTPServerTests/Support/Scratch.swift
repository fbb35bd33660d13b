import Foundation
import Glibc
import Synchronization

/// A folder of its own, with a `root` to be served and a `secret` outside of it. Gone at the end.
final class Scratch: Sendable {
    let folder: String
    let root: String
    private let isMounted = Mutex(false)
    static let secret = Array("no client may ever see this".utf8)

    init() throws {
        folder =
            FileManager.default.temporaryDirectory.appending(path: "bootstorm-\(UUID().uuidString)")
            .path
        root = folder + "/root"
        try FileManager.default.createDirectory(
            atPath: root, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: outside, withIntermediateDirectories: true)
        try Scratch.write(Scratch.secret, outside + "/secret")
    }

    deinit { remove() }

    /// Removes everything. A process that is about to end does not wait for the last reference.
    func remove() {
        isMounted.withLock {
            if $0 { umount2(root, Int32(MNT_DETACH)) }
            $0 = false
        }
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Puts a file system of 1 MiB in the place of the root.
    func mountSmallFileSystem() throws {
        guard Glibc.mount("none", root, "tmpfs", UInt(MS_NOSUID | MS_NODEV), "size=1m") == 0 else {
            throw SocketError(call: "mount")
        }
        isMounted.withLock { $0 = true }
    }

    /// Whether this process may mount: a container's root often may not.
    static let canMount: Bool = {
        guard let scratch = try? Scratch() else { return false }
        return (try? scratch.mountSmallFileSystem()) != nil
    }()

    var outside: String { folder + "/outside" }

    /// Where `name` beneath the root lies.
    func path(_ name: String) -> String { root + "/" + name }

    /// Writes a file in place; the old one, if any, keeps its inode.
    func write(_ name: String, _ bytes: [UInt8]) throws { try Scratch.write(bytes, path(name)) }

    /// Writes a file of `byteCount` bytes that has `bytes` at `offset`, and zeros around them that
    /// take no room.
    func write(_ name: String, _ bytes: [UInt8], at offset: Int, of byteCount: Int) throws {
        try Scratch.write(bytes, path(name), at: offset)
        guard truncate(path(name), byteCount) == 0 else {
            throw SocketError(call: "truncate \(name)")
        }
    }

    private static func write(_ bytes: [UInt8], _ path: String, at begin: Int = 0) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw SocketError(call: "open \(path)") }
        defer { close(file) }
        lseek(file, begin, SEEK_SET)
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Foundation.write(file, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw SocketError(call: "write \(path)") }
            offset += count
        }
    }

    /// Writes a new file and puts it in the place of the old one in one step.
    func replace(_ name: String, _ bytes: [UInt8]) throws {
        try write(name + ".new", bytes)
        guard rename(path(name + ".new"), path(name)) == 0 else {
            throw SocketError(call: "rename \(name)")
        }
    }

    func read(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path(name)).map { Array($0) }
    }

    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: path(name), withIntermediateDirectories: true)
    }

    func link(_ name: String, to target: String) throws {
        guard symlink(target, path(name)) == 0 else { throw SocketError(call: "symlink \(name)") }
    }

    /// Every name beneath the root, sorted.
    func list() -> [String] { Scratch.list(root) }

    /// What lies outside of the root, with content.
    func outsiders() -> [String: [UInt8]] {
        var all: [String: [UInt8]] = [:]
        for name in Scratch.list(folder) where name != "root" && !name.hasPrefix("root/") {
            all[name] = FileManager.default.contents(atPath: folder + "/" + name).map { Array($0) }
        }
        return all
    }

    private static func list(_ folder: String) -> [String] {
        (try? FileManager.default.subpathsOfDirectory(atPath: folder))?.sorted() ?? []
    }
}
