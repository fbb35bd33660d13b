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
        tally.add(DurationHistogram.boundCount + 1, nanoseconds)
    }

    /// The number of the bucket that takes `nanoseconds`; `bounds.count` is the one without an
    /// upper bound.
    package static func bucket(of nanoseconds: UInt64) -> Int {
        // By decade from below, because most are short. Not by `bounds`: that is an array, which a
        // shard would have to retain.
        var first = 0
        var bound: UInt64 = 10_000
        while nanoseconds > 5 * bound {
            first += 3
            guard first < boundCount else { return boundCount }
            bound *= 10
        }
        if nanoseconds <= bound { return first }
        return nanoseconds <= bound / 10 * 25 ? first + 1 : first + 2
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
