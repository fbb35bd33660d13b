import Testing

@testable import bootstorm

/// When a second run is worse than the first.
struct BenchComparisonTests {
    private static func latency(_ seconds: Double?) -> BenchSummary.Latency {
        let value = seconds ?? 0
        return BenchSummary.Latency(
            mean: value, p50: value, p90: value, p99: value, p999: value, max: value,
            histogram: seconds.map { [.init(upTo: $0, count: 1)] } ?? [])
    }

    private static func summary(
        _ change: (inout BenchSummary) -> Void = { _ in }
    ) -> BenchSummary {
        var summary = BenchSummary(
            parameters: .init(
                server: "h", files: ["f"], clients: 1, kinds: [], ramp: 0, shards: 1, gro: false,
                seed: 1),
            interrupted: false, seconds: 1, transfers: 10, failed: 0, offered: 10, begun: 10,
            dropped: 0, unfinished: 0, waiting: 0, silence: .init(longest: 0.01, atEnd: 0),
            bytes: 1_000_000, megabytesPerSecond: 1, transfersPerSecond: 10, packetsIn: 10,
            packetsOut: 10, packetsPerSecond: 20, turnaround: latency(0.001),
            transferTime: latency(0.1), retransmissions: 0, duplicates: 0, gaps: 0, strays: 0,
            malformed: 0, unsent: 0, failures: [:], errorsByCode: [:], ownCPUSeconds: 1,
            ownCPUMicrosecondsPerPacket: 1, timeline: [])
        change(&summary)
        return summary
    }

    private static func isWorse(
        _ before: BenchSummary, _ after: BenchSummary
    ) -> Bool { BenchComparison(before, after, tolerance: 0.1).isWorse }

    @Test func theSame() { #expect(!Self.isWorse(Self.summary(), Self.summary())) }

    /// A figure that one of them has not says nothing.
    @Test func whatOnlyOneHas() {
        let server = BenchSummary.Server(
            pid: 1, cpuSeconds: 1, cpuSecondsPerGB: 1000, cpuMicrosecondsPerTransfer: 1,
            peakMemoryBytes: 1)
        let after = Self.summary { $0.server = server }
        let comparison = BenchComparison(Self.summary(), after, tolerance: 0.1)
        #expect(!comparison.isWorse && !comparison.text.contains("server CPU"))
        let none = Self.summary { $0.turnaround = Self.latency(nil) }
        #expect(!BenchComparison(none, Self.summary(), tolerance: 0.1).text.contains("turn-around"))
    }

    @Test func whatGoesWrong() {
        for change: (inout BenchSummary) -> Void in [
            { $0.problems = ["p99 > 20 ms"] }, { $0.unfinished = 3 },
            { $0.silence = .init(longest: 5, atEnd: 5) },
        ] {
            let bad = Self.summary(change)
            #expect(Self.isWorse(Self.summary(), bad))
            #expect(!Self.isWorse(bad, bad))
            #expect(!Self.isWorse(bad, Self.summary()))
        }
    }
}
