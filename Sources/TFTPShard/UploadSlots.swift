internal import TFTPCore
internal import TFTPWire

/// The uploads of one shard: what is being filled and what is on its way to the disk.
struct UploadSlots: ~Copyable {
    struct Upload: BitwiseCopyable {
        /// The store thread's number.
        var storeUpload: UInt32 = 0
        /// The chunk being filled, or `noChunk`.
        var chunk: UInt32 = UploadSlots.noChunk
        var chunkByteCount = 0
        var receivedByteCount: UInt64 = 0
        var decoder = NetasciiDecoder()
        /// The last chunk has gone to the store, which forgets the upload by itself.
        var isHandedOver = false
    }

    static let noChunk = UInt32.max
    /// The upload of a transfer that only repeats its last ACK.
    static let noUpload = UInt32.max
    private let uploads: Column<Upload>
    private var free: FreeList
    /// Chunks of the shard's pool that nobody fills and nobody writes.
    var freeChunks: FreeList

    init(capacity: Int) {
        uploads = Column(repeating: Upload(), count: capacity)
        free = FreeList(count: capacity)
        freeChunks = FreeList(count: ShardLink.chunksMax)
    }

    var isFull: Bool { free.count == 0 }

    mutating func take(storeUpload: UInt32) -> UInt32? {
        guard let number = free.take() else { return nil }
        uploads[Int(number)] = Upload()
        uploads[Int(number)].storeUpload = storeUpload
        return number
    }

    mutating func release(_ number: UInt32) { free.give(number) }

    subscript(number: UInt32) -> Upload {
        _read { yield uploads[Int(number)] }
        nonmutating _modify { yield &uploads[Int(number)] }
    }

    func receivedByteCount(_ number: UInt32) -> UInt64 { uploads[Int(number)].receivedByteCount }
}
