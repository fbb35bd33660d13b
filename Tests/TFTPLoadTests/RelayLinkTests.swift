import Testing

@testable import TFTPLoad

/// One direction of a bad network, with a clock that is a number.
struct RelayLinkTests {
    /// What became of packets offered at a steady pace.
    private struct Run: Equatable {
        var deliveries: [ImpairedLink.Deliveries] = []
        var counters = ImpairedLink.Counters()

        var lossBursts: [Int] {
            var bursts: [Int] = []
            var length = 0
            for delivery in deliveries {
                if delivery.count == 0 {
                    length += 1
                } else if length > 0 {
                    bursts.append(length)
                    length = 0
                }
            }
            return bursts
        }

        var times: [UInt64] {
            deliveries.flatMap { [$0.first, $0.second].compactMap { $0 } }
        }
    }

    private static func run(
        _ spec: String, seed: UInt64 = 1, count: Int = 100_000, byteCount: Int = 1472,
        gap: UInt64 = 10_000
    ) throws -> Run {
        var link = ImpairedLink(try Impairment(spec).up, seed: seed)
        var run = Run()
        for index in 0..<count {
            run.deliveries.append(
                link.offer(byteCount: byteCount, now: 1_000_000 + UInt64(index) * gap))
        }
        run.counters = link.counters
        return run
    }

    private static func share(_ count: UInt64, of total: Int = 100_000) -> Double {
        Double(count) / Double(total)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func losesTheShareThatWasAskedFor(_ seed: UInt64) throws {
        let run = try Self.run("loss=5%", seed: seed)
        // Six standard deviations: sqrt(0.05 * 0.95 / 100,000) is 0.0007.
        #expect(abs(Self.share(run.counters.lost) - 0.05) < 0.0042)
        #expect(run.deliveries.count { $0.count == 0 } == Int(run.counters.lost))
        let bursts = run.lossBursts
        let mean = Double(bursts.reduce(0, +)) / Double(bursts.count)
        // Each by itself: a loss follows a loss with the same 5 %.
        #expect(abs(mean - 1 / 0.95) < 0.03)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func losesInBursts(_ seed: UInt64) throws {
        let run = try Self.run("loss=5%,burst=8", seed: seed)
        #expect(abs(Self.share(run.counters.lost) - 0.05) < 0.02)
        let bursts = run.lossBursts
        let mean = Double(bursts.reduce(0, +)) / Double(bursts.count)
        #expect(abs(mean - 8) < 1.6)
    }

    @Test func losesAllOrNothing() throws {
        #expect(try Self.run("loss=100%", count: 1000).times.isEmpty)
        #expect(try Self.run("loss=0%", count: 1000).times.count == 1000)
    }

    /// A datagram of three frames needs all of them.
    @Test func largeDatagramsAreLostMoreOften() throws {
        let run = try Self.run("loss=5%", byteCount: 4000)
        #expect(abs(Self.share(run.counters.lost) - (1 - 0.95 * 0.95 * 0.95)) < 0.007)
    }

    @Test func doubles() throws {
        let run = try Self.run("dup=3%,loss=10%")
        #expect(abs(Self.share(run.counters.duplicated) - 0.03 * 0.9) < 0.0035)
        #expect(run.times.count == 100_000 - Int(run.counters.lost) + Int(run.counters.duplicated))
    }

    @Test func holdsBack() throws {
        let run = try Self.run("reorder=2%:3ms,delay=1ms", gap: 1_000)
        #expect(abs(Self.share(run.counters.reordered) - 0.02) < 0.003)
        var late: UInt64 = 0
        for (index, delivery) in run.deliveries.enumerated() {
            let travel = try #require(delivery.first) - 1_000_000 - UInt64(index) * 1_000
            #expect(travel == 1_000_000 || travel == 4_000_000)
            if travel == 4_000_000 { late += 1 }
        }
        #expect(late == run.counters.reordered)
    }

    @Test func jitterStaysInItsBounds() throws {
        let run = try Self.run("delay=1ms,jitter=400us")
        let travels = run.times.enumerated().map { $1 - 1_000_000 - UInt64($0) * 10_000 }
        #expect(travels.allSatisfy { (1_000_000...1_400_000).contains($0) })
        let mean = Double(travels.reduce(0, +)) / Double(travels.count)
        #expect(abs(mean - 1_200_000) < 3_000)
        #expect(run.times != run.times.sorted())
    }

    @Test func keepsTheOrderWithoutJitterAndReorder() throws {
        let run = try Self.run("loss=5%,dup=5%,delay=1ms,rate=1Gbit,queue=16", gap: 11_000)
        #expect(run.times == run.times.sorted())
    }

    @Test func theSeedDecides() throws {
        let spec = "loss=2%,burst=3,dup=2%,reorder=1%,delay=1ms,jitter=1ms,rate=1Gbit,queue=8"
        let first = try Self.run(spec, seed: 7, count: 20_000)
        #expect(try Self.run(spec, seed: 7, count: 20_000) == first)
        #expect(try Self.run(spec, seed: 8, count: 20_000) != first)
    }

    /// Goal: bytes on the wire in a second are the rate, to the bit. Method: offer twice of what
    /// fits, add up what leaves.
    @Test(arguments: [("rate=100Mbit", UInt64(100_000_000)), ("rate=7777777bit", 7_777_777)])
    func theRateIsMet(_ spec: String, _ rate: UInt64) throws {
        let wireBits = UInt64(ImpairedLink.wireByteCount(1472) * 8)
        let gap = wireBits * 1_000_000_000 / rate / 2
        let run = try Self.run(spec, count: 20_000, gap: gap)
        let times = run.times
        let nanoseconds = try #require(times.last) - 1_000_000
        let sent = Double(UInt64(times.count) * wireBits)
        #expect(abs(sent / (Double(nanoseconds) / 1e9) / Double(rate) - 1) < 1e-6)
        // Half of what was offered, and what still waited at the end.
        #expect(abs(times.count - 10_000) <= Impairment.Way.queueMaxDefault)
        #expect(times.count + Int(run.counters.queueDropped) == 20_000)
    }

    @Test func theWireCountsEveryFrame() {
        // An ACK is padded to the least frame; 1472 bytes are the most in one frame; one more is
        // two.
        #expect(ImpairedLink.wireByteCount(4) == 84)
        #expect(ImpairedLink.wireByteCount(1472) == 1538)
        #expect(ImpairedLink.frameCount(1472) == 1)
        #expect(ImpairedLink.frameCount(1473) == 2)
        #expect(ImpairedLink.wireByteCount(1473) == 1538 + 84)
        #expect(ImpairedLink.frameCount(0) == 1)
    }

    @Test func theQueueDropsItsTail() throws {
        // Everything at once: 10 frames have room, and leave one after the other, 123,040 ns each.
        let run = try Self.run("rate=100Mbit,queue=10", count: 25, gap: 0)
        #expect(run.times == (1...10).map { 1_000_000 + 123_040 * $0 })
        #expect(run.counters.queueDropped == 15)
        // Five datagrams of three frames each find room for three.
        let large = try Self.run("rate=100Mbit,queue=10", count: 5, byteCount: 4000, gap: 0)
        #expect(large.times.count == 3)
        #expect(large.counters.queueDropped == 2)
    }

    @Test func anEmptyQueueTakesAgain() throws {
        var link = ImpairedLink(try Impairment("rate=100Mbit,queue=1").up, seed: 1)
        #expect(link.offer(byteCount: 1472, now: 0).first == 123_040)
        #expect(link.offer(byteCount: 1472, now: 123_039).count == 0)
        #expect(link.offer(byteCount: 1472, now: 123_040).first == 246_080)
        #expect(link.offer(byteCount: 1472, now: 1_000_000).first == 1_123_040)
    }
}
