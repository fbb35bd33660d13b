/// Slots that have something to send and wait for their visit, first come first served.
///
/// A transfer that ends while it is queued leaves its entry behind, which is told by its generation
/// and skipped.
package struct RunQueue: ~Copyable {
    /// Generation and slot, in a circle.
    private let entries: Column<UInt64>
    private var first = 0
    /// Of those left behind, too.
    package private(set) var count = 0

    /// - Parameter capacity: how many slots there are. There is room for twice as many entries, so
    ///   that taking out what was left behind makes room for at least as many as were looked at.
    package init(capacity: Int) {
        entries = Column(
            uninitializedCount: 1 << (Int.bitWidth - (2 * capacity - 1).leadingZeroBitCount))
    }

    /// Puts `slot` at the end.
    package mutating func append(_ slot: Int, from table: borrowing TransferTable) {
        if count == 0 { first = 0 }
        if count == entries.count { compact(table) }
        entries[place(count)] = UInt64(table.generation(of: slot)) << 32 | UInt64(slot)
        count += 1
    }

    /// Takes the first slot whose transfer is still the one that was queued; nil when there is
    /// none.
    package mutating func popFirst(from table: borrowing TransferTable) -> Int? {
        while count > 0 {
            let entry = entries[first]
            first = place(1)
            count -= 1
            if let slot = RunQueue.slot(entry, in: table) { return slot }
        }
        return nil
    }

    private func place(_ number: Int) -> Int { (first + number) & (entries.count - 1) }

    private static func slot(_ entry: UInt64, in table: borrowing TransferTable) -> Int? {
        let slot = Int(entry & 0xFFFF_FFFF)
        return table.isCurrent(slot, generation: UInt32(entry >> 32)) ? slot : nil
    }

    private mutating func compact(_ table: borrowing TransferTable) {
        var kept = 0
        for number in 0..<count {
            let entry = entries[place(number)]
            guard RunQueue.slot(entry, in: table) != nil else { continue }
            entries[place(kept)] = entry
            kept += 1
        }
        count = kept
    }
}
