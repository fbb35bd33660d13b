import Testing

@testable import TFTPLoad

/// What is tried, how often and for how long.
@Suite struct TunePlanTests {
    private func plan(
        _ grid: TuneGrid = TuneGrid(blksizes: [512, 1468, 4096], windowsizes: [1, 8, 64]),
        clients: [Int] = [1, 16], seconds: Double = 60, roundTripSeconds: Double = 0
    ) -> TunePlan {
        TunePlan(
            grid: grid, path: .ethernet, clientCounts: clients, seconds: seconds,
            roundTripSeconds: roundTripSeconds)
    }

    private func scores(
        _ plan: TunePlan, _ tell: (TuneSetting) -> (goodput: Double, repeatCount: UInt64)
    ) -> [TuneCell: TuneScore] {
        var scores: [TuneCell: TuneScore] = [:]
        for cell in plan.cells {
            let (goodput, repeatCount) = tell(cell.setting)
            scores[cell] = TuneScore([
                TuneTrial(
                    cell, seconds: 1, byteCount: UInt64(goodput), packetCount: 1000,
                    repeatCount: repeatCount)
            ])
        }
        return scores
    }

    @Test func aPathHasAFittingBlksize() {
        #expect(TunePath.ethernet.blksizeFitting == 1468)
        #expect(TunePath(mtu: 1500, isIPv4: false).blksizeFitting == 1448)
        #expect(TunePath(mtu: 9000, isIPv4: true).blksizeFitting == 8968)
        #expect(TunePath(mtu: 65_535, isIPv4: true).blksizeFitting == 65_464)
        #expect(TunePath(mtu: 20, isIPv4: true).blksizeFitting == 8)
    }

    /// The relay counts the frames of a datagram by itself, and both must mean the same Ethernet.
    @Test func fragmentsAreThoseOfTheRelay() {
        for blksize in [8, 512, 1468, 1469, 2948, 2949, 4096, 8192, 65_464] {
            #expect(
                TunePath.ethernet.packetCount(blksize: blksize)
                    == ImpairedLink.frameCount(blksize + 4), "\(blksize)")
        }
    }

    @Test func theGridSuitsThePath() {
        #expect(TuneGrid.blksizes(for: .ethernet).sorted().contains(1468))
        #expect(TuneGrid.blksizes(for: TunePath(mtu: 9000, isIPv4: true)).contains(8968))
        #expect(!TuneGrid.blksizes(for: TunePath(mtu: 1400, isIPv4: true)).contains(1468))
    }

    @Test func theGridEndsWhereTheServerDoes() {
        let grid = TuneGrid(blksizes: [512, 1468, 8192], windowsizes: [1, 8, 64])
        let limited = grid.limited(blksize: 1432, windowsize: 26)
        #expect(limited.blksizes == [512, 1432])
        #expect(limited.windowsizes == [1, 8, 26])
        #expect(grid.limited(blksize: 512, windowsize: 1).settings == [.basic])
    }

    @Test func theDefaultIsAlwaysTried() {
        let grid = TuneGrid(blksizes: [1468, 1468], windowsizes: [8])
        #expect(grid.settings == [.basic, TuneSetting(blksize: 1468, windowsize: 8)])
    }

    @Test func everythingIsTriedOnceInAnOrderOfItsOwn() {
        let plan = plan()
        let first = plan.round(0, scores: [:])
        #expect(Set(first) == Set(plan.cells) && first.count == plan.cells.count)
        #expect(first != plan.cells)
        #expect(plan.round(0, scores: [:]) == first)
        let scores = scores(plan) { _ in (1e6, 0) }
        #expect(plan.round(1, scores: scores).count == plan.cells.count)
        #expect(plan.round(1, scores: scores) != first)
    }

    @Test func whatIsHopelessIsTriedOnce() {
        let plan = plan(clients: [1])
        let scores = scores(plan) { setting in
            setting.windowsize == 64 ? (1e5, 500) : (1e6, setting.blksize == 4096 ? 500 : 0)
        }
        let second = plan.round(1, scores: scores).map(\.setting)
        #expect(second.allSatisfy { $0.windowsize < 64 && $0.blksize < 4096 })
        #expect(second.count == 4)
    }

    @Test func laterRoundsTryWhatMayWinAndTheDefault() {
        let plan = plan(clients: [1])
        let scores = scores(plan) { (Double($0.blksize * $0.windowsize), 0) }
        let third = Set(plan.round(2, scores: scores).map(\.setting))
        #expect(third == [.basic, TuneSetting(blksize: 4096, windowsize: 64)])
    }

    @Test func trialsFitTheTime() {
        let plan = plan(seconds: 60)
        let seconds = plan.trialSeconds(nil)
        #expect((0.2...1).contains(seconds))
        #expect(2 * seconds * Double(plan.cells.count) < 60)
        #expect(self.plan(seconds: 1).trialSeconds(nil) == 0.05)
        #expect(self.plan(seconds: 3600).trialSeconds(nil) == 1)
    }

    @Test func aLongWayMakesLongTrials() {
        let seconds = plan(seconds: 60, roundTripSeconds: 0.05).trialSeconds(nil)
        #expect(abs(seconds - 1) < 0.01)
        // But one round must fit.
        let far = plan(seconds: 20, roundTripSeconds: 0.5)
        #expect(far.trialSeconds(nil) * Double(far.cells.count) < 20)
    }

    @Test func whoLosesPacketsTakesLonger() {
        let plan = plan()
        let lossy = scores(plan) { _ in (1e6, 100) }[plan.cells[0]]
        #expect(plan.trialSeconds(lossy) >= 4 * plan.trialSeconds(nil))
    }
}
