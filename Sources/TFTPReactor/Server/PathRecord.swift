internal import TFTPCore

/// What a shard knows of the paths to its clients, in addition to what the kernel knows.
///
/// Some paths swallow what is too large for them and say nothing (a black hole). A transfer whose
/// blocks meet silence twice sends them without DF from then on. If that helps, the client's next
/// requests are granted no more than passes everywhere.
struct PathRecord: ~Copyable {
    let mtu = PathMTU()
    /// Peers that take no segmented sends, a bit a hash of address and blksize.
    let unsegmented = Column<UInt64>(repeating: 0, count: PathRecord.hashCount / 64)
    /// Peers that a path leads to in which blocks without DF have helped, a bit a hash of the
    /// address.
    private let narrow = Column<UInt64>(repeating: 0, count: PathRecord.hashCount / 64)
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

    private static let recentCount = 512
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
        return narrow.hasBit(address.pathHash) ? min(known, PathRecord.narrowByteCount) : known
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
    mutating func isCut(
        _ slot: Int, to address: Address, blksize: Int, silenceCount: Int, first: UInt64
    ) -> Bool {
        if cut.hasBit(slot) {
            guard silenceCount == 0 else { return true }
            // Block 1 without a silence is of another transfer.
            if first == 1 { cut.clearBit(slot) } else { narrow.setBit(address.pathHash) }
            return first != 1
        }
        guard silenceCount >= PathRecord.silencesMin, blksize >= PathRecord.blksizeMin else {
            return false
        }
        cut.setBit(slot)
        return true
    }

    func isCut(_ slot: Int) -> Bool { cut.hasBit(slot) }
}

extension Address {
    fileprivate var pathHash: Int {
        let word = high ^ low &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: word >> 20 ^ word) & (PathRecord.hashCount - 1)
    }
}
