import Testing

@testable import TFTPNames

/// Expressions of map files that the C library would need much memory for.
struct POSIXPatternTests {
    /// Each repetition of a repetition doubles what glibc makes of it: 48 of them are 2 GiB and
    /// more.
    @Test(arguments: [
        "f" + String(repeating: "+", count: 48) + "{$",
        "f" + String(repeating: "+*", count: 20),
        String(repeating: "(", count: 30) + "a" + String(repeating: "+b)+", count: 30),
        "a" + String(repeating: "+{2}", count: 20), "a{100}{101}",
    ])
    func repetitionsOfRepetitionsAreRefused(text: String) {
        #expect(throws: PatternError.tooLarge) { try POSIXPattern(text) }
    }

    @Test(arguments: [
        String(repeating: "a+b*c?", count: 60), "[" + String(repeating: "+", count: 48) + "]+",
        String(repeating: "\\+", count: 48), "((a+)*b)?", "a{100}", "([^+]+)+$",
    ])
    func othersAreNot(text: String) throws {
        _ = try POSIXPattern(text)
    }
}
