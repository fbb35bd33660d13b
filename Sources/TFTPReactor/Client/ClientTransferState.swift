internal import TFTPCore
internal import TFTPWire

/// What a client's shard keeps for one transfer in addition to the table's slot.
@safe
struct ClientTransferState: BitwiseCopyable {
    /// Retained until the transfer ends; nil while the slot is free or only repeats its last ACK.
    var transfer: Unmanaged<ClientTransfer>?
    /// What was asked for, and what was granted.
    var asked = Options()
    var granted = Options()
    var startedAt: UInt64 = 0
    /// Receiving: bytes that are here in order. Sending: bytes that the server has acknowledged.
    var byteCount: UInt64 = 0
    /// How much of these the other side of the ring has been shown, and when.
    var shownByteCount: UInt64 = 0
    var shownAt: UInt64 = 0
    /// What the other side of the ring has done when it was last looked at.
    var seenByteCount: UInt64 = 0
    /// Sending: since when there is nothing to send; 0 while there is.
    var dryAt: UInt64 = 0
    /// What the server said the file has, or the part of it that was asked for; `.max` while it has
    /// not.
    var announced = UInt64.max
    /// Packets that said something again.
    var repeatCount: UInt64 = 0
    /// Receiving: blocks that are here beyond a gap.
    var ahead = BlocksAhead()
    /// In the run queue: more is due than one visit sends.
    var isQueued = false
    /// This end keeps the server waiting: for room to receive, or for content to send.
    var isWaiting = false
    /// The path takes no segmented sends.
    var isUnsegmented = false
    var isTraced = false
    /// An unauthenticated report since the last time-out said that nothing listens at the
    /// destination.
    var isRefused = false
    /// Retained until the slot is free: what packets are sealed with.
    var seal: Unmanaged<ClientSeal>?
    /// What a block on the wire is longer than its content.
    var sealByteCount = 0
    /// Receiving: it is known what follows block 65535.
    var knowsRollover = false
    /// Receiving: how often the ACK of block 65535 was not followed by a block 0.
    var rolloverDoubts: UInt8 = 0
    /// Sending: whether the server takes a block 0.
    var zeroDoubt = RolloverDoubt()

    init() {
        unsafe transfer = nil
        unsafe seal = nil
    }

    init(_ transfer: ClientTransfer, asking options: Options, now: UInt64) {
        unsafe self.transfer = .passRetained(transfer)
        unsafe seal = transfer.request.seal.map { unsafe .passRetained($0) }
        unsafe sealByteCount = seal == nil ? 0 : ClientSeal.tagByteCount
        asked = options
        startedAt = now
        shownAt = now
        isUnsegmented = !transfer.request.usesSegmentation
        isTraced = transfer.request.trace != nil
    }

    var isSealed: Bool { sealByteCount > 0 }
}

/// Which blocks beyond the next one are here already: a bit each, in words of the transfer's own.
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

    /// How many words a window needs: no two blocks that can be here share a bit.
    static func wordCount(windowsize: Int) -> Int { windowsize / 64 + 1 }

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
