import Glibc
import Simulation
import TFTPServing
import Testing

/// Servers and clients against each other, by seed.
///
/// `BOOTSTORM_SIM_SEEDS` says how many seeds (1,000 unless told), `BOOTSTORM_SIM_SEED` runs one of
/// them alone and prints each packet, and `BOOTSTORM_SIM_WITHOUT` leaves out of that one what it
/// names (see `Reduction`). A seed that fails is shrunk and printed with all of these.
@Suite struct SimulationTests {
    static let chunkCount = 8
    static let onlySeed = number(of: "BOOTSTORM_SIM_SEED")
    static let without =
        text(of: "BOOTSTORM_SIM_WITHOUT")?.split(separator: ",")
        .compactMap { Reduction($0) } ?? []
    static let seedCount = number(of: "BOOTSTORM_SIM_SEEDS") ?? 1000
    static let chunks = onlySeed == nil ? Array(0..<UInt64(chunkCount)) : [0]

    private static func number(of variable: String) -> UInt64? {
        text(of: variable).flatMap { UInt64($0) }
    }

    private static func text(of variable: String) -> String? {
        getenv(variable).map { String(cString: $0) }
    }

    private static func seeds(ofChunk chunk: UInt64) -> [UInt64] {
        if let onlySeed { return [onlySeed] }
        return Array(stride(from: chunk, to: seedCount, by: chunkCount))
    }

    @Test(arguments: chunks)
    func everySeedDeliversEveryByteAndLeavesNothingBehind(chunk: UInt64) {
        for seed in Self.seeds(ofChunk: chunk) {
            let scenario = Scenario(seed: seed, without: Self.without)
            let checker = Simulation.run(scenario, isTracing: Self.onlySeed != nil)
            guard let violation = checker.violation else { continue }
            Issue.record("seed \(seed): \(violation)\n\(replay(seed))")
            // The first of many that fail for one reason says enough.
            return
        }
    }

    /// The line that runs what is left of a failing seed.
    private func replay(_ seed: UInt64) -> String {
        guard Self.onlySeed == nil, let least = Scenario.shrink(seed: seed, without: Self.without)
        else { return "" }
        let words = least.without.map(\.description).joined(separator: ",")
        return """
            \(least.violation)
            BOOTSTORM_SIM_SEED=\(seed) BOOTSTORM_SIM_WITHOUT=\(words) tools/dev sim 1
            """
    }

    /// A mistake needs one client, and few faults; and what a replay says is what was found.
    @Test func aFailingSeedIsShrunk() throws {
        let sabotage = Sabotage.server(.keepsImages)
        let seed = try #require(
            (0..<50 as Range<UInt64>).first { seed in
                var scenario = Scenario(seed: seed)
                scenario.sabotage = sabotage
                return scenario.clientCount > 4
                    && Simulation.run(scenario).violation?.contains("image") == true
            })
        let least = try #require(Scenario.shrink(seed: seed, sabotage: sabotage))
        let words = least.without.map(\.description)
        #expect(words.compactMap { Reduction($0) } == least.without)
        var scenario = Scenario(seed: seed, without: words.compactMap { Reduction($0) })
        scenario.sabotage = sabotage
        #expect(Simulation.run(scenario).violation == least.violation)
        #expect(scenario.clientCount <= 1)
        #expect(scenario.faults.lossPerMille == 0)
    }

    /// Rare events must happen, or the seeds tell nothing about them.
    @Test(.enabled(if: onlySeed == nil && seedCount >= 1000))
    func amongTheSeedsEveryRareEventHappens() {
        var outcomes: Set<String> = []
        var rivalCount = 0
        var rewindCount = 0
        var attemptsRepeated = 0
        var startedAgainCount = 0
        var askedAnewCount = 0
        for seed in 0..<UInt64(300) {
            let scenario = Scenario(seed: seed)
            let checker = Simulation.run(scenario)
            outcomes.formUnion(checker.outcomes.keys)
            rivalCount += checker.rivalCount
            rewindCount += checker.rewindCount
            startedAgainCount += checker.startedAgainCount
            askedAnewCount += checker.askedAnewCount
            if !scenario.drains && !scenario.faults.breaksTransfers {
                attemptsRepeated += checker.attemptsRepeated
            }
        }
        let expected = ["done", "doneUnacknowledged", "probe", "aborted", "timedOut", "replaced"]
        #expect(outcomes.isSuperset(of: expected.map { "server \($0)" }))
        #expect(rivalCount > 10)
        #expect(rewindCount > 1000)
        #expect(startedAgainCount > 10)
        #expect(askedAnewCount > 10)
        // About 2,400 tasks, and 10 % loss may now and then take all of a transfer's last ACKs.
        #expect(attemptsRepeated < 10)
    }

    @Test func theSameSeedRunsTheSameWay() {
        let runs = (0..<2).map { _ in Simulation.run(Scenario(seed: 7)) }
        #expect(runs[0].datagramsSent == runs[1].datagramsSent)
        #expect(runs[0].datagramsSent > 0)
        #expect(runs[0].outcomes == runs[1].outcomes)
    }

    /// What the violations of each mistake say. `none` makes none.
    static let words: [(Sabotage, String)] = [
        (.flippedByte, "bytes"),
        (.server(.rewindsEagerly), "rewind"),
        (.server(.forgetsSlot), "leaks a slot"),
        (.server(.sendsToStranger), "stranger"),
        (.server(.repeatsOACK), "OACK"),
        (.server(.neverLetsCoexist), "whose client goes on"),
        (.server(.restartsAtOnce), "whose client goes on"),
        (.server(.forgetsLastBlock), "that had been sent"),
        (.server(.opensWhileDraining), "while the server drains"),
        (.server(.answersBroadcast), "must not be answered"),
        (.server(.answersItself), "must not be answered"),
        (.server(.answersErrors), "must not be answered"),
        (.server(.forgetsSeal), "sealed request made way"),
        (.server(.believesReplay), "recorded request"),
        (.server(.keepsImages), "leaks an image"),
        (.server(.keepsUploads), "leaks an upload"),
        (.server(.acknowledgesUnstored), "takes"),
        (.server(.answersEverything), "proved nothing"),
        (.server(.evictsNone), "keep clients out"),
        (.server(.answersPortZero), "must not be answered"),
        (.server(.hidesMisses), "does not get"),
        (.server(.sendsBeyondEnd), "beyond the last one"),
        (.server(.forgetsEmptyBlock), "does not get"),
        (.server(.ignoresOffset), "bytes of"),
        (.server(.keepsDuplicates), "with other bytes"),
        (.server(.losesPayload), "with other bytes"),
        (.server(.forgetsChunks), "leaks an upload's place"),
        (.server(.forgetsPending), "leaks a place"),
        (.server(.keepsContents), "leaks a content"),
        (.server(.losesWaiter), "does not get"),
        (.server(.hidesDiskErrors), "silent about the disk"),
        (.server(.answersFromListener), "does not get"),
        (.server(.refusesRepeats), "packets are wrong"),
        (.server(.failsOnRefusedSend), "without a cause"),
        (.server(.raisesBlksize), "unacceptable OACK"),
        (.server(.ignoresRate), "bytes a second"),
        (.client(.acceptsStranger), "port that the server does not have"),
        (.client(.overrunsContent), "overruns its content"),
        (.client(.forgetsHeldACK), "within an hour"),
        (.client(.forgetsToResume), "within an hour"),
        (.client(.misplacesAhead), "hands over what is not there"),
        (.client(.handsOverGap), "hands over what is not there"),
        (.client(.endsEarly), "before it has all"),
        (.client(.neverStartsAgain), "does not get"),
        (.client(.alwaysAsksOptions), "does not get"),
        (.client(.keepsSockets), "leak a socket"),
        (.client(.forgetsLastBlock), "bytes of"),
        (.client(.forgetsRollover), "does not get"),
    ]

    /// A scenario in which the mistake can show.
    private static func scenario(_ seed: UInt64, for sabotage: Sabotage) -> Scenario {
        guard sabotage == .client(.forgetsRollover) else { return Scenario(seed: seed) }
        return Scenario(seed: seed, blockCount: 65_540, blksize: 8, windowsize: 32)
    }

    /// A checker that finds nothing is worth nothing: each mistake made on purpose is found in some
    /// run.
    @Test(arguments: words)
    func everyMistakeMadeOnPurposeIsFound(sabotage: Sabotage, word: String) {
        var violations: Set<String> = []
        for seed in 0..<UInt64(300) where !violations.contains(where: { $0.contains(word) }) {
            var scenario = Self.scenario(seed, for: sabotage)
            scenario.sabotage = sabotage
            if let violation = Simulation.run(scenario).violation { violations.insert(violation) }
        }
        #expect(violations.contains { $0.contains(word) }, "\(violations)")
    }

    @Test func everyMistakeIsTried() {
        for mistake in Mistake.allCases where mistake != .none {
            #expect(Self.words.contains { $0.0 == .server(mistake) }, "\(mistake)")
        }
        for mistake in ClientMistake.allCases where mistake != .none {
            #expect(Self.words.contains { $0.0 == .client(mistake) }, "\(mistake)")
        }
    }

    /// Past block 65535, in the window and at the edge, with and without loss.
    @Test(arguments: [(blockCount: 65_540, lossPerMille: 0), (blockCount: 65_535, lossPerMille: 5)])
    func aTransferGoesOnPastBlock65535(blockCount: Int, lossPerMille: Int) {
        var scenario = Scenario(
            seed: 65_535, blockCount: blockCount, blksize: 8, windowsize: 32)
        scenario.faults.lossPerMille = lossPerMille
        let checker = Simulation.run(scenario)
        #expect(checker.violation == nil)
        #expect(checker.blocksNeeded == blockCount + 1)
        #expect(checker.outcomes == ["server done": 1, "client done": 1])
    }

    /// A part of a file: blocks are counted from its beginning, past 65535 too, and the last one is
    /// short, or empty.
    @Test(arguments: [0, 1, 7, 8, 9, 16, 1000, 8 * 65_535, 8 * 65_536, 8 * 65_536 + 1])
    func aPartHasBlocksOfItsOwn(byteCount: Int) {
        for begin in [0, 1, 256, 8 * 65_537 + 3] {
            var scenario = Scenario(
                seed: UInt64(byteCount), blockCount: 140_000, blksize: 8, windowsize: 32)
            scenario.ask(for: begin..<(begin + byteCount))
            let checker = Simulation.run(scenario)
            #expect(checker.violation == nil)
            #expect(checker.blocksNeeded == byteCount / 8 + 1)
            #expect(checker.outcomes == ["server done": 1, "client done": 1])
        }
    }

    /// Whatever happens to the first six datagrams of a transfer of three blocks, it completes with
    /// few packets. Only a client whose six requests are all lost has to try again.
    @Test(arguments: [1, 2, 3] as [UInt32], [false, true])
    func aSmallTransferSurvivesWhateverBecomesOfItsFirstPackets(
        windowsize: UInt32, isUpload: Bool
    ) {
        withEverySequence(of: Fate.allCases, count: 6) { fates in
            let scenario = Scenario(fates: fates, windowsize: windowsize, isUpload: isUpload)
            let checker = Simulation.run(scenario)
            let isUnheard = fates.allSatisfy { $0 == .isLost }
            guard checker.violation == nil, checker.attemptsRepeated == (isUnheard ? 1 : 0),
                checker.datagramsSent <= 40
            else {
                Issue.record("\(fates): \(checker)")
                return false
            }
            return true
        }
    }

    /// Calls `body` with every sequence of `count` elements, until it says no.
    private func withEverySequence<Element>(
        of elements: [Element], count: Int, _ body: ([Element]) -> Bool
    ) {
        var digits = [Int](repeating: 0, count: count)
        while body(digits.map { elements[$0] }) {
            guard let place = digits.firstIndex(where: { $0 < elements.count - 1 }) else { return }
            digits[place] += 1
            for lower in 0..<place { digits[lower] = 0 }
        }
    }
}
