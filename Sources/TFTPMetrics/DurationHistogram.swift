/// How long things took, in buckets: one writer, any number of readers.
///
/// Three buckets a decade from 10 µs to 1,000 s, and one for what is longer. A value that points to
/// shared memory, as `Tally`.
package struct DurationHistogram: Sendable {
    /// The buckets, then the sum in nanoseconds.
    private let tally = Tally(count: DurationHistogram.bounds.count + 2)

    package init() {}

    package func destroy() { tally.destroy() }

    /// Upper bounds of the buckets in nanoseconds, inclusive: 10, 25, 50 µs and so on.
    package static let bounds: [UInt64] = (0..<8).flatMap { decade in
        [10, 25, 50].map { $0 * 1000 * (0..<decade).reduce(1) { power, _ in power * 10 } }
    }

    /// Called by the one writer.
    package func record(nanoseconds: UInt64) {
        tally.add(DurationHistogram.bucket(of: nanoseconds))
        tally.add(DurationHistogram.bounds.count + 1, nanoseconds)
    }

    /// The number of the bucket that takes `nanoseconds`; `bounds.count` is the one without an
    /// upper bound.
    package static func bucket(of nanoseconds: UInt64) -> Int {
        var low = 0
        var high = boundCount
        while low < high {
            let middle = (low + high) / 2
            if nanoseconds <= bound(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// As `bounds`, without an array that a shard would have to retain.
    private static func bound(_ index: Int) -> UInt64 {
        var bound: UInt64 = 10_000
        for _ in 0..<(index / 3) { bound *= 10 }
        switch index % 3 {
        case 0: return bound
        case 1: return bound / 10 * 25
        default: return bound * 5
        }
    }

    private static let boundCount = 24

    /// What has been recorded so far.
    package var snapshot: DurationSnapshot {
        let bucketCount = DurationHistogram.bounds.count + 1
        return DurationSnapshot(
            counts: (0..<bucketCount).map { tally[$0] }, sumNanoseconds: tally[bucketCount])
    }
}

/// What a `DurationHistogram` held, or several together.
package struct DurationSnapshot: Equatable, Sendable {
    /// By bucket, not cumulative; the last is without an upper bound.
    package var counts: [UInt64]
    package var sumNanoseconds: UInt64

    package init(counts: [UInt64], sumNanoseconds: UInt64) {
        self.counts = counts
        self.sumNanoseconds = sumNanoseconds
    }

    package static let empty = DurationSnapshot(
        counts: Array(repeating: 0, count: DurationHistogram.bounds.count + 1), sumNanoseconds: 0)

    package static func += (sum: inout DurationSnapshot, other: DurationSnapshot) {
        for index in sum.counts.indices { sum.counts[index] += other.counts[index] }
        sum.sumNanoseconds += other.sumNanoseconds
    }
}
