import Testing

@testable import TFTPStore

struct FileNameTests {
    static let spellings: [(String, String?)] = [
        ("boot/x", "boot/x"),
        ("/boot/x", "boot/x"),
        ("///boot//x", "boot/x"),
        ("./boot/./x", "boot/x"),
        ("/./././x", "x"),
        ("\\Boot\\BCD", "Boot/BCD"),
        ("\\boot\\fonts\\wgl4_boot.ttf", "boot/fonts/wgl4_boot.ttf"),
        ("C:\\boot\\x", "boot/x"),
        ("c:/boot/x", "boot/x"),
        ("C:x", "x"),
        ("/C:/x", "x"),
        ("./C:x", "x"),
        ("C:D:x", "x"),
        ("C", "C"),
        ("C/x", "C/x"),
        ("1:x", "1:x"),
        ("::", "::"),
        (":x", ":x"),
        ("CC:x", "CC:x"),
        ("x/C:/y", "x/C:/y"),
        (".:x", ".:x"),
        ("..", ".."),
        ("../x", "../x"),
        ("/../../etc/passwd", "../../etc/passwd"),
        ("a/../b", "a/../b"),
        ("..\\x", "../x"),
        ("...", "..."),
        (".x", ".x"),
        ("a/.x", "a/.x"),
        ("a/..x", "a/..x"),
        ("C:.x", ".x"),
        ("C:.", nil),
        ("", nil),
        ("/", nil),
        ("\\\\", nil),
        (".", nil),
        ("./.", nil),
        ("C:", nil),
        ("C:\\", nil),
        (" ", " "),
        ("pxelinux.cfg/01-52-54-00-12-34-56", "pxelinux.cfg/01-52-54-00-12-34-56"),
    ]

    @Test(arguments: spellings)
    func aSpellingBecomesTheOneName(spelling: String, expected: String?) {
        #expect((try? FileName(spelling)).map(String.init) == expected)
    }

    @Test(arguments: ["a/", "a\\", "a//", "a/.", "a/./", "a\\.\\", "../", "x/C/"])
    func aTrailingSeparatorNamesADirectory(spelling: String) throws {
        #expect(try FileName(spelling).namesDirectory)
    }

    @Test(arguments: ["a", "/a", "./a", "a/.b", "a/..b", "a.", "C:a", ".."])
    func otherSpellingsDoNotNameADirectory(spelling: String) throws {
        #expect(try !FileName(spelling).namesDirectory)
    }

    @Test func nothingLeftIsEmpty() {
        #expect(throws: NameError.empty) { try FileName("C:\\.\\") }
        #expect(throws: NameError.empty) { try FileName([UInt8]()) }
    }

    @Test(arguments: ["\0", "a\0", "a\0b", "\0a", "C:\0", "./\0", "a/\0", ".\0", "C\0"])
    func anEmbeddedNULIsInvalid(spelling: String) {
        #expect(throws: NameError.invalid) { try FileName(spelling) }
    }

    @Test func theLongestNameFitsAndOneMoreByteDoesNot() throws {
        let longest = String(repeating: "n", count: FileName.byteCountMax)
        #expect(try String(FileName(longest)) == longest)
        #expect(throws: NameError.tooLong) { try FileName(longest + "n") }
        #expect(throws: NameError.tooLong) { try FileName(longest + "/n") }
        #expect(try FileName(longest).withUnsafeCString { String(cString: $0) } == longest)
    }

    /// What is dropped does not count: only the normalised name has to fit.
    @Test func lengthCountsAfterNormalising() throws {
        let longest = String(repeating: "n", count: FileName.byteCountMax)
        let spelling = "C:" + String(repeating: "/.", count: 5_000) + "/" + longest + "/./"
        #expect(try String(FileName(spelling)) == longest)
    }

    @Test func theCStringEndsWhereTheNameEnds() throws {
        let name = try FileName("\\boot\\.\\x")
        #expect(name.withUnsafeCString { String(cString: $0) } == "boot/x")
        #expect(name.byteCount == 6)
        #expect(name.bytes.byteCount == 6)
    }

    @Test func spellingsOfOneNameAreEqual() throws {
        #expect(try FileName("C:\\boot\\x") == FileName("/boot//x"))
        #expect(try FileName("boot/x") != FileName("boot/y"))
        #expect(try FileName("boot/x") != FileName("boot/xx"))
        #expect(try FileName("Boot/x") != FileName("boot/x"))
        #expect(try FileName("boot/x") != FileName("boot/x/"))
    }

    static let splits: [(String, String?, String)] = [
        ("a/b/c", "a/b", "c"),
        ("/a/b", "a", "b"),
        ("a", nil, "a"),
        ("a/..", "a", ".."),
        ("../a", "..", "a"),
    ]

    @Test(arguments: splits)
    func aNameSplitsIntoDirectoryAndLastComponent(
        spelling: String, directory: String?, lastComponent: String
    ) throws {
        let name = try FileName(spelling)
        #expect(name.directory.map(String.init) == directory)
        #expect(String(name.lastComponent) == lastComponent)
    }

    @Test(arguments: [
        ("a", false), ("a/b", false), ("...", false), ("a/..b", false), ("a/b..", false),
        ("a/.b/c", false), ("..", true), ("a/..", true), ("../a", true), ("/a/b/../..", true),
        ("crash/../pxelinux.cfg/default", true), ("crash\\..\\pxelinux.cfg\\default", true),
    ])
    func noUploadGoesUp(spelling: String, goesUp: Bool) throws {
        let name = try FileName(spelling)
        #expect(name.goesUp == goesUp)
        #expect(name.isWritable == !goesUp)
    }

    @Test(arguments: [
        (".bootstorm-upload-1", true),
        (".bootstorm-upload-", true),
        ("a/.bootstorm-upload-1", true),
        (".bootstorm-upload-1/a", true),
        ("a/.bootstorm-upload-1/b", true),
        ("\\a\\.bootstorm-upload-1", true),
        (".Bootstorm-UPLOAD-1", true),
        (".bootstorm-upload", false),
        ("x.bootstorm-upload-1", false),
        ("bootstorm-upload-1", false),
        (".bootstorm/-upload-1", false),
        (".bootstorm\u{0D}upload-1", false),
        ("a", false),
    ])
    func ourTemporariesAreReserved(spelling: String, isReserved: Bool) throws {
        #expect(try FileName(spelling).isReserved == isReserved)
    }
}

/// The second look-up after a miss (netboot firmware appends 0xFF and control bytes to names).
struct FileNameJunkTests {
    static let junk: [([UInt8], String?)] = [
        (Array("x.efi".utf8) + [0xff], "x.efi"),
        (Array("x.efi".utf8) + [0xff, 0x0d, 0x0a], "x.efi"),
        (Array("x".utf8) + [0x7f], "x"),
        (Array("x".utf8) + [0x80, 0x01], "x"),
        ([0xff] + Array("x".utf8) + [0xff], nil),
        (Array("boot/".utf8) + [0xff], "boot"),
        (Array("boot/.".utf8) + [0xff], "boot"),
        (Array("x.efi".utf8), nil),
        (Array("x ".utf8), nil),
        ([0xff], nil),
        ([0xff, 0x01], nil),
        (Array("./".utf8) + [0xff], nil),
        (Array("C:".utf8) + [0xff], nil),
    ]

    @Test(arguments: junk)
    func junkIsStrippedAtTheEndOnly(requested: [UInt8], expected: String?) throws {
        let retry = try FileName(requested).strippingTrailingJunk()
        #expect(retry.map(String.init) == expected)
    }

    /// A directory stays one: neither a slash that was there nor one that comes to light is lost.
    @Test func strippingKeepsWhatNamesADirectory() throws {
        let junk: [UInt8] = [0xff]
        let before = try FileName(Array("x".utf8) + junk + Array("/".utf8))
        #expect(before.strippingTrailingJunk()?.namesDirectory == true)
        let behind = try FileName(Array("x/".utf8) + junk)
        #expect(behind.strippingTrailingJunk()?.namesDirectory == true)
        let without = try FileName(Array("x".utf8) + junk)
        #expect(without.strippingTrailingJunk()?.namesDirectory == false)
    }
}

/// Every name of up to six bytes over an alphabet in which each byte means something.
struct FileNameExhaustiveTests {
    static let alphabet = Array("/\\.:aC".utf8) + [0xff]

    @Test(arguments: 0...6)
    func everySmallNameKeepsTheInvariant(byteCount: Int) {
        var failures = 0
        withEveryName(byteCount: byteCount) { requested in
            if !keepsInvariant(requested) {
                failures += 1
                if failures <= 10 { Issue.record("\(String(decoding: requested, as: UTF8.self))") }
            }
        }
        #expect(failures == 0)
    }

    private func withEveryName(byteCount: Int, _ body: ([UInt8]) -> Void) {
        var digits = [Int](repeating: 0, count: byteCount)
        while true {
            body(digits.map { FileNameExhaustiveTests.alphabet[$0] })
            guard
                let position = digits.lastIndex(where: {
                    $0 < FileNameExhaustiveTests.alphabet.count - 1
                })
            else { return }
            digits[position] += 1
            for later in digits[position...].indices.dropFirst() { digits[later] = 0 }
        }
    }

    private func keepsInvariant(_ requested: [UInt8]) -> Bool {
        let expected = normalised(requested)
        guard let name = try? FileName(requested) else { return expected == nil }
        let bytes = Array(name)
        guard bytes == expected, isNormal(bytes) else { return false }
        guard let again = try? FileName(bytes), Array(again) == bytes else { return false }
        guard !again.namesDirectory, name.namesDirectory == endsAsDirectory(requested) else {
            return false
        }
        guard splits(name) else { return false }
        guard let retry = name.strippingTrailingJunk() else { return true }
        return isNormal(Array(retry)) && retry.byteCount < name.byteCount
            && (retry.namesDirectory || !name.namesDirectory)
    }

    private func isNormal(_ bytes: [UInt8]) -> Bool {
        let components = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return !bytes.contains(UInt8(ascii: "\\"))
            && components.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) }
    }

    /// The same rules said in another way, with arrays: what the byte machine must come to.
    private func normalised(_ requested: [UInt8]) -> [UInt8]? {
        var rest = requested.map { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0 }[...]
        while true {
            if rest.first == UInt8(ascii: "/") {
                rest = rest.dropFirst()
            } else if rest.starts(with: "./".utf8) {
                rest = rest.dropFirst(2)
            } else if rest.starts(with: "a:".utf8) || rest.starts(with: "C:".utf8) {
                rest = rest.dropFirst(2)
            } else {
                break
            }
        }
        let components = rest.split(separator: UInt8(ascii: "/"))
            .filter { !$0.elementsEqual(".".utf8) }
        return components.isEmpty ? nil : Array(components.joined(separator: "/".utf8))
    }

    private func endsAsDirectory(_ requested: [UInt8]) -> Bool {
        let slashes = requested.map { $0 == UInt8(ascii: "\\") ? UInt8(ascii: "/") : $0 }
        return slashes.last == UInt8(ascii: "/") || slashes.suffix(2).elementsEqual("/.".utf8)
    }

    private func splits(_ name: FileName) -> Bool {
        let last = Array(name.lastComponent)
        guard !last.contains(UInt8(ascii: "/")) else { return false }
        guard let directory = name.directory else { return last == Array(name) }
        return Array(directory) + "/".utf8 + last == Array(name)
            && isNormal(Array(directory))
    }
}

extension FileName {
    fileprivate init(_ bytes: [UInt8]) throws(NameError) {
        try self.init(normalising: bytes.span.bytes)
    }

    fileprivate init(_ spelling: String) throws(NameError) {
        try self.init(Array(spelling.utf8))
    }
}

extension Array<UInt8> {
    fileprivate init(_ name: FileName) {
        self = name.bytes.withUnsafeBytes { [UInt8]($0) }
    }
}

extension String {
    fileprivate init(_ name: FileName) {
        self.init(decoding: [UInt8](name), as: UTF8.self)
    }
}
