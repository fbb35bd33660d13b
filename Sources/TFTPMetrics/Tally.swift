internal import Synchronization

/// Numbered counters of one shard: one writer, any number of readers.
///
/// For what is counted by label instead of by name: refusals by reason, transfers by direction,
/// outcome and kind. A value that points to memory of its own cache lines; the owner calls
/// `destroy` after the last use of any copy.
@safe
package struct Tally: @unchecked Sendable {
    private let values: UnsafeMutablePointer<Atomic<UInt64>>
    package let count: Int
    /// A cache line on either side keeps neighbours in the heap from sharing one.
    private static let marginCount = 16

    /// All zero.
    package init(count: Int) {
        self.count = count
        let allCount = count + 2 * Tally.marginCount
        unsafe values = .allocate(capacity: allCount)
        for index in 0..<allCount { unsafe (values + index).initialize(to: Atomic(0)) }
    }

    package func destroy() { unsafe values.deallocate() }

    /// Called by the one writer.
    package func add(_ index: Int, _ amount: UInt64 = 1) {
        assert(index >= 0 && index < count)
        let value = unsafe values + (Tally.marginCount + index)
        let sum = unsafe value.pointee.load(ordering: .relaxed) &+ amount
        unsafe value.pointee.store(sum, ordering: .relaxed)
    }

    package subscript(index: Int) -> UInt64 {
        assert(index >= 0 && index < count)
        return unsafe values[Tally.marginCount + index].load(ordering: .relaxed)
    }
}
