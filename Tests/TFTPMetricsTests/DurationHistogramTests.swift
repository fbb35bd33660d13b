import TFTPMetrics
import Testing

struct DurationHistogramTests {
    @Test func bucketsAreOfTheirBounds() {
        let bounds = DurationHistogram.bounds
        #expect(bounds == bounds.sorted())
        #expect(bounds.first == 10_000)
        #expect(bounds.count == 24)
        for (index, bound) in bounds.enumerated() {
            #expect(DurationHistogram.bucket(of: bound) == index)
            #expect(DurationHistogram.bucket(of: bound + 1) == index + 1)
        }
        #expect(DurationHistogram.bucket(of: 0) == 0)
        #expect(DurationHistogram.bucket(of: .max) == bounds.count)
    }

    @Test func whatIsRecordedIsThere() {
        let histogram = DurationHistogram()
        defer { histogram.destroy() }
        for nanoseconds in [5, 10_000, 10_001, 3_000_000_000_000] as [UInt64] {
            histogram.record(nanoseconds: nanoseconds)
        }
        var sum = DurationSnapshot.empty
        sum += histogram.snapshot
        sum += histogram.snapshot
        #expect(sum.counts.reduce(0, +) == 8)
        #expect(sum.counts[0] == 4)
        #expect(sum.counts[1] == 2)
        #expect(sum.counts.last == 2)
        #expect(sum.sumNanoseconds == 2 * 3_000_000_020_006)
    }

    @Test func everyReasonHasWordsOfItsOwn() {
        let reasons = RefusalReason.allCases
        #expect(Set(reasons.map(\.label)).count == reasons.count)
        #expect(Set(reasons.map(\.text)).count == reasons.count)
        for reason in reasons {
            #expect(reason.label.allSatisfy { $0.isLowercase || $0 == "_" })
        }
    }
}
