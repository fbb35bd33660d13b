internal import TFTPFetch

/// Lets bytes pass in whole chunks, each after it has been compared with the manifest.
///
/// A value without a clock or a socket.
struct ChunkCheck: Sendable {
    private let manifest: Manifest
    private var index: Int
    private var bytes: [UInt8] = []
    /// How many of `bytes` have passed.
    private var passedCount = 0

    /// - Parameter byteCount: what has passed already: whole chunks, or all.
    init(_ manifest: Manifest, after byteCount: UInt64) {
        self.manifest = manifest
        index = Int(byteCount / UInt64(manifest.chunkByteCount))
        assert(byteCount == manifest.size || manifest.range(ofChunk: index).lowerBound == byteCount)
    }

    /// Takes what comes next.
    mutating func add(_ more: [UInt8]) {
        bytes.removeFirst(passedCount)
        passedCount = 0
        bytes += more
    }

    /// The next chunk that is there and right; nil until there is more.
    ///
    /// - Throws: `SourceFailure.wrongChunk`, and `anotherVersion` when there is more than the file
    ///   has.
    mutating func next() throws -> [UInt8]? {
        guard passedCount < bytes.count else { return nil }
        guard index < manifest.digests.count else { throw SourceFailure.anotherVersion }
        let byteCount = manifest.range(ofChunk: index).count
        guard bytes.count - passedCount >= byteCount else { return nil }
        let chunk = Array(bytes[passedCount..<passedCount + byteCount])
        guard manifest.isRight(chunk, at: index) else { throw SourceFailure.wrongChunk(index) }
        passedCount += byteCount
        index += 1
        return chunk
    }
}
