internal import TFTPCore

/// Bytes a second of each client and of each network.
///
/// A client and a network each have a queue of bytes at their rate, of which only the end is kept.
/// A transfer reserves its next blocks at the end of both and learns when they may go out. So
/// transfers that share a rate send in the order in which they reserved, and none starves.
extension LimitTable {
    /// Reservations that a transfer makes in a second where it is alone.
    private static let reservationsPerSecond = 64
    /// Clients that have proven nothing have one in so many of the bytes of a rate.
    private static let unprovenShare = 4
    /// The queue of their turns is full when the next one would wait for longer. A client without
    /// options repeats its request about so often.
    static let turnNanosecondsMax: UInt64 = 4_000_000_000
    /// The shortest window that is granted, in bytes: one block without options.
    private static let windowByteCountMin = 512

    /// Whether bytes a second are limited.
    var limitsBytes: Bool { byteRate != nil }

    /// The lower of the two rates; nil where there is none.
    private var byteRate: Int? {
        guard let client = clients.bytesPerSecond else { return networks.bytesPerSecond }
        return min(client, networks.bytesPerSecond ?? client)
    }

    /// Reserves up to `blockCount` blocks of `blksize` bytes, and at least one.
    ///
    /// - Returns: how many, and when they may go out.
    func reserve(
        _ address: Address, blockCount: Int, blksize: Int, now: UInt64
    ) -> (blockCount: Int, time: UInt64) {
        let client = find(clientKey(of: address))
        let network = find(ReplyBudget.key(of: address))
        let share = min(share(of: client, clients), share(of: network, networks))
        let count = max(1, min(blockCount, share / blksize))
        let clientTime = reserve(count * blksize, at: client, clients, now)
        let networkTime = reserve(count * blksize, at: network, networks, now)
        return (count, max(clientTime, networkTime))
    }

    /// Bytes of one reservation: less where more transfers share the rate.
    private func share(of place: Int?, _ limits: RequestLimits) -> Int {
        guard let place, let rate = limits.bytesPerSecond else { return .max }
        return rate / LimitTable.reservationsPerSecond / max(1, Int(entries[place].activeCount))
    }

    private func reserve(
        _ byteCount: Int, at place: Int?, _ limits: RequestLimits, _ now: UInt64
    ) -> UInt64 {
        guard let place, let rate = limits.bytesPerSecond else { return now }
        return entries[place].reserved.append(LimitTable.nanoseconds(byteCount, rate), now: now)
    }

    /// When a block of `blksize` bytes may be reserved for a client that has proven nothing.
    ///
    /// Its address may be forged: then what is reserved is lost to the transfers that the address
    /// has. So these wait in a queue of their own first, which passes a part of the rate.
    ///
    /// - Returns: nil where that queue is full.
    func reserveTurn(_ address: Address, blksize: Int, now: UInt64) -> UInt64? {
        let client = find(clientKey(of: address))
        let network = find(ReplyBudget.key(of: address))
        guard hasTurnLeft(client, clients, now), hasTurnLeft(network, networks, now) else {
            return nil
        }
        let clientTime = reserveTurn(blksize, at: client, clients, now)
        let networkTime = reserveTurn(blksize, at: network, networks, now)
        return max(clientTime, networkTime)
    }

    private func hasTurnLeft(_ place: Int?, _ limits: RequestLimits, _ now: UInt64) -> Bool {
        guard let place, limits.bytesPerSecond != nil else { return true }
        return entries[place].turns.delay(now: now) <= LimitTable.turnNanosecondsMax
    }

    private func reserveTurn(
        _ byteCount: Int, at place: Int?, _ limits: RequestLimits, _ now: UInt64
    ) -> UInt64 {
        guard let place, let rate = limits.bytesPerSecond else { return now }
        let time = LimitTable.nanoseconds(byteCount * LimitTable.unprovenShare, rate)
        return entries[place].turns.append(time, now: now)
    }

    /// A turn is not needed.
    func cancelTurn(_ address: Address, byteCount: Int) {
        cancelTurn(byteCount, at: find(clientKey(of: address)), clients)
        cancelTurn(byteCount, at: find(ReplyBudget.key(of: address)), networks)
    }

    private func cancelTurn(_ byteCount: Int, at place: Int?, _ limits: RequestLimits) {
        guard let place, let rate = limits.bytesPerSecond else { return }
        let time = LimitTable.nanoseconds(byteCount * LimitTable.unprovenShare, rate)
        entries[place].turns.shorten(by: time)
    }

    /// What was reserved is not needed.
    func cancel(_ address: Address, byteCount: Int) {
        cancel(byteCount, at: find(clientKey(of: address)), clients)
        cancel(byteCount, at: find(ReplyBudget.key(of: address)), networks)
    }

    private func cancel(_ byteCount: Int, at place: Int?, _ limits: RequestLimits) {
        guard let place, let rate = limits.bytesPerSecond else { return }
        entries[place].reserved.shorten(by: LimitTable.nanoseconds(byteCount, rate))
    }

    private static func nanoseconds(_ byteCount: Int, _ rate: Int) -> UInt64 {
        // A window has 4 MiB at most, so the product fits.
        UInt64(byteCount) * 1_000_000_000 / UInt64(rate)
    }

    /// What goes out in a second: a longer window would keep its client waiting for too long.
    /// `.max` where bytes are not limited.
    var windowByteCountMax: UInt32 {
        guard let byteRate else { return .max }
        return UInt32(clamping: max(LimitTable.windowByteCountMin, byteRate))
    }

    /// What goes out in half a second. `.max` where bytes are not limited.
    var blksizeMax: UInt16 {
        guard let byteRate else { return .max }
        return UInt16(clamping: max(LimitTable.windowByteCountMin, byteRate / 2))
    }
}

/// A queue of bytes that go out at a rate, of which only the end is kept.
struct ByteQueue: BitwiseCopyable {
    /// What may go out at once after a rest.
    private static let burstNanoseconds: UInt64 = 250_000_000

    private var end: UInt64 = 0

    /// Puts what takes `nanoseconds` to send at the end.
    ///
    /// - Returns: when it may go out.
    mutating func append(_ nanoseconds: UInt64, now: UInt64) -> UInt64 {
        let begin = max(end, now - min(now, ByteQueue.burstNanoseconds))
        end = begin + nanoseconds
        return max(now, begin)
    }

    /// How long what is put at the end now has to wait, in nanoseconds.
    func delay(now: UInt64) -> UInt64 { end - min(end, now) }

    /// Takes back what is not needed.
    mutating func shorten(by nanoseconds: UInt64) { end -= min(end, nanoseconds) }
}
