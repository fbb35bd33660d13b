import FuzzTargets
import Glibc
import Testing

/// Every reader of what others write, with inputs made of a corpus by seed.
///
/// `BOOTSTORM_FUZZ_SECONDS` says how long each is tried (a thousand inputs unless told);
/// `tools/dev fuzz` does the same with libFuzzer, which sees what inputs reach.
@Suite struct FuzzTests {
    static let seconds = getenv("BOOTSTORM_FUZZ_SECONDS").flatMap { Int(String(cString: $0)) }
    static let targets = fuzzTargets + [answerTarget, nodeTextTarget, configurationTarget]

    @Test(arguments: targets)
    func holds(_ target: FuzzTarget) {
        let end = ContinuousClock.now + .seconds(Self.seconds ?? 0)
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
