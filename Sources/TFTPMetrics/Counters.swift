internal import Synchronization

/// What a shard counts.
package enum Counter: Int, CaseIterable, Sendable {
    case datagramsReceived
    case datagramsMalformed
    case datagramsTruncated
    case datagramsStray
    case datagramsIgnored
    case datagramsForged
    case requestsRead
    case requestsWrite
    case requestsRepeated
    case requestsRefused
    case requestsBusy
    /// Requests that were refused, by what was wanting.
    case shortOfTransfers
    case shortOfUploads
    case shortOfPendings
    case shortOfStore
    /// Replies to clients that have proven nothing, more than the budget of their network has.
    case repliesWithheld
    /// Transfers of such clients that made way.
    case transfersEvicted
    /// Uploads that did not move and made way.
    case uploadsEvicted
    /// Requests against the access list or a limit of their client or network.
    case requestsLimited
    /// Times that a transfer waited for its share of the bytes a second.
    case sendsDelayed
    /// Times that a client that has proven nothing found the queue for its share of them full.
    case turnsRefused
    case transfersStarted
    case transfersDone
    case transfersFailed
    case windowsSent
    case messagesSent
    case blocksSent
    case bytesSent
    case bytesReceived
    case sendsBlocked
    case sendsFailed
    case segmentationRefused
    case receivesRearmed
    case completionsOverflowed
    case transfersParked
    case uploadBlocksDropped
    case recordsDropped
    case turns
}

/// The counters of one shard: one writer, any number of readers.
///
/// A value that points to memory of its own cache lines. The writer adds with a plain load and
/// store, since it is the only writer; readers see each counter as a whole, and each a little late.
/// The owner calls `destroy` after the last use of any copy.
@safe
package struct Counters: @unchecked Sendable {
    private let values: UnsafeMutablePointer<Atomic<UInt64>>
    /// A cache line on either side keeps neighbours in the heap from sharing one.
    private static let marginCount = 16

    package init() {
        let count = Counter.allCases.count + 2 * Counters.marginCount
        unsafe values = .allocate(capacity: count)
        for index in 0..<count {
            unsafe (values + index).initialize(to: Atomic(0))
        }
    }

    package func destroy() { unsafe values.deallocate() }

    package func add(_ counter: Counter, _ amount: UInt64 = 1) {
        let value = unsafe values + (Counters.marginCount + counter.rawValue)
        let sum = unsafe value.pointee.load(ordering: .relaxed) &+ amount
        unsafe value.pointee.store(sum, ordering: .relaxed)
    }

    package subscript(counter: Counter) -> UInt64 {
        unsafe values[Counters.marginCount + counter.rawValue].load(ordering: .relaxed)
    }
}
