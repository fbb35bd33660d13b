import TFTPSeal
import Testing

struct SealKeysTests {
    private static let digits = String(repeating: "0f", count: 32)
    private static let base64 = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8="

    @Test func keysInBothSpellings() throws {
        let keys = try SealKeys(
            """
            # for the hall

            new-1  \(Self.base64)   # since November
            old_1\t\(Self.digits)
            """)
        #expect(keys.first.id == "new-1")
        #expect(keys["old_1"]?.secret == keys.first.secret)
        #expect(keys["other"] == nil)
        #expect(keys.secrets.count == 2)
    }

    @Test func aFreshKeyIsALineOfAFile() throws {
        let key = try #require(SealKey.random(id: "a"))
        #expect(try SealKeys(key.line).first == key)
        #expect(SealKey.random(id: "a") != key)
    }

    @Test(arguments: [
        ("", SealKeyError.none), ("# nothing\n", .none),
        ("a", .badLine(1)), ("\na \(digits)0", .badLine(2)), ("a b c", .badLine(1)),
        ("a.b \(digits)", .badLine(1)), ("a Dw8=", .badLine(1)),
        ("a \(digits)\na \(base64)", .twice("a")),
    ])
    func whatIsNoKeyFile(text: String, error: SealKeyError) {
        #expect(throws: error) { try SealKeys(text) }
    }

    @Test func aKeyHasAnIDThatEndsNoWord() {
        for id in ["", "a b", "a.b", "ä", String(repeating: "a", count: 33)] {
            #expect(SealKey.random(id: id) == nil, "\(id)")
        }
    }
}
