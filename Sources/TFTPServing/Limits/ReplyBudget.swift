internal import TFTPCore

/// What may be sent to addresses that have proven nothing: by source network (/24 of IPv4, /56 of
/// IPv6) and in all.
///
/// Two things are counted. *Replies*: an ERROR costs four, an answer to a request one, and a client
/// that proves itself gives its own back. So a hall of honest machines costs nothing however many
/// they are. *Bytes*: what is sent beyond twice of what came in is a debt of the network. It is
/// forgotten slowly, or at once when the client proves itself. Networks in debt draw on what there
/// is for all; others do not, so a flood from elsewhere leaves them alone.
///
/// Memory is fixed. Where more networks ask than there are entries, one that rests the longest
/// makes way, and a network that comes in so begins in debt.
struct ReplyBudget: ~Copyable {
    /// The state of one source network: 24 bytes.
    private struct Entry: BitwiseCopyable {
        /// 0: free.
        var key: UInt64 = 0
        /// Milliseconds of the latest look; wraps after 49 days.
        var lookedAt: UInt32 = 0
        var repliesLeft: Int32 = 0
        var debtByteCount: Int32 = 0
        /// It has taken the place of another that was not at rest.
        var isCrowded = false
    }

    private let entries: Column<Entry>
    private var totalRepliesLeft = ReplyBudget.totalRepliesMax
    private var totalBytesLeft = ReplyBudget.totalBytesMax
    private var totalLookedAt: UInt32
    private let seed: UInt64

    /// Places that one network may have.
    private static let wayCount = 4
    private static let setCount = 16_384
    static let errorCost = 4
    static let answerCost = 1
    /// A /24 holds 254 machines: each may have 16 questions answered by ERROR, and four such a
    /// second in the long run.
    static let repliesMax = 16_384
    private static let repliesPerSecond = 4096
    /// 65,536 machines may ask at once.
    private static let totalRepliesMax = 65_536
    private static let totalRepliesPerSecond = 40_000
    /// A host that plays 10,000 machines without options at once owes that much before they prove
    /// themselves.
    private static let debtMax = 8 << 20
    /// Of what a network owes beyond `quietDebtMax`: two first blocks in a second, drawn on what
    /// there is for all. So forged requests in its name keep it out for no longer than they come.
    private static let debtForgottenPerSecond = 1024
    /// Of the rest: two first blocks in a minute.
    private static let quietDebtForgottenPerSecond = 16
    /// Four first blocks.
    private static let quietDebtMax = 4 * 544
    private static let totalBytesMax = 8 << 20
    private static let totalBytesPerSecond = 256 << 10
    private static let refillMilliseconds = 250
    private static let restMilliseconds: UInt32 = 60_000
    /// IPv4 and UDP headers.
    private static let headerByteCount = 28

    init(seed: UInt64, now: UInt64) {
        entries = Column(
            repeating: Entry(), count: ReplyBudget.setCount * ReplyBudget.wayCount)
        totalLookedAt = ReplyBudget.milliseconds(now)
        self.seed = seed
    }

    /// Whether a reply of `byteCount` bytes to a packet of `requestByteCount` may go out; then it
    /// is counted.
    mutating func take(
        _ address: Address, requestByteCount: Int, byteCount: Int, cost: Int, now: UInt64
    ) -> Bool {
        let now = ReplyBudget.milliseconds(now)
        refillTotal(now)
        let place = place(of: address, now)
        refill(place, now)
        let credit = 2 * (requestByteCount + ReplyBudget.headerByteCount)
        let debt = byteCount + ReplyBudget.headerByteCount - credit
        let before = Int(entries[place].debtByteCount)
        let after = max(0, before + debt)
        guard entries[place].repliesLeft >= cost, totalRepliesLeft >= cost,
            after <= ReplyBudget.debtMax
        else { return false }
        let isQuiet = after <= ReplyBudget.quietDebtMax && !entries[place].isCrowded
        if debt > 0 && !isQuiet {
            guard totalBytesLeft >= debt else { return false }
            totalBytesLeft -= debt
        }
        entries[place].repliesLeft -= Int32(cost)
        entries[place].debtByteCount = Int32(after)
        totalRepliesLeft -= cost
        return true
    }

    /// A client has proven itself: what its answers took comes back.
    mutating func giveBack(_ address: Address, byteCount: Int, answerCount: Int, now: UInt64) {
        let now = ReplyBudget.milliseconds(now)
        let place = place(of: address, now)
        let wireByteCount = byteCount + answerCount * ReplyBudget.headerByteCount
        let before = Int(entries[place].debtByteCount)
        let wasQuiet = before <= ReplyBudget.quietDebtMax && !entries[place].isCrowded
        entries[place].debtByteCount = Int32(max(0, before - wireByteCount))
        let left = Int(entries[place].repliesLeft) + answerCount * ReplyBudget.answerCost
        entries[place].repliesLeft = Int32(min(ReplyBudget.repliesMax, left))
        totalRepliesLeft = min(
            ReplyBudget.totalRepliesMax, totalRepliesLeft + answerCount * ReplyBudget.answerCost)
        // A quiet network has drawn nothing of what there is for all.
        guard !wasQuiet else { return }
        totalBytesLeft = min(ReplyBudget.totalBytesMax, totalBytesLeft + wireByteCount)
    }

    // MARK: Networks

    /// The place of the address's network, which takes the one that rests the longest when it has
    /// none.
    private mutating func place(of address: Address, _ now: UInt32) -> Int {
        let key = ReplyBudget.key(of: address)
        let mixed = (key ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        let word = Int(truncatingIfNeeded: mixed.high ^ mixed.low)
        let first = (word & (ReplyBudget.setCount - 1)) * ReplyBudget.wayCount
        var victim = first
        for place in first..<(first + ReplyBudget.wayCount) {
            if entries[place].key == key { return place }
            if rest(of: place, now) > rest(of: victim, now) { victim = place }
        }
        let isCrowded = rest(of: victim, now) < ReplyBudget.restMilliseconds
        entries[victim] = Entry(
            key: key, lookedAt: now, repliesLeft: Int32(ReplyBudget.repliesMax), debtByteCount: 0,
            isCrowded: isCrowded)
        return victim
    }

    /// How long nothing was asked of a place; for ever when it is free.
    private func rest(of place: Int, _ now: UInt32) -> UInt32 {
        entries[place].key == 0 ? .max : now &- entries[place].lookedAt
    }

    /// The first 24 bits of an IPv4 address, or 56 of another; never 0.
    static func key(of address: Address) -> UInt64 {
        address.isIPv4
            ? UInt64(address.ipv4 >> 8) | 1 << 63 : address.high >> 8 | 1 << 62
    }

    private mutating func refill(_ place: Int, _ now: UInt32) {
        let elapsed = Int(now &- entries[place].lookedAt)
        // Shorter steps would round to nothing.
        guard elapsed >= ReplyBudget.refillMilliseconds else { return }
        entries[place].lookedAt = now
        let left =
            Int(entries[place].repliesLeft) + elapsed * ReplyBudget.repliesPerSecond / 1000
        entries[place].repliesLeft = Int32(min(ReplyBudget.repliesMax, left))
        entries[place].debtByteCount = Int32(
            ReplyBudget.debt(Int(entries[place].debtByteCount), after: elapsed))
    }

    /// What is left of a debt after so many milliseconds.
    private static func debt(_ byteCount: Int, after elapsed: Int) -> Int {
        let excess = max(0, byteCount - quietDebtMax)
        let forgotten = elapsed * debtForgottenPerSecond / 1000
        guard forgotten > excess else { return byteCount - forgotten }
        let rest = elapsed - excess * 1000 / debtForgottenPerSecond
        return max(0, byteCount - excess - rest * quietDebtForgottenPerSecond / 1000)
    }

    private mutating func refillTotal(_ now: UInt32) {
        let elapsed = Int(now &- totalLookedAt)
        guard elapsed > 0 else { return }
        totalLookedAt = now
        totalRepliesLeft = min(
            ReplyBudget.totalRepliesMax,
            totalRepliesLeft + elapsed * ReplyBudget.totalRepliesPerSecond / 1000)
        totalBytesLeft = min(
            ReplyBudget.totalBytesMax,
            totalBytesLeft + elapsed * ReplyBudget.totalBytesPerSecond / 1000)
    }

    private static func milliseconds(_ now: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: now / 1_000_000)
    }
}
