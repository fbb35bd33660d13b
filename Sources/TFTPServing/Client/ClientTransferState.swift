internal import TFTPCore
internal import TFTPWire

/// How far the task of a transfer has come with its content: what it has taken of what is received,
/// or written of what is sent.
package struct ContentPosition: BitwiseCopyable, Equatable, Sendable {
    /// From the beginning of the content.
    package var byteCount: UInt64
    /// Sending: that is all.
    package var isComplete: Bool

    /// - Parameter isComplete: nothing will be written any more.
    package init(byteCount: UInt64, isComplete: Bool = false) {
        self.byteCount = byteCount
        self.isComplete = isComplete
    }
}

/// What a client keeps for one transfer in addition to the table's slot. (More than twelve
/// properties: a packet reads most of them, so they stand together.)
struct ClientTransferState: BitwiseCopyable {
    // What was asked, and what was granted.

    var asked = Options()
    var granted = Options()
    var startedAt: UInt64 = 0
    /// One byte more ends it.
    var byteCountMax = UInt64.max
    var patienceMilliseconds: UInt32 = 0
    /// Sending: how long content that does not come may keep the server waiting; `.max`: as long
    /// as the server waits.
    var sourcePatienceMilliseconds = UInt32.max
    /// A text has another size here than on the wire.
    var isText = false
    /// What a block on the wire is longer than its content; 0 without a seal.
    var sealByteCount = 0
    /// What the server said the file has, or the part of it that was asked for; `.max` while it has
    /// not.
    var announced = UInt64.max

    // The content.

    /// Bytes of the ring that lies between this end and the task.
    var capacity = 0
    /// Receiving: bytes that are here in order. Sending: bytes that the server has acknowledged.
    var byteCount: UInt64 = 0
    /// How much of these was handed over, and when.
    var handedOverByteCount: UInt64 = 0
    var handedOverAt: UInt64 = 0
    /// What the task had done when that was last told.
    var position = ContentPosition(byteCount: 0)
    /// Sending: since when there is nothing to send; 0 while there is.
    var dryAt: UInt64 = 0
    /// Receiving: blocks that are here beyond a gap.
    var ahead = BlocksAhead()

    // What has happened.

    /// Packets that said something again.
    var repeatCount: UInt64 = 0
    /// In the run queue: more is due than one visit sends.
    var isQueued = false
    /// This end keeps the server waiting: for room to receive, or for content to send.
    var isWaiting = false
    /// An unauthenticated report since the last time-out said that nothing listens at the
    /// destination.
    var isRefused = false
    /// The result was told. What the table still does with the slot needs no content any more.
    var hasEnded = false
    /// Receiving: it is known what follows block 65535.
    var knowsRollover = false
    /// Receiving: how often the ACK of block 65535 was not followed by a block 0.
    var rolloverDoubts: UInt8 = 0
    /// Sending: whether the server takes a block 0.
    var zeroDoubt = RolloverDoubt()

    init() {}

    init(_ request: ClientRequest, asking options: Options, ringByteCount: Int, now: UInt64) {
        asked = options
        startedAt = now
        byteCountMax = request.byteCountMax
        patienceMilliseconds = request.patienceMilliseconds
        sourcePatienceMilliseconds = request.sourcePatienceMilliseconds ?? .max
        isText = request.mode == .netascii
        sealByteCount = request.seal == nil ? 0 : ClientSeal.tagByteCount
        capacity = ringByteCount
        handedOverAt = now
    }

    var isSealed: Bool { sealByteCount > 0 }
}

/// Which blocks beyond the next one are here already: a bit each.
@safe
struct BlocksAhead: BitwiseCopyable {
    private var words: UnsafeMutablePointer<UInt64>?
    private var bitCount: UInt64 = 0
    private(set) var count = 0
    /// The last block of the file, if it is among them, and its bytes.
    private var lastBlock: UInt64 = 0
    private var lastByteCount = 0

    init() { unsafe words = nil }

    /// - Parameter words: zeros, one for each 64 blocks of a window and one more.
    init(_ words: UnsafeMutableBufferPointer<UInt64>) {
        unsafe self.words = words.baseAddress
        bitCount = UInt64(words.count * 64)
    }

    func contains(_ block: UInt64) -> Bool {
        guard count > 0, let words = unsafe words else { return false }
        let bit = Int(block % bitCount)
        return unsafe words[bit / 64] & (1 << UInt64(bit % 64)) != 0
    }

    mutating func insert(_ block: UInt64, byteCount: Int, blksize: Int) {
        guard let words = unsafe words, !contains(block) else { return }
        let bit = Int(block % bitCount)
        unsafe words[bit / 64] |= 1 << UInt64(bit % 64)
        count += 1
        guard byteCount < blksize else { return }
        lastBlock = block
        lastByteCount = byteCount
    }

    /// Takes `block` out. Returns its bytes.
    mutating func remove(_ block: UInt64, blksize: Int) -> Int {
        assert(contains(block))
        let bit = Int(block % bitCount)
        unsafe words.unsafelyUnwrapped[bit / 64] &= ~(1 << UInt64(bit % 64))
        count -= 1
        return block == lastBlock ? lastByteCount : blksize
    }
}

/// The bits of `BlocksAhead`, as many for each slot as the largest window needs. Touched as it is
/// used.
@safe
struct AheadMemory: ~Copyable {
    private let words: UnsafeMutablePointer<UInt64>

    /// No two blocks of a window share a bit.
    private static func wordCount(windowsize: UInt16) -> Int { Int(windowsize) / 64 + 1 }

    init(transfersMax: Int) {
        unsafe words = .allocate(
            capacity: transfersMax * AheadMemory.wordCount(windowsize: .max))
    }

    deinit { unsafe words.deallocate() }

    /// No block is here of a transfer whose windows are that large.
    func noneAhead(_ slot: Int, windowsize: UInt16) -> BlocksAhead {
        let start = unsafe words + slot * AheadMemory.wordCount(windowsize: .max)
        let count = AheadMemory.wordCount(windowsize: windowsize)
        unsafe start.initialize(repeating: 0, count: count)
        return unsafe BlocksAhead(UnsafeMutableBufferPointer(start: start, count: count))
    }
}
