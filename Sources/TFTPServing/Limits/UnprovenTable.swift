internal import TFTPCore

/// Transfers whose client has acknowledged nothing, oldest first, and what each may still be sent.
///
/// The address of such a client may be forged. It is sent three datagrams at most, and in all no
/// more bytes than three times its request and one block of 512, however often the request is
/// repeated.
///
/// Invariant: a slot is in the list from `append` to `remove`, and `count` is the length of the
/// list.
struct UnprovenTable: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var previous = UnprovenTable.none
        var next = UnprovenTable.none
        /// Milliseconds; wraps after 49 days.
        var begunAt: UInt32 = 0
        var answeredAt: UInt32 = 0
        var byteCountMax: UInt32 = 0
        var sentByteCount: UInt32 = 0
        var latestByteCount: UInt32 = 0
        var requestByteCount: UInt16 = 0
        var answerCount: UInt8 = 0
        var isMember = false
        /// A block is counted that has not gone out yet: its content is still on the disk.
        var isBlockCounted = false
    }

    /// What proving itself gives back to the budget of a client's network.
    struct Spent {
        var byteCount: Int
        var answerCount: Int
    }

    private let entries: Column<Entry>
    private var first = UnprovenTable.none
    private var last = UnprovenTable.none
    private(set) var count = 0
    /// More make way for each other.
    private let countMax: Int

    private static let none = UInt32.max
    static let answersMax: UInt8 = 3
    private static let blockByteCount: UInt32 = 516
    /// After this time without an acknowledgement a repeated request counts as a new one.
    private static let renewalMilliseconds: UInt32 = 5000
    /// Of few, each may be a client on a slow path; many at once are none.
    private static let fewCount = 64
    private static let fewMilliseconds: UInt32 = 1000
    private static let manyMilliseconds: UInt32 = 50

    /// - Parameter capacity: slots of the transfer table.
    init(capacity: Int) {
        entries = Column(repeating: Entry(), count: capacity)
        countMax = max(capacity / 2, min(capacity, UnprovenTable.fewCount))
    }

    /// Whether one more would be beyond the share of the table that they have.
    var isFull: Bool { count >= countMax }

    func contains(_ slot: Int) -> Bool { entries[slot].isMember }

    /// Whether a block of `slot` is counted and has not gone out.
    func isBlockCounted(_ slot: Int) -> Bool { entries[slot].isBlockCounted }

    mutating func setBlockCounted(_ slot: Int, _ isCounted: Bool) {
        entries[slot].isBlockCounted = isCounted
    }

    // MARK: The list

    mutating func append(_ slot: Int, requestByteCount: Int, now: UInt64) {
        assert(!entries[slot].isMember)
        var entry = Entry()
        entry.isMember = true
        entry.begunAt = UnprovenTable.milliseconds(now)
        entry.requestByteCount = UInt16(clamping: requestByteCount)
        entry.byteCountMax = 3 * UInt32(entry.requestByteCount) + UnprovenTable.blockByteCount
        entry.previous = last
        entries[slot] = entry
        if last == UnprovenTable.none {
            first = UInt32(slot)
        } else {
            entries[Int(last)].next = UInt32(slot)
        }
        last = UInt32(slot)
        count += 1
    }

    /// The transfer is proven, or has ended.
    @discardableResult
    mutating func remove(_ slot: Int) -> Spent {
        let entry = entries[slot]
        guard entry.isMember else { return Spent(byteCount: 0, answerCount: 0) }
        if entry.previous == UnprovenTable.none {
            first = entry.next
        } else {
            entries[Int(entry.previous)].next = entry.next
        }
        if entry.next == UnprovenTable.none {
            last = entry.previous
        } else {
            entries[Int(entry.next)].previous = entry.previous
        }
        entries[slot].isMember = false
        count -= 1
        return Spent(byteCount: Int(entry.sentByteCount), answerCount: Int(entry.answerCount))
    }

    /// The oldest one, if it has had the time that an honest client needs to answer.
    func evictable(now: UInt64) -> Int? {
        guard first != UnprovenTable.none else { return nil }
        return isEvictable(Int(first), now: now) ? Int(first) : nil
    }

    /// Whether this one has had the time that an honest client needs to answer.
    func isEvictable(_ slot: Int, now: UInt64) -> Bool {
        let age = UnprovenTable.milliseconds(now) &- entries[slot].begunAt
        let least =
            count > UnprovenTable.fewCount
            ? UnprovenTable.manyMilliseconds : UnprovenTable.fewMilliseconds
        return entries[slot].isMember && age >= least
    }

    // MARK: What may be sent

    /// How many bytes of an answer the client has asked for by its request.
    func requestByteCount(of slot: Int) -> Int { Int(entries[slot].requestByteCount) }

    func mayAnswer(_ slot: Int, byteCount: Int) -> Bool {
        let entry = entries[slot]
        return entry.answerCount < UnprovenTable.answersMax
            && entry.sentByteCount + UInt32(byteCount) <= entry.byteCountMax
    }

    /// Whether the latest answer may go out once more; true before there was one.
    func mayRepeat(_ slot: Int) -> Bool {
        mayAnswer(slot, byteCount: Int(entries[slot].latestByteCount))
    }

    mutating func didAnswer(_ slot: Int, byteCount: Int, now: UInt64) {
        entries[slot].answerCount += 1
        entries[slot].sentByteCount += UInt32(byteCount)
        entries[slot].latestByteCount = UInt32(byteCount)
        entries[slot].answeredAt = UnprovenTable.milliseconds(now)
    }

    /// Whether so much time has passed that a repeated request may be answered anew.
    func mayBeRenewed(_ slot: Int, now: UInt64) -> Bool {
        UnprovenTable.milliseconds(now) &- entries[slot].answeredAt
            >= UnprovenTable.renewalMilliseconds
    }

    /// A repeated request counts as a new one: as much may be sent again. Its turn to make way
    /// stays.
    mutating func renew(_ slot: Int, now: UInt64) {
        entries[slot].answerCount = 0
        entries[slot].sentByteCount = 0
        entries[slot].latestByteCount = 0
        entries[slot].isBlockCounted = false
        entries[slot].answeredAt = UnprovenTable.milliseconds(now)
    }

    private static func milliseconds(_ now: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: now / 1_000_000)
    }
}
