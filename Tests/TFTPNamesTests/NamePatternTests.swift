import Testing

@testable import TFTPNames

/// What one expression does with one name: both ends of the match and the groups as text.
struct NamePatternTests {
    private func groups(_ pattern: String, _ name: String) throws -> [String?]? {
        let pattern = try NamePattern(pattern)
        var steps = NameLimits.stepsMax
        let bytes = Array(name.utf8)
        guard let match = try pattern.match(bytes, steps: &steps) else { return nil }
        return (0...pattern.groupCount).map { number in
            match[number].map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    @Test(arguments: [
        ("abc", "xabcx", ["abc"]), ("^a.c$", "abc", ["abc"]), ("a|ab", "ab", ["a"]),
        ("(a|ab)(c|bcd)(d*)", "abcd", ["abcd", "a", "bcd", ""]),
        ("(a+)(a*)", "aaa", ["aaa", "aaa", ""]), ("(a+?)(a*)", "aaa", ["aaa", "a", "aa"]),
        ("a{2,3}", "aaaa", ["aaa"]), ("a{2}", "aaa", ["aa"]), ("a{2,}b", "aaab", ["aaab"]),
        ("a{,2}", "a{,2}", ["a{,2}"]), ("x{a", "x{a", ["x{a"]),
        ("[^/]+$", "boot/x.cfg", ["x.cfg"]), ("[]a]+", "]a", ["]a"]), ("[a-]+", "a-", ["a-"]),
        ("[\\d-]+", "1-2", ["1-2"]), ("[[:xdigit:]]{8}", "zz12abCD34", ["12abCD34"]),
        ("\\bcfg\\b", "a.cfg.b", ["cfg"]), ("(?i)BOOT", "boot", ["boot"]),
        ("(?i:B)oot", "boot", ["boot"]), ("(?<n>b)(?:o)", "bo", ["bo", "b"]),
        ("(.)\\1", "abccd", ["cc", "c"]), ("(?=bo)b", "bo", ["b"]), ("b(?!x).", "bxbo", ["bo"]),
        ("(?>a+)b", "aab", ["aab"]), ("\\Qa.b\\E+", "a.bb", ["a.bb"]),
        ("\\x41\\x{42}", "AB", ["AB"]),
        ("a\\/b", "a/b", ["a/b"]), ("^\\w*\\.conf$", "abc.conf", ["abc.conf"]),
        ("(a*)*", "b", ["", ""]), ("(a|b*)*c", "abc", ["abc", ""]), ("^$", "", [""]),
        ("^?a{2}{2}", "aaaa", ["aaaa"]), ("(?<=a)b", "bab", ["b"]), ("(?<=^|/)x", "ax/x", ["x"]),
        ("(?<!a)b", "abb", ["b"]), ("(?<!a|bc)d", "adbcdd", ["d"]),
        ("(?<=(a|b){2})c", "acabc", ["c", "b"]),
        ("a\\Kb", "ab", ["b"]), ("(a)\\K", "a", ["", "a"]),
    ])
    func matches(_ pattern: String, _ name: String, _ wanted: [String]) throws {
        #expect(try groups(pattern, name) == wanted)
    }

    @Test(arguments: [
        ("^b", "ab"), ("a$", "ab"), ("(?>a+)ab", "aaab"), ("a++a", "aaa"), ("\\d", "abc"),
        ("(?-i)A", "a"), ("[^a]", "a"), ("a{2}", "a"),
        ("(?<=ab)c", "bc"), ("(?<!)a", "a"),
    ])
    func doesNotMatch(_ pattern: String, _ name: String) throws {
        #expect(try groups(pattern, name) == nil)
    }

    @Test(arguments: [
        "foo(?=bar\\K)", "(?!a\\K)b", "(?<=a\\K)b", "(?<=a{1000}{1000}{1000}{1000})x",
        "(?<=a{1000}{5})x",
        "(", ")", "[a", "*a", "a|*", "a{2,1}", "\\", "(?<n>a)(?<n>b)", "\\2(a)", "[b-a]",
        "(?<=a*)b",
        "(?<=x(a|bc))d", "(?<=\\1)(a)",
        "[[:alpah:]]", "(?P>n)", "\\y", String(repeating: "a", count: 1025), "(a{999}){999}",
        String(repeating: "(", count: 70) + String(repeating: ")", count: 70),
    ])
    func isRefused(_ pattern: String) {
        #expect(throws: PatternError.self) { try NamePattern(pattern) }
    }

    @Test func aGroupWithoutPartHasNoRange() throws {
        #expect(try groups("(a)|(b)", "b") == ["b", nil, "b"])
    }

    /// Each takes exponential or high polynomial time in a matcher without a bound.
    @Test(arguments: [
        "^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(a*)*b", "a*a*a*a*a*a*a*b", "^(.*)(.*)(.*)(.*)(.*)x$",
        "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$",
    ])
    func aBombEndsWithinItsSteps(_ pattern: String) throws {
        let pattern = try NamePattern(pattern)
        for letter in "ax" {
            let name = Array(String(repeating: letter, count: 400).utf8) + [0x21]
            var steps = NameLimits.stepsMax
            do throws(StepsExhausted) {
                _ = try pattern.match(name, steps: &steps)
            } catch {
                #expect(steps == 0)
            }
            #expect(steps >= 0)
        }
    }

    @Test func stepsAreSharedByMatches() throws {
        let pattern = try NamePattern("a")
        // A search, a byte and the end.
        var steps = 7
        for _ in 0..<2 { _ = try pattern.match(Array("a".utf8), steps: &steps) }
        #expect(steps == 1)
        #expect(throws: StepsExhausted.self) {
            try pattern.match(Array("a".utf8), steps: &steps)
        }
    }

    @Test func bytesThatAreNotTextMatch() throws {
        let pattern = try NamePattern("^(.+)\\xFF")
        var steps = 100
        let match = try pattern.match([0x61, 0xE9, 0xFF, 0x0A], steps: &steps)
        #expect(match?[1] == 0..<2)
    }
}
