import Testing

@testable import bootstorm

struct LineMergerTests {
    private let second: UInt64 = 1_000_000_000

    @Test func whatComesAgainIsCountedAndToldOnce() {
        var merger = LineMerger()
        #expect(merger.take("a", now: 0) == [.init(key: "a")])
        for index in 1...3 { #expect(merger.take("a", now: UInt64(index) * second).isEmpty) }
        #expect(merger.flush(now: 4 * second).isEmpty)
        #expect(merger.flush(now: 5 * second) == [.init(key: "a", repeatCount: 3)])
        #expect(merger.flush(now: 60 * second).isEmpty)
        #expect(merger.take("a", now: 61 * second) == [.init(key: "a")])
    }

    @Test func linesBetweenDoNotMatter() {
        var merger = LineMerger()
        _ = merger.take("a", now: 0)
        #expect(merger.take("b", now: 1) == [.init(key: "b")])
        #expect(merger.take("a", now: 2).isEmpty)
        #expect(merger.flushAll() == [.init(key: "a", repeatCount: 1)])
        #expect(merger.flushAll().isEmpty)
    }

    /// A storm of different lines forgets the oldest, and loses no count.
    @Test func noLineIsLost() {
        var merger = LineMerger()
        var written = 0
        let keys = (0..<200).map { "line \($0 % 50)" }
        for (index, key) in keys.enumerated() {
            for line in merger.take(key, now: UInt64(index)) { written += max(1, line.repeatCount) }
        }
        for line in merger.flushAll() { written += max(1, line.repeatCount) }
        #expect(written == keys.count)
    }
}

struct PrintableLineTests {
    @Test(arguments: [
        ("plain", "plain"), ("Ümläut … ok", "Ümläut … ok"), ("a\nb", "a\\u{a}b"),
        ("\u{1B}[31m", "\\u{1b}[31m"), ("x\u{9B}2J", "x\\u{9b}2J"),
        ("\u{202E}txt", "\\u{202e}txt"), ("a\u{2028}b", "a\\u{2028}b"),
    ])
    func hiddenCharactersAreShown(raw: String, shown: String) {
        #expect(PrintableLine.text(raw) == shown)
    }

    @Test func everyControlIsHidden() {
        for value in 0..<UInt32(0x100) {
            let scalar = Unicode.Scalar(value)!
            #expect(
                PrintableLine.isHidden(scalar) == (scalar.properties.generalCategory == .control))
        }
    }
}
