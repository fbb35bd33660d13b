internal import TFTPCore

/// Hands out power-of-two blocks of an arena that it never touches: it deals in offsets alone.
///
/// Blocks of 4 KiB to 1 MiB (by default) are halved and joined again, so `allocate` and `free` take
/// at most one step per halving, nine in all, and neither allocates memory. Extents of images are
/// 1 MiB but for the last one, so what rounding up wastes is less than half an extent per image.
///
/// Cost of the books: 9 bytes per smallest block, 0.22 % of an arena with blocks of 4 KiB.
///
/// Invariant: the blocks cover the arena without gap or overlap; each lies at a multiple of its own
/// byte count; no two free buddies stand side by side below the largest order.
package struct BuddyAllocator: ~Copyable {
    /// How many bytes of address space are dealt with.
    package let byteCount: Int
    package let blockByteCountMin: Int
    package let blockByteCountMax: Int

    /// Bytes in blocks handed out, each rounded up to its power of two.
    package private(set) var usedByteCount = 0

    /// How many of the smallest blocks the arena has. Blocks are numbered in this unit.
    private let unitCount: Int

    /// The order of the largest block; the smallest one has order 0.
    private let orderMax: Int

    /// What starts at each unit.
    private var states: Column<UInt8>

    /// The free list of each order, doubly linked through the first units of its blocks. Where the
    /// unit starts no free block, the links mean nothing.
    private var nextFree: Column<Int32>
    private var previousFree: Column<Int32>
    private var firstFree: Column<Int32>

    /// Bit n is set when the free list of order n has a block.
    private var freeOrders: UInt32 = 0

    /// A unit's state: the order of the block that starts here, or that none does.
    private enum State {
        static var inside: UInt8 { 0xff }
        static func free(order: Int) -> UInt8 { UInt8(order) }
        static func used(order: Int) -> UInt8 { UInt8(order) | 0x40 }
    }

    /// Ends a free list.
    private static var none: Int32 { -1 }

    /// An arena of `byteCount` bytes, all of it free.
    ///
    /// - Precondition: both block byte counts are powers of two, and `byteCount` is a multiple of
    ///   the smaller one. What remains of it past the last block of the largest order is used too.
    package init(
        byteCount: Int, blockByteCountMin: Int = 4 << 10, blockByteCountMax: Int = 1 << 20
    ) {
        precondition(blockByteCountMin > 0 && blockByteCountMin.nonzeroBitCount == 1)
        precondition(blockByteCountMax.nonzeroBitCount == 1)
        precondition(blockByteCountMax >= blockByteCountMin)
        precondition(byteCount > 0 && byteCount.isMultiple(of: blockByteCountMin))
        let unitCount = byteCount / blockByteCountMin
        let orderMax = (blockByteCountMax / blockByteCountMin).trailingZeroBitCount
        precondition(unitCount <= Int(Int32.max))
        precondition(orderMax < UInt32.bitWidth)
        // What was checked above are arguments and locals. The optimiser of Swift 6.3 takes a
        // property read in a precondition for the end of initialisation, and would then destroy the
        // columns before their first assignment.
        self.byteCount = byteCount
        self.blockByteCountMin = blockByteCountMin
        self.blockByteCountMax = blockByteCountMax
        self.unitCount = unitCount
        self.orderMax = orderMax
        states = Column(repeating: State.inside, count: unitCount)
        nextFree = Column(repeating: BuddyAllocator.none, count: unitCount)
        previousFree = Column(repeating: BuddyAllocator.none, count: unitCount)
        firstFree = Column(repeating: BuddyAllocator.none, count: orderMax + 1)
        freeAll()
    }

    /// The offset of a free block of at least `byteCount` bytes, which is now used; nil when none
    /// is left that large. The offset is a multiple of the block's byte count.
    ///
    /// - Precondition: `byteCount` is 1 to `blockByteCountMax`.
    package mutating func allocate(byteCount: Int) -> Int? {
        let order = order(of: byteCount)
        let candidates = freeOrders >> UInt32(order)
        guard candidates != 0 else { return nil }
        var orderFound = order + candidates.trailingZeroBitCount
        let unit = Int(firstFree[orderFound])
        remove(unit, order: orderFound)
        // The lower half is kept each time, and the upper halves are what is left over.
        while orderFound > order {
            orderFound -= 1
            insert(unit + (1 << orderFound), order: orderFound)
        }
        states[unit] = State.used(order: order)
        usedByteCount += blockByteCountMin << order
        return unit * blockByteCountMin
    }

    /// Gives back the block at `offset`, which was allocated with this `byteCount`.
    ///
    /// - Precondition: the block is in use. A second `free` of one block would hand it out twice,
    ///   and the wrong bytes to a client, so this is checked in release builds too.
    package mutating func free(offset: Int, byteCount: Int) {
        precondition(offset >= 0 && offset < self.byteCount)
        precondition(offset.isMultiple(of: blockByteCountMin))
        var order = order(of: byteCount)
        var unit = offset / blockByteCountMin
        precondition(states[unit] == State.used(order: order))
        states[unit] = State.inside
        usedByteCount -= blockByteCountMin << order
        while let buddy = freeBuddy(of: unit, order: order) {
            remove(buddy, order: order)
            unit = min(unit, buddy)
            order += 1
        }
        insert(unit, order: order)
    }

    /// How many bytes a block for `byteCount` bytes takes: the next power of two.
    package func blockByteCount(for byteCount: Int) -> Int {
        blockByteCountMin << order(of: byteCount)
    }
}

// MARK: - Blocks

extension BuddyAllocator {
    /// The smallest order whose blocks hold `byteCount` bytes.
    private func order(of byteCount: Int) -> Int {
        precondition(byteCount > 0 && byteCount <= blockByteCountMax)
        let units = (byteCount - 1) / blockByteCountMin + 1
        return Int.bitWidth - (units - 1).leadingZeroBitCount
    }

    /// The other half of the block that this one was cut from, when all of it is free.
    private func freeBuddy(of unit: Int, order: Int) -> Int? {
        guard order < orderMax else { return nil }
        let buddy = unit ^ (1 << order)
        // A buddy past the end of the arena does not exist. One that starts within it and reaches
        // over the end was never made, so its state is another.
        guard buddy < unitCount else { return nil }
        return states[buddy] == State.free(order: order) ? buddy : nil
    }

    /// Cuts the whole arena into the largest blocks that lie at multiples of themselves.
    private mutating func freeAll() {
        var unit = 0
        while unit < unitCount {
            let fitting = (unitCount - unit).leadingZeroBitCount ^ (Int.bitWidth - 1)
            let order = min(fitting, unit == 0 ? orderMax : unit.trailingZeroBitCount, orderMax)
            insert(unit, order: order)
            unit += 1 << order
        }
    }
}

// MARK: - Free lists

extension BuddyAllocator {
    /// Puts a block at the head of its list: what was used last is the likeliest to be in a cache.
    private mutating func insert(_ unit: Int, order: Int) {
        assert(states[unit] == State.inside)
        let second = firstFree[order]
        states[unit] = State.free(order: order)
        previousFree[unit] = BuddyAllocator.none
        nextFree[unit] = second
        if second != BuddyAllocator.none { previousFree[Int(second)] = Int32(unit) }
        firstFree[order] = Int32(unit)
        freeOrders |= 1 << UInt32(order)
    }

    private mutating func remove(_ unit: Int, order: Int) {
        assert(states[unit] == State.free(order: order))
        let next = nextFree[unit]
        let previous = previousFree[unit]
        if next != BuddyAllocator.none { previousFree[Int(next)] = previous }
        if previous != BuddyAllocator.none {
            nextFree[Int(previous)] = next
        } else {
            firstFree[order] = next
            if next == BuddyAllocator.none { freeOrders &= ~(1 << UInt32(order)) }
        }
        states[unit] = State.inside
    }
}

// MARK: - Checking

extension BuddyAllocator {
    /// Walks the whole arena and all free lists and traps where the invariant does not hold. Slow:
    /// for tests, and for one look at shutdown in debug builds.
    package func checkInvariants() {
        var usedUnitCount = 0
        var freeBlockCount = 0
        var unit = 0
        while unit < unitCount {
            precondition(states[unit] != State.inside)
            let order = Int(states[unit] & 0x3f)
            precondition(unit.isMultiple(of: 1 << order))
            if states[unit] == State.free(order: order) {
                precondition(freeBuddy(of: unit, order: order) == nil)
                freeBlockCount += 1
            } else {
                usedUnitCount += 1 << order
            }
            for inner in unit + 1..<unit + (1 << order) {
                precondition(states[inner] == State.inside)
            }
            unit += 1 << order
        }
        precondition(unit == unitCount)
        precondition(usedUnitCount * blockByteCountMin == usedByteCount)
        precondition(countFreeBlocks() == freeBlockCount)
    }

    private func countFreeBlocks() -> Int {
        var count = 0
        for order in 0...orderMax {
            var previous = BuddyAllocator.none
            var unit = firstFree[order]
            precondition((unit != BuddyAllocator.none) == (freeOrders >> UInt32(order) & 1 == 1))
            while unit != BuddyAllocator.none {
                precondition(states[Int(unit)] == State.free(order: order))
                precondition(previousFree[Int(unit)] == previous)
                previous = unit
                unit = nextFree[Int(unit)]
                count += 1
            }
        }
        return count
    }
}
