import Testing

@testable import TFTPNames

/// What every match of an expression has.
struct RequiredBytesTests {
    private func required(_ text: String, ignoresCase: Bool = false) throws -> RequiredBytes {
        var parser = PatternParser(
            Array(text.utf8), syntax: .perl, ignoresCase: ignoresCase)
        return RequiredBytes(try parser.parse())
    }

    @Test(arguments: [
        ("^([0-9a-f]+-)*12x$", "12x"), ("(efi|bios)7[.]0$", "7.0"), ("a|b", ""), ("(ab)+c", "ab"),
        ("ab?c", "a"), ("a\\bb(?=x)c", "abc"), ("(ab){2,3}", "ab"), ("ab{0}c", "a"), ("[^/]x", "x"),
        ("a(b)c", "abc"), ("(?:ab){1}cd", "abcd"), ("(.)\\1ab", "ab"), ("x(?>yz)", "xyz"),
    ])
    func theLongestRow(_ text: String, _ wanted: String) throws {
        let bytes = try required(text).sets.map(\.single)
        #expect(bytes == wanted.utf8.map { $0 })
    }

    @Test func bothCasesOfALetter() throws {
        let required = try required("boot/", ignoresCase: true)
        #expect(required.sets.count == 5)
        #expect(required.isIn(Array("x/BooT/y".utf8), from: 0))
        #expect(!required.isIn(Array("x/BooT/y".utf8), from: 3))
        #expect(!required.isIn(Array("boo".utf8), from: 0))
    }

    /// Rules that do not apply take steps too, or thousands of them would have no bound.
    @Test func whatIsRuledOutTakesSteps() throws {
        let pattern = try NamePattern("bb")
        var steps = 10
        #expect(pattern.isRuledOut(Array("aaaa".utf8), steps: &steps))
        #expect(steps == 9)
        #expect(!pattern.isRuledOut(Array("abba".utf8), steps: &steps))
        #expect(steps == 9)
        let long = [UInt8](repeating: 0x61, count: 400)
        #expect(
            !pattern.isRuledOut(long, steps: &steps), "the matcher has to say that they are used up"
        )
        #expect(throws: StepsExhausted.self) { try pattern.match(long, steps: &steps) }
    }
}
