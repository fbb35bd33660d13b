import TFTPCore
import TFTPNames
import TFTPWire
import Testing

struct RuleSetTests {
    private func rules(_ rules: [(String, String)]...) throws -> RuleSet {
        try RuleSet(
            rules.enumerated().map { index, fields in
                (fields.map { RuleField($0.0, [$0.1], line: index + 1) }, index + 1)
            })
    }

    private func run(_ rules: RuleSet, _ request: NameRequest) -> String {
        switch rules.run(request) {
        case .files(let names, let root):
            let text = names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
            return root.map { "\($0): \(text)" } ?? text
        case .template(let path, let variables):
            return "template \(String(decoding: path, as: UTF8.self)) \(variables["name"] ?? "")"
        case .refused(let refusal):
            return "refused \(refusal.code.rawValue) \(refusal.message ?? "")"
        }
    }

    private let client = NameRequest(
        name: Array("boot/x".utf8), client: Address(ipv4: 0xC000_020A),
        server: Address(ipv4: 0xC000_0201), kind: .grub,
        mac: MACAddress(text: "B8:27:EB:01:02:03"), hostName: "n1", serial: "1234abcd")

    @Test(arguments: [
        ("^boot/(.*)$", "pi/$1", "pi/x"), ("o", "0", "b0ot/x"),
        ("^", "${ip}/", "192.0.2.10/boot/x"),
        ("^", "${ip-hex}/", "C000020A/boot/x"), ("x$", "${mac}", "boot/01-b8-27-eb-01-02-03"),
        ("x$", "${mac-colons|upper}", "boot/B8:27:EB:01:02:03"), ("x$", "${host}$$", "boot/n1$"),
        ("x$", "${serial}-${server}", "boot/1234abcd-192.0.2.1"),
        ("(?<dir>boot)", "${dir|upper}", "BOOT/x"), ("x$", "${kind}", "boot/grub"),
    ])
    func rewrites(_ match: String, _ rewrite: String, _ wanted: String) throws {
        #expect(run(try rules([("match", match), ("rewrite", rewrite)]), client) == wanted)
    }

    @Test func rulesActInOrder() throws {
        let set = try rules(
            [("match", "^boot/"), ("rewrite", "a/")], [("match", "^a/"), ("rewrite", "b/")])
        #expect(run(set, client) == "b/x")
        let stopping = try rules(
            [("match", "^boot/"), ("rewrite", "a/"), ("then", "stop")],
            [("match", "^a/"), ("rewrite", "b/")])
        #expect(run(stopping, client) == "a/x")
        let restarting = try rules(
            [("match", "^a/"), ("rewrite", "b/")],
            [("match", "^boot/"), ("rewrite", "a/"), ("then", "restart")])
        #expect(run(restarting, client) == "b/x")
    }

    @Test func everyOccurrence() throws {
        let set = try rules([("match", "o"), ("rewrite", "oo"), ("all", "true")])
        #expect(run(set, client) == "boooot/x")
        let empty = try rules([("match", "y*"), ("rewrite", "-"), ("all", "true")])
        #expect(run(empty, client) == "-b-o-o-t-/-x-")
    }

    @Test(arguments: [
        ("direction", "read", true), ("direction", "write", false), ("mode", "octet", true),
        ("mode", "netascii", false), ("kind", "grub", true), ("kind", "ipxe", false),
        ("network", "192.0.2.0/24", true), ("network", "10.0.0.0/8", false),
        ("mac", "b8:27:eb:*", true), ("mac", "00:11:22:*", false), ("match", "^boot", true),
        ("match", "^toob", false),
    ])
    func conditions(_ key: String, _ value: String, _ holds: Bool) throws {
        let set = try rules([(key, value), ("deny", "no")])
        #expect(run(set, client) == (holds ? "refused 2 no" : "boot/x"))
    }

    @Test func theClientKindIsAnyOfSeveral() throws {
        let set = try RuleSet([
            ([RuleField("kind", ["ipxe", "grub"]), RuleField("deny", [""])], 1)
        ])
        #expect(run(set, client) == "refused 2 ")
    }

    @Test func inverted() throws {
        let set = try rules([
            ("match", "^boot/"), ("not", "true"), ("deny", "only boot"), ("code", "1"),
        ])
        #expect(run(set, client) == "boot/x")
        var other = client
        other.name = Array("etc/x".utf8)
        #expect(run(set, other) == "refused 1 only boot")
    }

    @Test func namesAreTriedInOrder() throws {
        let set = try RuleSet([
            (
                [
                    RuleField("try", ["${host.rack}/$0", "${mac}/x", "x"]),
                    RuleField("match", ["x$"]),
                ], 1
            )
        ])
        #expect(run(set, client) == "01-b8-27-eb-01-02-03/x x")
        var stranger = client
        stranger.mac = nil
        #expect(run(set, stranger) == "x")
        stranger.hostFields["rack"] = "r7"
        #expect(run(set, stranger) == "r7/x x")
    }

    @Test func aRuleWhoseVariableIsUnknownDoesNothing() throws {
        let set = try rules(
            [("match", "^"), ("rewrite", "${mac}/"), ("then", "stop")],
            [("match", "^"), ("rewrite", "default/")])
        var stranger = client
        stranger.mac = nil
        #expect(run(set, stranger) == "default/boot/x")
    }

    @Test func anotherRootAndTemplates() throws {
        let set = try rules([("match", "^boot/"), ("root", "/srv/boot"), ("rewrite", "")])
        #expect(run(set, client) == "/srv/boot: x")
        #expect(set.roots == ["/srv/boot"])
        let template = try rules([("match", "x$"), ("template", "x.tmpl")])
        #expect(run(template, client) == "template x.tmpl boot/x")
    }

    @Test func whatGoesRoundIsRefused() throws {
        let set = try rules([("match", "^b?"), ("rewrite", "b"), ("then", "restart")])
        #expect(run(set, client) == "refused 2 ")
        let growing = try rules([("match", "$"), ("rewrite", "$0$0xxxxxxxx"), ("then", "restart")])
        #expect(run(growing, client) == "refused 2 ")
    }

    @Test func aBombIsRefusedAndItsRuleNamed() throws {
        var request = client
        request.name = Array(repeating: 0x61, count: 60) + [0x21]
        let set = try rules([("match", "^(a+)+$"), ("deny", "")])
        #expect(set.run(request) == .refused(NameRefusal(.tooManySteps(line: 1))))
    }

    @Test(arguments: [
        ("mtach", "x", "unknown key 'mtach'"),
        ("direction", "up", "invalid value 'up' of 'direction'"),
        ("match", "(", "invalid expression '('"), ("network", "10.0.0.0/33", "invalid value"),
        ("deny", "$x", "invalid replacement"), ("template", "${unknown}", "no group or variable"),
        ("then", "go", "allowed: continue, stop, restart"), ("mac", "zz", "invalid value 'zz'"),
    ])
    func errorsSayWhatIsWrong(_ key: String, _ value: String, _ text: String) throws {
        let error = try #require(throws: RuleFileError.self) {
            try RuleSet([([RuleField(key, [value], line: 7)], 7)])
        }
        #expect("\(error)".hasPrefix("line 7: "))
        #expect("\(error)".contains(text))
    }

    /// There is nothing to replace where an expression does not match.
    @Test func aRewriteOfWhatDoesNotMatch() throws {
        let error = try #require(throws: RuleFileError.self) {
            try rules([("match", "x"), ("not", "true"), ("rewrite", "y")])
        }
        #expect("\(error)".hasSuffix("'not' and 'rewrite' exclude each other"))
    }

    @Test func whatDecisionsDependOn() throws {
        #expect(try rules([("match", "x"), ("deny", "")]).dependencies == [])
        #expect(try rules([("kind", "grub"), ("deny", "")]).dependencies == .kind)
        #expect(
            try rules([("match", "x"), ("rewrite", "${mac}")]).dependencies == [.client, .host])
    }
}
