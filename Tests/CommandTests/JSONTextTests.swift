import Testing

@testable import bootstorm

@Suite struct JSONTextTests {
    @Test(arguments: [
        ("plain Ä", "\"plain Ä\""), ("a\"b\\c\n", "\"a\\\"b\\\\c\\n\""),
        ("\u{1B}\u{9B}\u{7F}", "\"\\u001b\\u009b\\u007f\""),
        ("\u{202E}x\u{E0041}", "\"\\u202ex\\udb40\\udc41\""),
    ])
    func nothingActsOnATerminal(text: String, quoted: String) {
        #expect(text.quotedAsJSON == quoted)
    }
}
