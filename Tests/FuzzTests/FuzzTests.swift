import FuzzTargets
import Glibc
import Testing

/// Every reader of what others write, with inputs made of a corpus by seed.
///
/// `BOOTSTORM_FUZZ_SECONDS` says how long each is tried (a thousand inputs unless told), and
/// `BOOTSTORM_FUZZ_TARGETS` which, with commas between them (all unless told). `tools/dev fuzz`
/// does the same with libFuzzer, which sees what inputs reach, for those that it can have.
@Suite struct FuzzTests {
    static let seconds = getenv("BOOTSTORM_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) }
    static let chosen = getenv("BOOTSTORM_FUZZ_TARGETS").map {
        String(cString: $0).split(separator: ",").map(String.init)
    }
    static let targets = fuzzTargets + [answerTarget, nodeTextTarget, configurationTarget]

    @Test func everyChosenTargetIsThere() {
        for name in Self.chosen ?? [] { #expect(Self.targets.contains { $0.name == name }) }
    }

    @Test(arguments: targets)
    func holds(_ target: FuzzTarget) {
        let isChosen = Self.chosen?.contains(target.name) ?? true
        let end = ContinuousClock.now + .seconds(isChosen ? Self.seconds ?? 0 : 0)
        var seed: UInt64 = 1
        repeat {
            if let failure = target.firstFailure(seed: seed, count: 1000) {
                Issue.record("seed \(seed): \(failure.problem) for \(failure.input)")
                return
            }
            seed += 1
        } while ContinuousClock.now < end
    }

    /// A fuzzer that finds nothing is worth nothing.
    @Test(arguments: targets)
    func findsTheMistakeOfTheCanary(_ target: FuzzTarget) {
        let failure = (1...20).lazy.compactMap {
            target.firstFailure(seed: $0, count: 1000, hasMistake: true)
        }.first
        #expect(failure != nil)
    }
}

extension FuzzTarget: CustomTestStringConvertible {
    public var testDescription: String { name }
}
