internal import SystemPackage

/// An open file, which is closed when nothing refers to it any more.
package final class LocalFile: Sendable {
    private let descriptor: FileDescriptor

    /// Opens a file to read.
    package init(reading path: String) throws {
        descriptor = try unsafe FileDescriptor.open(path, .readOnly, options: .closeOnExec)
    }

    /// Makes a file, or empties the one that is there.
    package init(writing path: String) throws {
        descriptor = try unsafe FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate, .closeOnExec],
            permissions: FilePermissions(rawValue: 0o666))
    }

    /// Takes a descriptor over.
    package init(descriptor: Int32) { self.descriptor = FileDescriptor(rawValue: descriptor) }

    deinit { try? descriptor.close() }

    /// Reads what there is, `count` bytes at most; nothing at the end.
    package func read(upToCount count: Int) throws -> [UInt8] {
        let descriptor = descriptor
        return try unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            initializedCount = try unsafe descriptor.read(
                into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Reads to the end, `limit` bytes at most.
    package func readToEnd(limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            let piece = try read(upToCount: min(limit - bytes.count, 1 << 16))
            if piece.isEmpty { break }
            bytes += piece
        }
        return bytes
    }

    /// Writes all of `bytes`.
    package func write(_ bytes: some Sequence<UInt8>) throws { try descriptor.writeAll(bytes) }
}
