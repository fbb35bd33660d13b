import TFTPNames
import Testing

/// Pattern files of atftpd.
struct PCRERulesTests {
    private func run(_ text: String, _ name: String, isWrite: Bool = false) throws -> String? {
        let request = NameRequest(name: Array(name.utf8), direction: isWrite ? .wrq : .rrq)
        switch try PCRERules(Array(text.utf8)).run(request) {
        case .unchanged: return nil
        case .name(let name): return String(decoding: name, as: UTF8.self)
        }
    }

    /// The file that comes with atftpd.
    private static let sample = """
        ^[p]?pxelinux.cfg/[0-9A-F]{1,6}$      pxelinux.cfg/default
        ^[p]?pxelinux.0$                      pxelinux.0
        linux\t\t\t\t      linux
        ^str$\t\t\t\t      replaced1
        ^str\t\t\t\t      replaced2
        str$\t\t\t\t      replaced3
        repl(ace)\t\t\t      m$1
        ^\\w*\\.conf$\t\t\t      master.conf

        """

    @Test(arguments: [
        ("pxelinux.cfg/C00002", "pxelinux.cfg/default"), ("ppxelinux.0", "pxelinux.0"),
        ("str", "replaced1"), ("strx", "replaced2x"), ("xstr", "xreplaced3"),
        ("replace", "mace"), ("abc.conf", "master.conf"),
    ])
    func theSample(_ name: String, _ wanted: String) throws {
        #expect(try run(PCRERulesTests.sample, name) == wanted)
    }

    @Test func whatNothingMatchesStays() throws {
        #expect(try run(PCRERulesTests.sample, "other") == nil)
        #expect(try run(PCRERulesTests.sample, "str", isWrite: true) == nil)
    }

    @Test(arguments: [
        ("(a)(b)? $2", "a", ""), ("a x$", "za", "zx"), ("a x/$3y", "a", "x/"),
        ("(a)(b)?c x$2y", "zacd", "zx"), ("a ${1", "xa", "x"), ("a y$nx", "xab", "xy"),
        ("(?<n>a) <${n}>$$", "xa", "x<a>$"), ("a.*?b x", "acbb", "xb"), ("(?i)A \\1", "a", "\\1"),
    ])
    func replacements(_ text: String, _ name: String, _ wanted: String) throws {
        #expect(try run(text, name) == wanted)
    }

    /// atftpd goes on as well where PCRE stops.
    @Test func anEndlessExpressionChangesNothing() throws {
        let name = String(repeating: "a", count: 60) + "c"
        #expect(try run("(a+)+b x\na y\n", name) == nil)
    }

    @Test(arguments: ["a", "a b c", "", " a b", "a b ", "# a comment here", "( b"])
    func whatAtftpdDoesNotReadIsRefused(_ line: String) throws {
        let error = try #require(throws: RuleFileError.self) {
            try PCRERules(Array("x y\n\(line)\nx y\n".utf8))
        }
        #expect(error.line == 2)
    }
}
