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
