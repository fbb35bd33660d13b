import Testing

@testable import TFTPCore

/// Windowed clients, fast and slow, over paths that lose DATA and ACKs: what a loss costs.
@Suite struct WindowedClientTests {
    static let kinds: [WindowedClient.Kind] = [.edk2, .uBoot, .rfc7440]
    static let windowsizes: [UInt16] = [4, 8, 16, 64]
    static let intervals = [10, 37, 100, 1000]
    /// Files of 1 and 8 MiB in blocks of 1,428 bytes.
    static let blockCounts: [UInt64] = [735, 5875]
    static let works: [UInt64] = [0, 200_000, 2_000_000]

    /// At most 1.15 times what an ideal sender needs, and each transfer ends.
    @Test(arguments: kinds, windowsizes)
    func aLossCostsTheRestOfItsWindowOnce(kind: WindowedClient.Kind, windowsize: UInt16) {
        for interval in Self.intervals {
            for work in Self.works {
                for losesAcks in [false, true] {
                    check(kind, windowsize, interval, work, losesAcks)
                }
            }
        }
    }

    /// What is under way to a busy client brings one ACK each, and none of them another repeat.
    @Test(arguments: [
        (64, 1000, true, 29), (64, 100, true, 29), (64, 10, true, 2), (64, 10, true, 30),
        (16, 37, false, 17), (8, 10, false, 6), (8, 10, false, 12), (8, 10, false, 13),
        (8, 10, false, 18),
    ])
    func aBusyClientIsNotFlooded(windowsize: UInt16, interval: Int, losesAcks: Bool, seed: UInt64) {
        var path = WindowedWorld.Path()
        path.work = 2_000_000
        path.dataLossInterval = losesAcks ? 0 : interval
        path.ackLossInterval = losesAcks ? interval : 0
        let report = WindowedWorld.run(
            .edk2, blockCount: 735, windowsize: windowsize, path: path, seed: seed)
        #expect(report.isDone)
        #expect(report.ratio <= 1.3, "\(report)")
    }

    /// The first block of a window is missing: the ACK that reports it repeats the one before, and
    /// is not one of those that a repeat brought.
    @Test func aGapBehindARepeatIsFilledAtOnce() {
        var path = WindowedWorld.Path()
        path.work = 200_000
        path.dataLossInterval = 37
        let milliseconds = (1...10).map { seed in
            WindowedWorld.run(
                .rfc7440, blockCount: 735, windowsize: 16, path: path, seed: UInt64(seed)
            ).milliseconds
        }
        #expect(milliseconds.reduce(0, +) <= 3600, "\(milliseconds)")
    }

    /// A receiver that acknowledges every block of a window reports no gaps.
    @Test(arguments: windowsizes, [0, 100])
    func everyBlockAcknowledgedIsNoGap(windowsize: UInt16, interval: Int) {
        var path = WindowedWorld.Path()
        path.dataLossInterval = interval
        path.work = 200_000
        let report = WindowedWorld.run(
            .everyBlock, blockCount: 735, windowsize: windowsize, path: path)
        #expect(report.isDone)
        #expect(report.blocksSent <= report.blocksIdeal * 115 / 100 + 4 * Int(windowsize))
    }

    /// Nor does it where every twentieth ACK of it is lost.
    @Test(arguments: [4, 8, 13, 64], [0, 200_000])
    func everyBlockAcknowledgedWithLostACKs(windowsize: UInt16, work: UInt64) {
        var path = WindowedWorld.Path()
        path.ackLossInterval = 20
        path.work = work
        let report = WindowedWorld.run(
            .everyBlock, blockCount: 735, windowsize: windowsize, path: path)
        #expect(report.isDone)
        #expect(report.blocksSent <= 735 * 115 / 100, "\(report)")
    }

    private func check(
        _ kind: WindowedClient.Kind, _ windowsize: UInt16, _ interval: Int, _ work: UInt64,
        _ losesAcks: Bool
    ) {
        for blockCount in Self.blockCounts
        where blockCount < 1000 || work == 200_000 && interval != 100 {
            var path = WindowedWorld.Path()
            path.work = work
            path.dataLossInterval = losesAcks ? 0 : interval
            path.ackLossInterval = losesAcks ? interval : 0
            let report = WindowedWorld.run(
                kind, blockCount: blockCount, windowsize: windowsize, path: path)
            let what: Comment =
                "\(kind) \(blockCount) blocks by \(windowsize), 1 in \(interval) \(losesAcks ? "ACKs" : "DATA") lost, \(work / 1000) µs: \(report)"
            #expect(report.isDone, what)
            #expect(report.ratio <= 1.15, what)
        }
    }
}
