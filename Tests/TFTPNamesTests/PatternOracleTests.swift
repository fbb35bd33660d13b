import Simulation
import Testing

@testable import TFTPNames

/// Random expressions and names: `NamePattern` against Swift's `Regex`, and its longest match
/// against the C library's.
struct PatternOracleTests {
    private struct Generator {
        var random: SimulationRandom

        mutating func expression(_ depth: Int, atoms: [String], tails: [String]) -> String {
            let count = 1 + random.below(3)
            var text = ""
            for _ in 0..<count { text += part(depth, atoms: atoms, tails: tails) }
            return text
        }

        private mutating func part(_ depth: Int, atoms: [String], tails: [String]) -> String {
            var text = random.pick(atoms)
            if depth > 0 && random.below(3) == 0 {
                let one = expression(depth - 1, atoms: atoms, tails: tails)
                let other = expression(depth - 1, atoms: atoms, tails: tails)
                text = random.below(2) == 0 ? "(\(one))" : "(\(one)|\(other))"
            }
            return text + random.pick(tails)
        }

        mutating func name() -> String {
            var text = ""
            for _ in 0..<random.below(8) { text += random.pick(["a", "b", "A", "/", ".", "1"]) }
            return text
        }
    }

    @Test(arguments: 0..<8)
    func isSwiftsRegex(_ seed: UInt64) throws {
        var generator = Generator(random: SimulationRandom(seed: seed))
        let atoms = ["a", "b", ".", "[ab]", "[^/]", "\\d", "\\w", "\\.", "/", "(?:ab)"]
        let tails = ["", "", "", "*", "+", "?", "*?", "+?", "{1,2}"]
        for _ in 0..<40 {
            let text = generator.expression(2, atoms: atoms, tails: tails)
            let ours = try NamePattern(text)
            let theirs = try Regex(text).matchingSemantics(.unicodeScalar)
                .asciiOnlyCharacterClasses()
            for _ in 0..<4 {
                let name = generator.name()
                var steps = NameLimits.stepsMax
                guard let match = try? ours.match(Array(name.utf8), steps: &steps) else {
                    #expect(steps == 0 || name.firstMatch(of: theirs) == nil)
                    continue
                }
                let wanted = name.firstMatch(of: theirs)
                let range = wanted.map { found in
                    name.utf8.distance(
                        from: name.startIndex, to: found.range.lowerBound)..<name
                        .utf8.distance(from: name.startIndex, to: found.range.upperBound)
                }
                #expect(match[0] == range, "seed \(seed): '\(text)' in '\(name)'")
            }
        }
    }

    @Test(arguments: 0..<8)
    func longestIsTheLibrarys(_ seed: UInt64) throws {
        var generator = Generator(random: SimulationRandom(seed: seed))
        let atoms = ["a", "b", ".", "[ab]", "[^/]", "[[:digit:]]", "\\w", "\\.", "/", "(ab)"]
        let tails = ["", "", "", "*", "+", "?", "{1,2}"]
        for _ in 0..<40 {
            let text = generator.expression(2, atoms: atoms, tails: tails)
            let ours = try NamePattern(posixExtended: text, ignoresCase: false)
            let library = try POSIXPattern(text)
            for _ in 0..<4 {
                let name = Array(generator.name().utf8)
                var steps = NameLimits.stepsMax
                let wanted = try library.match(name, steps: &steps)
                do throws(StepsExhausted) {
                    let match = try ours.match(name, steps: &steps)
                    #expect(match?[0] == wanted?[0], "seed \(seed): '\(text)' in '\(name)'")
                } catch {
                    #expect(steps == 0)
                }
            }
        }
    }
}
