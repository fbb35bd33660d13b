internal import TFTPStore
internal import TFTPWire

/// What the server of a shard and the thread of the store both see: requests that wait for an
/// answer, and the chunks that uploads are collected in.
///
/// A value that points to memory; the owner calls `destroy` after both have ended. The server
/// writes a place before it asks about it and leaves it alone until the answer; a chunk is the
/// store's from `StoreRequest.write` to `StoreReply.written`.
@safe
package struct ServingMemory: @unchecked Sendable {
    package let pendingsMax: Int
    package let chunksMax: Int
    /// And behind them the one that the server is judging.
    package let pendings: UnsafeMutablePointer<PendingRequest>
    /// Both ends of each.
    package let notes: UnsafeMutablePointer<HandlerEndpoints>
    /// And with those of them that are sealed.
    package let sealedPendings: UnsafeMutablePointer<SealedPending>
    private let chunks: UnsafeMutableRawPointer

    private static let pageByteCount = 4096

    package init(
        pendingsMax: Int = ServingLimits.pendingsMaxDefault,
        chunksMax: Int = ServingLimits.chunksMax
    ) {
        self.pendingsMax = pendingsMax
        self.chunksMax = chunksMax
        unsafe pendings = .allocate(capacity: pendingsMax + 1)
        unsafe notes = .allocate(capacity: pendingsMax)
        unsafe sealedPendings = .allocate(capacity: pendingsMax)
        unsafe chunks = .allocate(
            byteCount: chunksMax * ServingLimits.chunkByteCount,
            alignment: ServingMemory.pageByteCount)
    }

    package func destroy() {
        unsafe pendings.deallocate()
        unsafe notes.deallocate()
        unsafe sealedPendings.deallocate()
        unsafe chunks.deallocate()
    }

    /// Where `ServingLimits.chunkByteCount` bytes of chunk `index` begin.
    @unsafe
    package func chunk(_ index: UInt32) -> UnsafeMutableRawPointer {
        unsafe chunks + Int(index) * ServingLimits.chunkByteCount
    }
}
