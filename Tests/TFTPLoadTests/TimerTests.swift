import TFTPLoad
import TFTPWire
import Testing

/// When requests and ACKs are repeated, and when the client times out.
@Suite struct TimerTests {
    /// Milliseconds after the first request: of its repetitions, and of the end.
    static let requestTimes: [(ClientKind, repeats: [UInt64], end: UInt64)] = [
        (.ipxe, [250, 750, 1750, 3750, 7750], 15_750),
        (.grub, (1...39).map { 400 * $0 + 10 * $0 * ($0 - 1) }, 31_600),
        (.uboot, (1...10).map { 5000 * $0 }, 55_000),
        (.ubootLwIP, (1...5).map { 1000 * $0 }, 6000),
        (.edk2, (1...5).map { 4000 * $0 }, 24_000),
        (.curl, (1...49).map { 6000 * $0 }, 300_000),
        (
            .busybox, [100, 250, 475, 812, 1317, 2074, 3209, 4911, 6911, 8911, 10_911], 12_911
        ),
        (.barebox, (1...14).map { 1000 * $0 }, 15_000),
        (.rpi, [1000, 2000, 3000, 4000], 5000), (.windows, [1000, 3000, 7000, 15_000], 23_000),
        (.hpa, [5000, 10_000, 15_000, 20_000], 25_000),
        (.plain, [1000, 3000, 7000, 15_000, 23_000], 31_000),
    ]

    @Test(arguments: requestTimes)
    func requestsAreRepeatedAsInTheTable(kind: ClientKind, repeats: [UInt64], end: UInt64) {
        var bench = Bench(kind)
        let (times, result, resultAt) = collect(&bench, until: "request")
        expectClose(times, repeats)
        expectClose([resultAt], [end])
        #expect(result == "failed timedOut(TFTPLoad.MachineTable.Phase.requesting)")
        #expect(bench.table.counters.retransmittedRequests == UInt64(repeats.count))
        let schedule = ClientProfile(kind).requestRetry
        if schedule.growth != .adaptive { #expect(schedule.patienceMilliseconds == end) }
        #expect(bench.timeOut() == nil)
    }

    /// BIOS ticks of 54.9 ms: 2, 2, 3, 3, 4, 5 and so on, 31 of them.
    @Test func pxelinuxCountsInTicks() {
        var bench = Bench(.pxelinux)
        let (times, _, _) = collect(&bench, until: "request")
        expectClose(Array(times.prefix(6)), [109, 218, 382, 546, 765, 1039])
        #expect(times.count == 30)
    }

    /// Milliseconds after the ACK of block 1. An empty list stands for a client that only waits.
    static let ackTimes: [(ClientKind, repeats: [UInt64], end: UInt64)] = [
        (.ipxe, [250, 750, 1750, 3750, 7750], 15_750), (.grub, [], 31_600),
        (.uboot, (1...10).map { 5000 * $0 }, 55_000), (.ubootLwIP, [], 10_000),
        (.edk2, (1...5).map { 4000 * $0 }, 24_000),
        (.curl, (1...49).map { 6000 * $0 }, 300_000),
        (
            .busybox, [100, 250, 475, 812, 1317, 2074, 3209, 4911, 6911, 8911, 10_911], 12_911
        ),
        (.barebox, (1...14).map { 1000 * $0 }, 15_000),
        (.rpi, [1000, 2000, 3000, 4000], 5000), (.windows, [1000, 3000, 7000, 15_000], 23_000),
        (.hpa, [5000, 10_000, 15_000, 20_000], 25_000),
        (.plain, [1000, 3000, 7000, 15_000, 23_000], 31_000),
    ]

    @Test(arguments: ackTimes)
    func acksAreRepeatedAsInTheTable(kind: ClientKind, repeats: [UInt64], end: UInt64) {
        var bench = Bench(kind)
        bench.beginLoad()
        if kind == .plain || kind == .hpa { #expect(bench.lastEffect.ack?.rawValue == 1) }
        let (times, result, resultAt) = collect(&bench, until: "ack")
        expectClose(times, repeats)
        expectClose([resultAt], [end])
        #expect(result == "failed timedOut(TFTPLoad.MachineTable.Phase.receiving)")
    }

    @Test func plainKeepsTheTimeoutItAskedFor() {
        var bench = Bench(.plain(timeout: 2))
        let (times, _, resultAt) = collect(&bench, until: "request")
        expectClose(times, [2000, 4000, 6000, 8000, 10_000])
        expectClose([resultAt], [12_000])
    }

    /// Ten time-outs between two rollovers are all that U-Boot has, however much comes between.
    @Test func ubootCountsTimeoutsOverAll() {
        var bench = Bench(.uboot)
        bench.beginLoad()
        var block: UInt16 = 0
        for _ in 0..<10 {
            #expect(bench.timeOut()?.words == "ack \(block)")
            block += 1
            #expect(bench.data(block) == "accept \(block) ack \(block)")
        }
        #expect(bench.timeOut()?.words.hasPrefix("failed timedOut") == true)
    }

    /// The tenth of a second and its like are for lost packets: an answer sets them back.
    @Test func progressForgivesTimeouts() {
        var bench = Bench(.busybox)
        bench.beginLoad()
        for number in 1...30 as ClosedRange<UInt16> {
            expectClose([bench.timeOut()?.milliseconds ?? 0], [100])
            expectClose([bench.timeOut()?.milliseconds ?? 0], [150])
            #expect(bench.data(number) == "accept \(number) ack \(number)")
        }
    }

    /// iPXE waits four round trips, at least a quarter of a second.
    @Test func ipxeFollowsTheRoundTrip() {
        var bench = Bench(.ipxe)
        bench.beginLoad()
        for number in 1...100 as ClosedRange<UInt16> {
            bench.pass(milliseconds: 200)
            while let expired = bench.table.popExpired(now: bench.now) {
                _ = bench.table.stepTimeout(expired, now: bench.now)
            }
            #expect(bench.data(number) == "accept \(number) ack \(number)")
        }
        let period = bench.timeOut()?.milliseconds ?? 0
        #expect(period > 700)
        #expect(period < 820)
    }

    /// EDK II's timer runs from its latest ACK, not from the latest block.
    @Test func edk2RepeatsItsLatestAckInMidWindow() {
        var bench = Bench(.edk2)
        bench.beginLoad()
        bench.pass(milliseconds: 3000)
        #expect(bench.data(1) == "accept 1")
        #expect(bench.data(2) == "accept 2")
        let timeOut = bench.timeOut()
        expectClose([timeOut?.milliseconds ?? 0], [1000])
        #expect(timeOut?.words == "ack 0")
        // The server begins again at 1: both are acknowledged with 2, and the count starts there.
        #expect(bench.data(1) == "ack 2")
        #expect(bench.data(3) == "accept 3")
        #expect(bench.data(4) == "accept 4")
        #expect(bench.data(5) == "accept 5")
        #expect(bench.data(6) == "accept 6 ack 6")
    }

    /// U-Boot acknowledges what it has, but the next ACK stays due where it was.
    @Test func ubootAcknowledgesInMidWindow() {
        var profile = ClientProfile(.uboot)
        profile.ask(windowsize: 8)
        var bench = Bench(profile)
        #expect(bench.oack("timeout|5|blksize|1468|windowsize|8|") == "ack 0")
        for number in 1...5 as ClosedRange<UInt16> {
            #expect(bench.data(number) == "accept \(number)")
        }
        let timeOut = bench.timeOut()
        expectClose([timeOut?.milliseconds ?? 0], [5000])
        #expect(timeOut?.words == "ack 5")
        #expect(bench.data(6) == "accept 6")
        #expect(bench.data(7) == "accept 7")
        #expect(bench.data(8) == "accept 8 ack 8")
    }

    /// GRUB accepts no DATA without an OACK, and reports that at the end.
    @Test func grubWaitsForTheOACK() {
        var bench = Bench(.grub)
        #expect(bench.data(1, 512) == "")
        let (times, result, _) = collect(&bench, until: "request")
        #expect(times.count == 39)
        #expect(result == "failed noOACK")
    }

    /// Only an answer to a packet that was sent once is measured.
    @Test func turnaroundIsMeasuredOncePerPacket() {
        var bench = Bench(.plain(blksize: 1000, windowsize: 2))
        bench.pass(milliseconds: 7)
        _ = bench.oack("blksize|1000|windowsize|2|")
        #expect(bench.turnaroundMilliseconds == 7)
        bench.pass(milliseconds: 3)
        _ = bench.data(1)
        #expect(bench.turnaroundMilliseconds == 3)
        bench.pass(milliseconds: 1)
        _ = bench.data(2)
        #expect(bench.turnaroundMilliseconds == nil)
        _ = bench.timeOut()
        bench.pass(milliseconds: 1)
        _ = bench.data(3)
        #expect(bench.turnaroundMilliseconds == nil)
    }

    /// The times of all effects that begin with `word`, and the result that ends them.
    private func collect(
        _ bench: inout Bench, until word: String
    ) -> (times: [UInt64], result: String, resultAt: UInt64) {
        var times: [UInt64] = []
        var elapsed: UInt64 = 0
        while let (milliseconds, words) = bench.timeOut() {
            elapsed += milliseconds
            if words.hasPrefix("failed") { return (times, words, elapsed) }
            if words.hasPrefix(word) { times.append(elapsed) } else { #expect(words == "") }
        }
        return (times, "", elapsed)
    }

    /// The wheel rounds each period up to its tick, by 8.4 ms at most, and the errors add up.
    private func expectClose(
        _ times: [UInt64], _ wanted: [UInt64], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(times.count == wanted.count, sourceLocation: sourceLocation)
        for (index, (time, want)) in zip(times, wanted).enumerated() {
            let slack = 9 * UInt64(index + 1) + (times.count == 1 ? 9 * 50 : 0)
            #expect(
                time + 1 >= want && time <= want + slack, "\(index): \(time), not \(want)",
                sourceLocation: sourceLocation)
        }
    }
}

extension Bench {
    var turnaroundMilliseconds: UInt64? {
        table.lastTurnaroundNanoseconds(machine).map { $0 / 1_000_000 }
    }
}
