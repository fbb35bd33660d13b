import TFTPCore
import TFTPNames
import Testing

/// Map files of tftp-hpa. `MapFileTests` in InteropTests compares random ones with `in.tftpd`
/// itself.
struct HPARulesTests {
    private func run(
        _ text: String, _ name: String, isWrite: Bool = false, client: String = "192.0.2.169",
        existing: Set<String> = []
    ) throws -> String {
        let request = NameRequest(
            name: Array(name.utf8), direction: isWrite ? .wrq : .rrq,
            client: try #require(Address(numericText: client)))
        let rules = try HPARules(Array(text.utf8))
        let result = rules.run(
            request, exists: { existing.contains(String(decoding: $0, as: UTF8.self)) })
        switch result {
        case .name(let name): return String(decoding: name, as: UTF8.self)
        case .refused(let refusal): return "refused: \(refusal.message ?? "")"
        }
    }

    private static let sample = """
        ri\t^[a-z]:\t\t\t# Remove "drive letters"
        rg\t\\\\\t\t/\t\t# Convert backslashes to slashes
        rg\t\\#\t\t@
        rg\t/../\t\t/..no../
        e\t^ok/
        r\t^[^/]\t\t/tftpboot/\\0
        a\t\\.pvt$
        """

    @Test(arguments: [
        ("C:\\boot\\x", "/boot/x"), ("ok/x.pvt", "ok/x.pvt"), ("x", "/tftpboot/x"),
        ("a#b", "/tftpboot/a@b"), ("x.pvt", "refused: "), ("/a/../b", "/a/..no../b"),
    ])
    func theSampleOfTheManual(_ name: String, _ wanted: String) throws {
        #expect(try run(HPARulesTests.sample, name) == wanted)
    }

    @Test(arguments: [
        ("r ^ \\i/", "x", "192.0.2.169/x"), ("r ^ \\x/", "x", "C00002A9/x"),
        ("r ^(.)(.) \\2\\1", "abc", "bac"), ("r b \\U\\0x\\Ey\\LZ", "abc", "aBXyzc"),
        ("r b a\\ b\\#c", "b", "a b#c"), ("r b \\\\", "abc", "a\\c"), ("r b x\\", "b", "x\\"),
        ("rg a bb", "aca", "bbcbb"), ("ri B x", "abc", "axc"), ("r b", "abc", "ac"),
        ("e a\nr a b", "a", "a"), ("e~ a\nr b c", "b", "b"), ("a~ ^ok not\\ ok", "ok/x", "ok/x"),
        ("rG a b", "a", "b"), ("rP a b", "a", "a"), ("r4 a b", "a", "b"), ("r6 a b", "a", "a"),
        // Of all matches that begin first, the longest.
        ("r a|ab x", "abc", "xc"),
        ("r (.)\\1 <\\1>", "abba", "a<b>a"),
    ])
    func operations(_ text: String, _ name: String, _ wanted: String) throws {
        #expect(try run(text, name) == wanted)
    }

    /// In 5.2 the message stands in the name, where the match was.
    @Test func aMessageGoesToTheClient() throws {
        #expect(try run("a b no\\ b", "abc") == "refused: ano bc")
        #expect(try run("a b no\\ b\nE ^x", "abc") == "refused: no b")
    }

    @Test func directionsAndFamilies() throws {
        #expect(try run("rP a b", "a", isWrite: true) == "b")
        #expect(try run("rG a b", "a", isWrite: true) == "a")
        #expect(
            try run("r6 a \\x", "a", client: "2001:db8::1") == "20010DB8000000000000000000000001")
        #expect(try run("r ^.* \\i", "a", client: "2001:db8::1") == "2001:db8::1")
    }

    /// tftpd-hpa 5.2 continues with the second rule; later versions with the first.
    @Test func restart() throws {
        let rules = "r ^c d\nrs ^b c\nr ^c x"
        #expect(try run(rules, "b") == "x")
        #expect(try run(rules + "\nE ^nothing", "b") == "d")
    }

    @Test func laterVersions() throws {
        #expect(try run("rgg a aa", "aba") == "aabaa")
        #expect(try run("j ^a end\nr ^ x\n:end\nr b c", "ab") == "ac")
        #expect(try run("rE ^ 1/\nrE ^ 2/\nr ^ 3/", "x", existing: ["2/x"]) == "2/x")
        #expect(try run("rE ^ 1/\nrE ^ 2/\nr ^ 3/", "x") == "3/x")
        #expect(try run("j ^a nowhere", "a").hasPrefix("refused"))
    }

    @Test(arguments: [
        "rg a aa", "r z y\ns ^", "rg x* y", "r z y\nrs b*$ \\0b", ":a\nj ^ a", "rg (.)\\1* \\0\\0",
        "r ^((a|a)*)*\\1$ x", "rgg x* yy",
    ])
    func whatNeverEndsIsRefused(_ text: String) throws {
        let name = String(repeating: "a", count: 300)
        #expect(try run(text, name) == "refused: Remap table failure")
    }

    @Test func moreEvaluatedRulesThanAllowedAreRefused() throws {
        let rules = Array(repeating: "e ^x", count: 1024).joined(separator: "\n")
        #expect(try run(rules, "a") == "a")
        #expect(try run(rules + "\ne ^x", "a") == "refused: Remap table failure")
    }

    @Test(arguments: [
        ("r", RuleFileError.Problem.noExpression), ("\n\nrq a b", .unknownOperation("q")),
        ("\n\nr~ a b", .conflict("r", "~")), ("\n\nrj a b", .conflict("r", "j")),
        ("\n\nEs a", .conflict("E", "s")),
    ])
    func errorsHaveTheirLine(_ text: String, _ problem: RuleFileError.Problem) {
        let line = text.hasPrefix("\n") ? 3 : 1
        #expect(throws: RuleFileError(line: line, problem)) {
            try HPARules(Array(text.utf8))
        }
    }

    @Test func aWrongExpressionIsNamed() throws {
        let error = try #require(throws: RuleFileError.self) {
            try HPARules(Array("# x\nr (a b".utf8))
        }
        #expect("\(error)".hasPrefix("line 2: invalid expression '(a': "))
    }

    @Test func whatAResultDependsOn() throws {
        #expect(try HPARules(Array("r a b".utf8)).dependencies == [])
        #expect(try HPARules(Array("r a \\x".utf8)).dependencies == .client)
        #expect(try HPARules(Array("r4 a b\nE ^".utf8)).dependencies == [.client, .files])
    }
}
