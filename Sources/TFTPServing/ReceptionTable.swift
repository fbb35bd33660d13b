internal import TFTPCore
internal import TFTPWire

/// The uploads of one shard: what is being filled and what is on its way to the disk.
struct ReceptionTable: ~Copyable {
    struct Upload: BitwiseCopyable {
        /// The transfer's.
        var slot: UInt32 = 0
        var isInUse = false
        /// The store thread's number.
        var storeUpload: UInt32 = 0
        /// The chunk being filled, or `noChunk`.
        var chunk: UInt32 = ReceptionTable.noChunk
        var chunkByteCount = 0
        var receivedByteCount: UInt64 = 0
        /// One byte more ends it.
        var byteCountMax: UInt64 = 0
        var decoder = NetasciiDecoder()
        /// The last chunk has gone to the store, which forgets the upload by itself.
        var isHandedOver = false
        /// Chunks that the store has not given back.
        var chunksOut = 0
        /// A handler takes it.
        var isTaken: Bool { storeUpload & StoreRequest.handlerUploadFlag != 0 }
    }

    static let noChunk = UInt32.max
    /// The upload of a transfer that only repeats its last ACK.
    static let noUpload = UInt32.max
    private let uploads: Column<Upload>
    private var free: FreeList
    /// Chunks of the shard's pool that no upload fills and the store does not write.
    var freeChunks: FreeList
    /// Whose chunk the store has, or `noUpload`.
    private let owners: Column<UInt32>
    /// Chunks that a handler may leave lying about, so that a slow one leaves some for others.
    private static let takenChunksMax = 16

    init(capacity: Int, chunksMax: Int) {
        uploads = Column(repeating: Upload(), count: capacity)
        free = FreeList(count: capacity)
        freeChunks = FreeList(count: chunksMax)
        owners = Column(repeating: ReceptionTable.noUpload, count: chunksMax)
    }

    var isFull: Bool { free.count == 0 }

    /// Whether there is no upload, and the store has no chunk.
    var isUnused: Bool { free.count == capacity && freeChunks.count == freeChunks.capacity }

    var capacity: Int { free.capacity }

    mutating func take(storeUpload: UInt32, slot: Int, byteCountMax: UInt64) -> UInt32? {
        guard let number = free.take() else { return nil }
        uploads[Int(number)] = Upload()
        uploads[Int(number)].byteCountMax = byteCountMax
        uploads[Int(number)].storeUpload = storeUpload
        uploads[Int(number)].slot = UInt32(slot)
        uploads[Int(number)].isInUse = true
        return number
    }

    mutating func release(_ number: UInt32) {
        for chunk in 0..<owners.count where owners[chunk] == number {
            owners[chunk] = ReceptionTable.noUpload
        }
        uploads[Int(number)].isInUse = false
        free.give(number)
    }

    // MARK: Chunks

    /// Begins a chunk. False when there is none for this upload.
    mutating func takeChunk(for number: UInt32) -> Bool {
        let upload = uploads[Int(number)]
        guard !upload.isTaken || upload.chunksOut < ReceptionTable.takenChunksMax,
            let chunk = freeChunks.take()
        else { return false }
        uploads[Int(number)].chunk = chunk
        uploads[Int(number)].chunkByteCount = 0
        return true
    }

    /// The store has the chunk from now on.
    mutating func handOver(_ chunk: UInt32, of number: UInt32) {
        owners[Int(chunk)] = number
        uploads[Int(number)].chunksOut += 1
    }

    /// The store has given the chunk back.
    mutating func takeBack(_ chunk: UInt32) {
        let owner = owners[Int(chunk)]
        if owner != ReceptionTable.noUpload { uploads[Int(owner)].chunksOut -= 1 }
        owners[Int(chunk)] = ReceptionTable.noUpload
        freeChunks.give(chunk)
    }

    subscript(number: UInt32) -> Upload {
        _read { yield uploads[Int(number)] }
        nonmutating _modify { yield &uploads[Int(number)] }
    }

    func receivedByteCount(_ number: UInt32) -> UInt64 { uploads[Int(number)].receivedByteCount }
}
