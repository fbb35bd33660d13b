internal import TFTPCore

/// What a shard knows of the paths to its clients, in addition to what the kernel knows.
///
/// Some paths drop packets that are too large for them without an ICMP error (a black hole). A
/// transfer whose blocks are not answered twice sends them without DF from then on. If that helps,
/// the client's next requests are granted only what passes everywhere.
struct PathRecord: ~Copyable {
    let mtu = PathMTU()
    /// Peers that take no segmented sends, a bit a hash of address and blksize.
    let unsegmented = Column<UInt64>(repeating: 0, count: PathRecord.hashCount / 64)
    /// Peers that a path leads to in which blocks without DF have helped, a bit a hash of the
    /// address.
    private let narrow = Column<UInt64>(repeating: 0, count: PathRecord.hashCount / 64)
    /// When all of `narrow` was last forgotten: paths change, and addresses share bits.
    private var forgottenAt: UInt64 = 0
    /// Transfers whose blocks go out without DF.
    private let cut: Column<UInt64>
    /// What the kernel said of late, a place a hash of the address: a client asks for several names
    /// in a row, and the kernel is asked in three calls.
    private let recent = Column<Answer>(repeating: Answer(), count: PathRecord.recentCount)

    private struct Answer: BitwiseCopyable {
        var address = Address.unspecified
        var byteCount = 0
        var end: UInt64 = 0
    }

    private static let memoryNanoseconds: UInt64 = 600_000_000_000
    private static let recentCount = hashCount
    /// Nanoseconds that an answer counts: routes and links change.
    private static let recentNanoseconds: UInt64 = 100_000_000
    static let hashCount = 4096
    /// Silences that are taken for a black hole.
    private static let silencesMin = 2
    /// Smaller blocks than this pass everywhere.
    private static let blksizeMin = 1024
    /// What every path takes (the least MTU of IPv6).
    private static let narrowByteCount = 1280
    private static let defaultByteCount = 1500

    init(transfersMax: Int) { cut = Column(repeating: 0, count: transfersMax / 64 + 1) }

    /// The largest IP packet to grant blocks for.
    func byteCount(to address: Address, now: UInt64) -> Int {
        let known = routeByteCount(to: address, now: now)
        return isNarrow(address, now: now) ? min(known, PathRecord.narrowByteCount) : known
    }

    private func routeByteCount(to address: Address, now: UInt64) -> Int {
        let place = address.pathHash & (PathRecord.recentCount - 1)
        let answer = recent[place]
        if answer.address == address, now < answer.end { return answer.byteCount }
        let byteCount = mtu.byteCount(to: address) ?? PathRecord.defaultByteCount
        recent[place] = Answer(
            address: address, byteCount: byteCount, end: now + PathRecord.recentNanoseconds)
        return byteCount
    }

    /// Whether the blocks that `slot` sends now go out without DF.
    ///
    /// - Parameters:
    ///   - silenceCount: time-outs since the client was heard.
    ///   - first: the first block that is sent.
    ///   - acked: the last block that the client has acknowledged. A path that has brought one full
    ///     block brings the others: then it is the client that pauses.
    mutating func isCut(
        _ slot: Int, to address: Address, blksize: Int, silenceCount: Int, first: UInt64,
        acked: UInt64, now: UInt64
    ) -> Bool {
        if cut.hasBit(slot) {
            guard silenceCount == 0 else { return true }
            // Block 1 without a silence is of another transfer.
            if first == 1 { cut.clearBit(slot) } else { noteNarrow(address, now: now) }
            return first != 1
        }
        guard silenceCount >= PathRecord.silencesMin, blksize >= PathRecord.blksizeMin, acked == 0
        else { return false }
        cut.setBit(slot)
        return true
    }

    func isCut(_ slot: Int) -> Bool { cut.hasBit(slot) }

    private mutating func noteNarrow(_ address: Address, now: UInt64) {
        if now - forgottenAt >= PathRecord.memoryNanoseconds {
            for word in 0..<narrow.count { narrow[word] = 0 }
            forgottenAt = now
        }
        narrow.setBit(address.pathHash)
    }

    private func isNarrow(_ address: Address, now: UInt64) -> Bool {
        now - forgottenAt < PathRecord.memoryNanoseconds && narrow.hasBit(address.pathHash)
    }
}

extension Address {
    fileprivate var pathHash: Int {
        let word = high ^ low &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: word >> 20 ^ word) & (PathRecord.hashCount - 1)
    }
}
