/// The alarms that a ring has, at most eight, the earliest on top.
///
/// Only an earlier one is ever pushed, so the order needs no sorting, and no two are set for what
/// one would do: without that, each short deadline would leave a long one behind, which wakes the
/// thread for nothing.
package struct AlarmStack {
    private var deadlines = InlineArray<8, UInt64>(repeating: 0)
    private var count = 0

    package init() {}

    /// Whether one has to be set to wake up at `deadline`.
    package func isLate(for deadline: UInt64) -> Bool {
        count == 0 || deadline < deadlines[count - 1]
    }

    package var isFull: Bool { count == deadlines.count }

    /// Remembers one that is earlier than all; the stack is not full.
    package mutating func push(_ deadline: UInt64) {
        assert(isLate(for: deadline))
        deadlines[count] = deadline
        count += 1
    }

    /// Forgets the one that went off.
    package mutating func remove(_ deadline: UInt64) {
        var kept = 0
        for index in 0..<count where deadlines[index] != deadline {
            deadlines[kept] = deadlines[index]
            kept += 1
        }
        count = kept
    }
}
