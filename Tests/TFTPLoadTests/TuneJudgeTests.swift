import Testing

@testable import TFTPLoad

/// The judgement of trials that were made up.
@Suite struct TuneJudgeTests {
    private let grid = TuneGrid(blksizes: [512, 1468, 4096], windowsizes: [1, 4, 16, 64])

    /// A trial of one second.
    private func trial(
        _ blksize: Int, _ windowsize: Int, clients: Int = 1, _ goodput: Double,
        repeats: Double = 0, failures: Int = 0
    ) -> TuneTrial {
        let packets = goodput / Double(blksize)
        return TuneTrial(
            TuneCell(
                TuneSetting(blksize: blksize, windowsize: windowsize), clientCount: clients),
            seconds: 1, byteCount: UInt64(goodput), packetCount: UInt64(packets),
            repeatCount: UInt64(packets * repeats), failureCount: failures)
    }

    /// What `goodput` says of each setting, three times, a per cent apart.
    private func judge(
        clients: Int = 1, path: TunePath = .ethernet,
        _ tell: (TuneSetting) -> (goodput: Double, repeats: Double)
    ) -> TuneJudge {
        let scores = grid.settings.compactMap { setting in
            let (goodput, repeats) = tell(setting)
            return TuneScore(
                [0.99, 1, 1.01].map {
                    trial(
                        setting.blksize, setting.windowsize, clients: clients, goodput * $0,
                        repeats: repeats)
                })
        }
        return TuneJudge(scores, clientCount: clients, path: path)
    }

    @Test func aScoreIsTheMedianOfItsTrials() throws {
        let trials = [100_000.0, 900_000, 300_000, 200_000, 400_000].map { trial(1000, 1, $0) }
        let score = try #require(TuneScore(trials))
        #expect(score.goodput == 300_000)
        #expect(score.goodputLow == 200_000 && score.goodputHigh == 400_000)
        #expect(score.trialCount == 5)
        #expect(abs(score.spread - 1.0 / 3) < 1e-9)
        #expect(TuneScore([]) == nil)
    }

    @Test func whereStallsArePartOfItAScoreIsTheMean() throws {
        let trials = [0.0, 0, 900_000].map { trial(1000, 1, $0, repeats: 0.1) }
        let score = try #require(TuneScore(trials))
        #expect(score.goodput == 300_000)
        #expect(abs(score.repeatShare - 90.0 / 990) < 1e-9)
        #expect(score.losesPackets)
    }

    @Test func shortTrialsDoNotCountBesideLongOnes() throws {
        var short = trial(1000, 1, 900_000, repeats: 0.1)
        short.seconds = 0.1
        let score = try #require(TuneScore([short, trial(1000, 1, 300_000, repeats: 0.1)]))
        #expect(score.trialCount == 1)
        #expect(score.goodput == 300_000)
    }

    @Test func theSmallestWindowThatIsAsGoodAsAnyIsBest() {
        let judge = judge { setting in
            (
                Double(setting.blksize) * [1: 100.0, 4: 600, 16: 980, 64: 1000][
                    setting.windowsize]!, 0
            )
        }
        #expect(judge.best?.setting == TuneSetting(blksize: 1468, windowsize: 16))
        #expect(judge.basic?.setting == .basic)
        #expect(judge.harmfulWindows.isEmpty)
        #expect(!judge.isUncertain)
    }

    @Test func theLargestBlockComesWithTheWindow() {
        let judge = judge { _ in (1_000_000, 0) }
        #expect(judge.best?.setting == TuneSetting(blksize: 1468, windowsize: 1))
    }

    @Test func whatFragmentsIsNeverBest() {
        let judge = judge { ($0.blksize == 4096 ? 9_000_000 : 1_000_000, 0) }
        #expect(judge.best?.setting.blksize == 1468)
        #expect(judge.bestFragmenting?.setting.blksize == 4096)
        let jumbo = self.judge(path: TunePath(mtu: 9000, isIPv4: true)) {
            ($0.blksize == 4096 ? 9_000_000 : 1_000_000, 0)
        }
        #expect(jumbo.best?.setting.blksize == 4096)
        #expect(jumbo.bestFragmenting == nil)
    }

    @Test func whatSendsMuchAgainIsNotBestAndDoesHarm() throws {
        let judge = judge { setting in
            switch setting.windowsize {
            case 16: (1_000_000, 0)
            case 64: (1_050_000, 0.5)
            default: (500_000, 0)
            }
        }
        #expect(judge.best?.setting == TuneSetting(blksize: 1468, windowsize: 16))
        #expect(judge.harmfulWindows.map(\.setting.windowsize) == [64])
    }

    @Test func harmIsASlowdownBeyondTheSpread() throws {
        let slower = judge { ($0.windowsize == 64 ? 500_000 : 1_000_000, 0) }
        #expect(slower.harmfulWindows.map(\.setting.windowsize) == [64])
        let same = judge { ($0.windowsize == 64 ? 950_000 : 1_000_000, 0) }
        #expect(same.harmfulWindows.isEmpty)
    }

    /// The price of a recommendation is what it falls short of the best, and what it sends in vain.
    @Test func aPriceIsNamed() throws {
        let setting = TuneSetting(blksize: 1468, windowsize: 4)
        let slower = judge { ($0.windowsize == 4 ? 700_000 : 1_000_000, 0) }
        let price = try #require(slower.price(of: setting))
        #expect(abs(price.goodputChange + 0.3) < 0.01)
        #expect(price.repeatShare == 0 && price.failureCount == 0)
        let wasteful = judge {
            ($0.windowsize == 4 ? 1_200_000 : 1_000_000, $0.windowsize == 4 ? 0.4 : 0)
        }
        let waste = try #require(wasteful.price(of: setting))
        #expect(waste.goodputChange > 0 && waste.repeatShare > 0.2)
        let equal = judge { _ in (1_000_000, 0) }
        #expect(equal.price(of: setting) == nil)
        #expect(equal.price(of: TuneSetting(blksize: 9, windowsize: 1)) == nil)
    }

    /// A slow setting between good ones is chance, not the beginning of harm.
    @Test func fromTheFirstHarmfulWindowOnAllAre() {
        let judge = judge { ($0.windowsize == 16 ? 500_000 : 1_000_000, 0) }
        #expect(judge.harmfulWindows.isEmpty)
    }

    /// Where lockstep itself loses packets, a window may repeat more: it is not the window's fault.
    @Test func lossAllowsRepeats() {
        let judge = judge { setting in
            (Double(setting.windowsize) * 1e7, 0.01 * Double(setting.windowsize) / 4)
        }
        #expect(judge.isLossy)
        #expect(judge.best?.setting.windowsize == 16)
        #expect(!self.judge { _ in (1_000_000, 0) }.isLossy)
    }

    @Test func noiseMakesEquals() throws {
        let noisy = [0.7, 1.0, 1.3]
        let scores = grid.settings.compactMap { setting in
            let goodput = setting.windowsize == 64 ? 1_000_000.0 : 880_000
            return TuneScore(
                noisy.map { trial(setting.blksize, setting.windowsize, goodput * $0) })
        }
        let judge = TuneJudge(scores, clientCount: 1, path: .ethernet)
        #expect(judge.best?.setting == TuneSetting(blksize: 1468, windowsize: 1))
        #expect(judge.isUncertain)
    }

    @Test func failuresAreNotRecommended() throws {
        let scores = [1, 4].compactMap { windowsize in
            TuneScore(
                Array(
                    repeating: trial(
                        1468, windowsize, Double(windowsize) * 1e6, failures: windowsize / 4),
                    count: 3))
        }
        let judge = TuneJudge(scores, clientCount: 1, path: .ethernet)
        #expect(judge.best?.setting.windowsize == 1)
        #expect(judge.harmfulWindows.map(\.setting.windowsize) == [4])
    }

    @Test func withoutTrialsThereIsNoBest() {
        let judge = TuneJudge([], clientCount: 1, path: .ethernet)
        #expect(judge.best == nil)
        #expect(TuneCompromise([judge]) == nil)
    }

    @Test func theCompromiseSuitsEachLoadAsWellAsItCan() throws {
        let one = judge { setting in
            ([1: 1e5, 4: 4e5, 16: 7e5, 64: 1e6][setting.windowsize]!, 0)
        }
        let many = judge(clients: 16) { setting in
            ([1: 9e5, 4: 1e6, 16: 9.5e5, 64: 2e5][setting.windowsize]!, 0)
        }
        #expect(one.best?.setting.windowsize == 64)
        #expect(many.best?.setting.windowsize == 4)
        let compromise = try #require(TuneCompromise([one, many]))
        #expect(compromise.setting == TuneSetting(blksize: 1468, windowsize: 16))
        #expect(abs(compromise.shareMin - 0.7) < 0.01)
    }

    @Test func oneLoadNeedsNoCompromise() throws {
        let judge = judge { ([1: 9.1e5, 4: 9.6e5, 16: 1e6, 64: 1e6][$0.windowsize]!, 0) }
        #expect(judge.best?.setting.windowsize == 4)
        let compromise = try #require(TuneCompromise([judge]))
        #expect(compromise.setting == judge.best?.setting)
        #expect(compromise.shareMin == 1)
    }

    /// Even where it would make for the best share.
    @Test func theCompromiseHarmsNoLoad() throws {
        let one = judge { setting in
            ([1: 1e4, 4: 1e5, 16: 9e5, 64: 1e6][setting.windowsize]!, 0)
        }
        let many = judge(clients: 16) { setting in
            ([1: 9e5, 4: 1e6, 16: 8e5, 64: 2e5][setting.windowsize]!, 0)
        }
        #expect(many.harmfulWindows.map(\.setting.windowsize) == [16, 64])
        #expect(TuneCompromise([one, many])?.setting.windowsize == 4)
    }
}
