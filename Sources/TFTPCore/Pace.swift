/// How fast one transfer sends inside a window, and what its windows have shown of the path.
///
/// A receiver answers a window when it is complete (RFC 7440 §4), so nothing can be held back for
/// it: all that a sender can do for a slow or shallow link is to leave time between blocks. Times
/// are *stamps* of 1,024 ns.
struct Pace: BitwiseCopyable {
    /// Stamps between two blocks; 0: as fast as they can be sent.
    var gap: UInt16 = 0
    /// The least round trip seen; 0 while unknown.
    var leastRoundTrip = CoarseStamps()
    /// The least time from a window's last block to its ACK; 0 while unknown.
    var leastTail = CoarseStamps()

    /// 100 Mbit/s: what a path is taken for of which nothing is known.
    static let carefulNanosecondsPerByte = 80
    /// Bytes of a datagram on the wire in addition to its block: Ethernet, IP, UDP and TFTP
    /// headers.
    private static let overheadByteCount = 70
    /// The slowest pace: about 1 Mbit/s in blocks of 1468.
    static let gapMax: UInt16 = 12_000
    /// A gap shorter than this (1.5 Gbit/s in blocks of 1468) is none.
    static let gapMin: UInt16 = 8
    /// Blocks that go out at once when a window opens: every queue in use holds this number.
    static let openingBurst = 16
    /// The same on a path that has lost a part of a window.
    static let shallowBurst = 12
    /// Blocks of a window's last burst, at least.
    private static let lastBurstMin = 8
    /// Stamps that two measurements may differ by and still say the same.
    private static let tolerance = 64

    static func carefulGap(blksize: UInt16) -> UInt16 {
        UInt16(((Int(blksize) + overheadByteCount) * carefulNanosecondsPerByte) >> 10)
    }

    /// Blocks that may go out `elapsed` stamps after the last ones, in the middle of a window of
    /// which `missing` are still to go out.
    func allowance(elapsed: UInt32, missing: Int) -> Int {
        // A thread that was late does not make up for all of it at once: that would be the burst
        // again.
        let burstMax = max(Pace.openingBurst, 2048 / Int(gap))
        let allowed = min(burstMax, Int(elapsed / UInt32(gap)))
        // The last burst is what the tail is measured by, so it is never a small one.
        return missing - allowed < Pace.lastBurstMin ? allowed > 0 ? missing : 0 : allowed
    }

    /// A whole window has come through, and its ACK came `tail` stamps after its last block.
    ///
    /// - Parameter isCareful: the gap was chosen without knowing anything of the path.
    mutating func stepWhole(tail: UInt32, isCareful: Bool) {
        leastRoundTrip.lower(to: tail)
        guard gap > 0 else { return }
        let excess = Int(tail) - leastRoundTrip.value
        // At the gap's own pace the last burst would take the link twice as long, or much longer.
        if excess <= Int(gap) * Pace.lastBurstMin / 2 {
            let isFast = isCareful && excess <= 2 * Int(gap)
            narrow(by: isFast ? gap : gap / 2)
            return
        }
        let least = leastTail.value
        let queueMax = Int(gap) * Pace.openingBurst / 2
        if Int(tail) <= least + max(least / 4 + Pace.tolerance, queueMax) {
            // A few blocks in the queue keep the link busy between two windows, so it is tried, a
            // little.
            narrow(by: gap / 8)
        }
        // No queue holds so much: it is the client, or the path, that takes longer now.
        if least == 0 || Int(tail) > 4 * least { leastTail = CoarseStamps() }
        leastTail.lower(to: tail)
    }

    /// A block is missing after `count` blocks of a window of which `flight` are out; the ACK that
    /// reports this came `elapsed` stamps after the window opened and `tail` stamps after the last
    /// block.
    mutating func stepGap(count: Int, flight: Int, elapsed: UInt32, tail: UInt32) {
        let roundTrip = leastRoundTrip.value
        guard roundTrip > 0, count > 0 else { return }
        if Int(tail) > roundTrip + 4 * Pace.tolerance {
            // What was out before the missing block has queued up, so it came at the path's own
            // pace.
            let perBlock = (Int(elapsed) - roundTrip) / (count + 1)
            let wanted = perBlock + perBlock / 8
            if perBlock >= Int(Pace.gapMin) && wanted > Int(gap) { widen(to: wanted) }
        } else if gap > 0 && flight - count > roundTrip / Int(gap) + 2 * Pace.openingBurst {
            // More is out behind the missing block than a round trip explains.
            widen(to: Int(gap) + Int(gap) / 4 + 1)
        }
    }

    /// A window was answered by silence, once or `again`: its tail was lost, or the ACK.
    mutating func stepSilence(blksize: UInt16, again: Bool) {
        let slower = again ? 2 * Int(gap) : Int(gap) + Int(gap) / 4 + 1
        widen(to: gap == 0 ? Int(Pace.carefulGap(blksize: blksize)) : slower)
    }

    private mutating func narrow(by stamps: UInt16) {
        gap -= stamps
        if gap < Pace.gapMin { gap = 0 }
    }

    private mutating func widen(to wanted: Int) {
        gap = UInt16(clamping: min(wanted, Int(Pace.gapMax)))
    }
}

/// A time in stamps, in one byte: three bits behind the first one, so an eighth too short at most.
struct CoarseStamps: BitwiseCopyable {
    private var code: UInt8 = 0

    /// 0 while nothing was measured.
    var value: Int {
        let exponent = Int(code >> 3)
        guard exponent > 0 else { return Int(code) }
        return (8 + Int(code & 7)) << (exponent - 1)
    }

    mutating func lower(to stamps: UInt32) {
        let new = CoarseStamps.encode(max(1, stamps))
        if code == 0 || new < code { code = new }
    }

    private static func encode(_ stamps: UInt32) -> UInt8 {
        guard stamps >= 8 else { return UInt8(stamps) }
        let shift = 28 - stamps.leadingZeroBitCount
        return UInt8((shift + 1) << 3) | UInt8(stamps >> UInt32(shift) & 7)
    }
}

/// What the windows of past transfers have shown of the paths to their peers, so that the next
/// transfer to the same machine begins with it; and what is known of a machine's whole network.
/// Direct-mapped by address: a newer entry replaces an older one.
struct PaceBook: ~Copyable {
    /// What the machines of one network have shown.
    private enum Network: UInt8 {
        case unknown
        /// One transfer is finding out.
        case scouted
        case fast
        case slow
    }

    private struct Place: BitwiseCopyable {
        var tag: UInt32 = 0
        /// Stamps for 65,536 bytes.
        var pace: UInt16 = 0
        var isShallow = false
        var isUsed = false
        /// Of a network's place, the only thing that counts.
        var network = Network.unknown
    }

    private let places = Column(repeating: Place(), count: PaceBook.count)
    private static let count = 4096

    /// What is known of the path to `peer`, for blocks of `blksize` bytes; nil when nothing is.
    func recall(_ peer: Address, blksize: UInt16) -> (gap: UInt16, isShallow: Bool)? {
        let (index, tag) = PaceBook.place(of: peer)
        let place = places[index]
        guard place.isUsed, place.tag == tag else { return nil }
        let gap = (Int(place.pace) * Int(blksize)) >> 16
        return (UInt16(clamping: min(gap, Int(Pace.gapMax))), place.isShallow)
    }

    func keep(_ peer: Address, gap: UInt16, isShallow: Bool, blksize: UInt16) {
        let (index, tag) = PaceBook.place(of: peer)
        let pace = UInt16(clamping: (Int(gap) << 16) / Int(blksize))
        places[index] = Place(tag: tag, pace: pace, isShallow: isShallow, isUsed: true)
        if gap == 0 { noteNetwork(of: peer, isFast: true) }
    }

    /// Whether a transfer to `peer`, of which nothing is known, should feel its way: as the first
    /// of its network, or where that was found to be slow. While one finds out, others do not wait
    /// for it.
    func scouts(_ peer: Address) -> Bool {
        let (index, tag) = PaceBook.place(of: PaceBook.network(of: peer))
        let known = places[index].tag == tag ? places[index].network : .unknown
        if known == .unknown { places[index] = Place(tag: tag, network: .scouted) }
        return known == .unknown || known == .slow
    }

    func noteNetwork(of peer: Address, isFast: Bool) {
        let (index, tag) = PaceBook.place(of: PaceBook.network(of: peer))
        places[index] = Place(tag: tag, network: isFast ? .fast : .slow)
    }

    /// The scout has ended without a whole window: the next transfer finds out.
    func forgetScout(of peer: Address) {
        let (index, tag) = PaceBook.place(of: PaceBook.network(of: peer))
        guard places[index].tag == tag, places[index].network == .scouted else { return }
        places[index] = Place()
    }

    /// The network that `peer` is taken to be in: the first 24 bits of IPv4, the first 64 of IPv6.
    private static func network(of peer: Address) -> Address {
        guard peer.isIPv4 else { return Address(high: peer.high, low: 0) }
        return Address(ipv4: peer.ipv4 & 0xFFFF_FF00)
    }

    private static func place(of address: Address) -> (index: Int, tag: UInt32) {
        let mixed = (address.high ^ address.low) &* 0x9E37_79B9_7F4A_7C15
        return (Int(mixed >> 52), UInt32(truncatingIfNeeded: mixed >> 16))
    }
}
