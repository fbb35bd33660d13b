import TFTPWire
import Testing

/// What a remote machine may write into a line for people.
@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("boot/vmlinuz", "boot/vmlinuz"), ("Gerät €", "Gerät €"), ("", ""),
        ("a\nb\u{1B}[2J", "a\\x0ab\\x1b[2J"),
        // CSI as one character of C1, and DEL.
        ("x\u{9B}2J\u{7F}", "x\\xc2\\x9b2J\\x7f"),
        // Marks that turn the text round, and ones that cannot be seen.
        ("\u{202E}gpj.exe\u{2066}", "\\xe2\\x80\\xaegpj.exe\\xe2\\x81\\xa6"),
        ("a\u{200B}\u{FEFF}b", "a\\xe2\\x80\\x8b\\xef\\xbb\\xbfb"),
        ("a\u{2028}b\u{2029}", "a\\xe2\\x80\\xa8b\\xe2\\x80\\xa9"),
        ("\u{E0041}", "\\xf3\\xa0\\x81\\x81"),
        ("say \"hi\" \\", "say \"hi\" \\"),
    ])
    func nothingActsOnATerminal(text: String, printable: String) {
        #expect(text.printable == printable)
    }

    @Test func aQuotationIsNotEnded() {
        #expect("x\"y\\\u{9B}".quotable == "x\\\"y\\\\\\xc2\\x9b")
        #expect("plain".quotable == "plain")
    }

    /// Every scalar by itself: what is left has no control character.
    @Test func noScalarIsLeftThatActs() {
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let text = String(Character(scalar)).printable
            guard text.unicodeScalars.allSatisfy({ $0.isPrintable }), !text.isEmpty else {
                Issue.record("U+\(String(value, radix: 16)) becomes \(text.utf8.map { $0 })")
                return
            }
        }
    }
}
