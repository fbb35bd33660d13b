package import TFTPStore

/// Judges what has been read of files before anybody gets it. What a disk says is not always what
/// was written.
package protocol ContentCheck: Sendable {
    /// Whether there is anything to compare a file with. Called on the store thread, so it has to
    /// return at once.
    func knows(_ file: FileIdentity) -> Bool

    /// Compares an extent of such a file: `bytes`, of at most a MiB, from `offset` on. Readers wait
    /// meanwhile.
    func check(
        _ bytes: [UInt8], at offset: UInt64, of file: FileIdentity
    ) async -> CheckedContent
}

/// What a check has come to.
package enum CheckedContent: Sendable {
    case right
    /// It was wrong, and this is what it has to be.
    case mended([UInt8])
    /// It is wrong, and there is nothing else to send.
    case wrong
}
