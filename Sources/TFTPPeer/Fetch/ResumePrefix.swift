internal import Crypto
internal import TFTPFetch

/// How the bytes of a later source are known to continue those that have been delivered.
enum ResumeCheck: Sendable {
    /// By what the source calls the version, which has to be strong.
    case version
    /// By these bytes, where the version is not strong: the source has to send them again.
    case prefix(ResumePrefix)
    /// By a manifest, as the bytes come.
    case manifest

    /// Whether a part may be requested of what a source calls `version`.
    func allowsParts(of version: FileVersion) -> Bool {
        if case .manifest = self { true } else { version.isStrong }
    }
}

/// What has been delivered of a file without a manifest: a later source must continue the same
/// content.
struct ResumePrefix: Sendable {
    private var byteCount: UInt64 = 0
    private var hash = SHA256()

    mutating func add(_ bytes: [UInt8]) {
        byteCount += UInt64(bytes.count)
        hash.update(data: bytes)
    }

    /// For another source, which has to begin with the same bytes.
    var beginning: Beginning { Beginning(byteCount: byteCount, digest: hash.finalize()) }

    /// Compares what a source sends first with what has been handed on, and lets pass what comes
    /// behind.
    struct Beginning: Sendable {
        private var leftByteCount: UInt64
        private let digest: SHA256Digest
        private var hash = SHA256()

        /// Whether the source has sent all that has been handed on.
        var isComplete: Bool { leftByteCount == 0 }

        fileprivate init(byteCount: UInt64, digest: SHA256Digest) {
            leftByteCount = byteCount
            self.digest = digest
        }

        /// What of `bytes` is new.
        ///
        /// - Throws: `SourceFailure.anotherVersion`.
        mutating func rest(of bytes: [UInt8]) throws -> [UInt8] {
            guard leftByteCount > 0 else { return bytes }
            let count = Int(min(leftByteCount, UInt64(bytes.count)))
            hash.update(data: bytes[..<count])
            leftByteCount -= UInt64(count)
            guard leftByteCount > 0 || hash.finalize() == digest else {
                throw SourceFailure.anotherVersion
            }
            return Array(bytes[count...])
        }
    }
}
