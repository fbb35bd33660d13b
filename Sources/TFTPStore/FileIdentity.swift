/// What tells one version of a file from all others.
///
/// A replaced file has another inode; one that was written in place has another time. `ctime` is in
/// it because a program can set `mtime` back, but nothing sets `ctime`.
package struct FileIdentity: Hashable, BitwiseCopyable, Sendable {
    package var device: UInt64
    package var inode: UInt64
    package var byteCount: UInt64
    package var modifiedNanoseconds: Int64
    package var changedNanoseconds: Int64

    package init(
        device: UInt64, inode: UInt64, byteCount: UInt64, modifiedNanoseconds: Int64,
        changedNanoseconds: Int64
    ) {
        self.device = device
        self.inode = inode
        self.byteCount = byteCount
        self.modifiedNanoseconds = modifiedNanoseconds
        self.changedNanoseconds = changedNanoseconds
    }

    /// No file: inode 0 does not exist.
    package static let none = FileIdentity(
        device: 0, inode: 0, byteCount: 0, modifiedNanoseconds: 0, changedNanoseconds: 0)

    /// Whether the content is the same, though the file may have lost its name meanwhile: taking a
    /// name away changes `ctime` and nothing else.
    package func hasSameContent(as other: FileIdentity) -> Bool {
        device == other.device && inode == other.inode && byteCount == other.byteCount
            && modifiedNanoseconds == other.modifiedNanoseconds
    }

    /// Whether a file that is this one by now still has all of `other`, which it was before:
    /// nothing was written to it, or it has become longer. A log that grows is served as long as it
    /// was when it was asked for.
    package func keepsContent(of other: FileIdentity) -> Bool {
        hasSameContent(as: other) || hasGrown(since: other)
    }

    /// Whether it is the same file and longer.
    package func hasGrown(since other: FileIdentity) -> Bool {
        device == other.device && inode == other.inode && byteCount > other.byteCount
    }

    /// Mixes everything into one word, for small direct-mapped caches.
    package var mixed: UInt64 {
        var word = device ^ inode.byteSwapped ^ byteCount
        word ^= UInt64(bitPattern: modifiedNanoseconds) ^ UInt64(bitPattern: changedNanoseconds)
        let product = word.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}

extension FileIdentity {
    /// Of content that is in no file.
    init(suppliedByteCount byteCount: UInt64) {
        self.init(
            device: 0, inode: 0, byteCount: byteCount, modifiedNanoseconds: 0,
            changedNanoseconds: 0)
    }
}

/// Tells one file or folder from all others, for as long as it exists, whatever its content is.
package struct InodeIdentity: Hashable, BitwiseCopyable, Sendable {
    package var device: UInt64
    package var inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}
