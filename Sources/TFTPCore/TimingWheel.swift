/// Deadlines of the slots of one table: a hashed wheel of doubly linked lists, in columns.
///
/// Moving a deadline later only writes it (`schedule` is one store on the packet path); the wheel
/// finds out when the old place comes up and links the slot anew. Moving it earlier relinks at
/// once. So a transfer in full flow costs the wheel one relink every 200 ms, not one an ACK.
///
/// A tick is 2^20 ns (1.05 ms): the pauses inside a window are of that size. Ticks are compared by
/// wrapping difference: 32 bits last 52 days, and the process may run longer.
package struct TimingWheel: ~Copyable {
    /// The deadline of one slot, and its place in a list: 12 bytes.
    package struct Timer: BitwiseCopyable {
        var deadline: UInt32
        /// The next slot in the bucket, or `none`.
        var next: UInt32
        /// The slot before, or `bucketFlag` with the bucket's number when first, or `none` when
        /// unlinked.
        var previous: UInt32
    }

    static let tickShift: UInt64 = 20
    private static let bucketCount = 1024
    private static let none = UInt32.max
    private static let bucketFlag: UInt32 = 1 << 31

    private let timers: Column<Timer>
    private let heads: Column<UInt32>
    /// A bit a bucket: whether it holds anything.
    private let occupied: Column<UInt64>
    /// Every deadline at or before this tick has been handed out.
    private var current: UInt32
    private var linkedCount = 0

    /// An empty wheel for slots below `capacity`.
    package init(capacity: Int, now: UInt64) {
        let unlinked = Timer(deadline: 0, next: TimingWheel.none, previous: TimingWheel.none)
        timers = Column(repeating: unlinked, count: capacity)
        heads = Column(repeating: TimingWheel.none, count: TimingWheel.bucketCount)
        occupied = Column(repeating: 0, count: TimingWheel.bucketCount / 64)
        current = TimingWheel.tick(now)
    }

    static func tick(_ now: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: now >> tickShift) }

    /// Sets the deadline of `slot` to `deadline`, in nanoseconds, rounded up to a tick.
    package mutating func schedule(_ slot: Int, at deadline: UInt64) {
        let tick = TimingWheel.tick(deadline) &+ 1
        let isLinked = timers[slot].previous != TimingWheel.none
        if isLinked && !TimingWheel.isEarlier(tick, than: timers[slot].deadline) {
            timers[slot].deadline = tick
            return
        }
        if isLinked { unlink(slot) }
        timers[slot].deadline = tick
        link(slot)
    }

    /// An empty wheel stands still, and after 26 days ticks cannot be compared with it any more:
    /// called before the first deadline after the wheel was empty.
    package mutating func catchUp(now: UInt64) {
        if linkedCount == 0 { current = TimingWheel.tick(now) }
    }

    /// Takes the deadline of `slot` away, if it has one.
    package mutating func cancel(_ slot: Int) {
        if timers[slot].previous != TimingWheel.none { unlink(slot) }
    }

    /// Takes one slot whose deadline has passed by `now` off the wheel, or nil when none is left.
    package mutating func popExpired(now: UInt64) -> Int? {
        let end = TimingWheel.tick(now)
        while TimingWheel.isEarlier(current, than: end) {
            let bucket = Int(current &+ 1) & (TimingWheel.bucketCount - 1)
            let head = heads[bucket]
            guard head != TimingWheel.none else {
                advance(to: end)
                continue
            }
            let slot = Int(head)
            unlink(slot)
            if !TimingWheel.isEarlier(end, than: timers[slot].deadline) { return slot }
            link(slot)
        }
        return nil
    }

    /// How many nanoseconds after `now` the wheel wants attention; nil when it is empty.
    package func nanosecondsUntilNext(now: UInt64) -> UInt64? {
        guard linkedCount > 0 else { return nil }
        let due = current &+ UInt32(distanceToOccupied())
        let ahead = Int32(bitPattern: due &- TimingWheel.tick(now))
        guard ahead > 0 else { return 0 }
        let partial = now & ((1 << TimingWheel.tickShift) - 1)
        return UInt64(ahead) << TimingWheel.tickShift - partial
    }

    private static func isEarlier(_ tick: UInt32, than other: UInt32) -> Bool {
        Int32(bitPattern: tick &- other) < 0
    }

    /// Steps over empty buckets, to `end` at most.
    private mutating func advance(to end: UInt32) {
        let room = UInt32(end &- current)
        guard linkedCount > 0 else {
            current = end
            return
        }
        // The bucket after `current` is empty, so the distance is at least two and a step is safe.
        current = current &+ min(room, UInt32(distanceToOccupied() - 1))
    }

    /// Ticks from `current` to the first bucket that holds something, 1...1024.
    private func distanceToOccupied() -> Int {
        let start = Int(current &+ 1) & (TimingWheel.bucketCount - 1)
        var distance = 0
        while distance < TimingWheel.bucketCount {
            let bucket = (start + distance) & (TimingWheel.bucketCount - 1)
            let word = occupied[bucket / 64] >> UInt64(bucket % 64)
            if word != 0 { return distance + word.trailingZeroBitCount + 1 }
            distance += 64 - bucket % 64
        }
        return TimingWheel.bucketCount
    }

    private mutating func link(_ slot: Int) {
        assert(timers[slot].previous == TimingWheel.none)
        // Beyond the horizon a slot waits in the last bucket and is linked anew from there.
        let ahead = Int32(bitPattern: timers[slot].deadline &- current)
        let step = UInt32(max(1, min(Int(ahead), TimingWheel.bucketCount - 1)))
        let bucket = Int(current &+ step) & (TimingWheel.bucketCount - 1)
        let head = heads[bucket]
        timers[slot].next = head
        timers[slot].previous = TimingWheel.bucketFlag | UInt32(bucket)
        if head != TimingWheel.none { timers[Int(head)].previous = UInt32(slot) }
        heads[bucket] = UInt32(slot)
        occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
        linkedCount += 1
    }

    private mutating func unlink(_ slot: Int) {
        let timer = timers[slot]
        assert(timer.previous != TimingWheel.none)
        if timer.next != TimingWheel.none { timers[Int(timer.next)].previous = timer.previous }
        if timer.previous & TimingWheel.bucketFlag != 0 {
            let bucket = Int(timer.previous & ~TimingWheel.bucketFlag)
            heads[bucket] = timer.next
            if timer.next == TimingWheel.none {
                occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64))
            }
        } else {
            timers[Int(timer.previous)].next = timer.next
        }
        timers[slot].next = TimingWheel.none
        timers[slot].previous = TimingWheel.none
        linkedCount -= 1
    }
}
