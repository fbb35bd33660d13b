import Testing

@testable import bootstorm

/// Wrong usage is one line: what is wrong, what the flag takes, where to read on.
struct UsageErrorTests {
    @Test(arguments: [
        (
            "Error: missing server\nUsage: bootstorm bench run\n  See 'bootstorm bench run --help' for more information.",
            "missing server; see 'bootstorm bench run --help'"
        ),
        (
            "Error: The value 'x' is invalid for '--cache <bytes>'\nHelp:  --cache <bytes>  Memory for\n   file content.\nUsage: b",
            "The value 'x' is invalid for '--cache <bytes>' (Memory for file content.)"
        ),
        ("Error: one\n  two\nUsage: b", "one two"),
    ])
    func oneLine(message: String, line: String) {
        #expect(UsageError.line(of: message) == line)
    }

    /// What a command finds wrong when it runs names that command's help.
    @Test(arguments: [
        ("fleet status --json", "fleet status"), ("import tftpd-hpa file", "import"),
        ("--version", ""), ("gett", ""),
    ])
    func hintNamesTheCommand(line: String, command: String) {
        let arguments = line.split(separator: " ").map(String.init)
        #expect(CommandNames.path(of: arguments) == command)
        let message = "Error: x\nUsage: b\n  See 'bootstorm --help' for more information."
        let hint = command.isEmpty ? "bootstorm --help" : "bootstorm help \(command)"
        #expect(UsageError.line(of: message, command: command) == "x; see '\(hint)'")
    }

    /// Every kind of wrong input, over all commands.
    @Test(arguments: WrongInput.all)
    func wrongInput(_ input: WrongInput) throws {
        var message = ""
        do {
            _ = try Bootstorm.command(of: input.arguments)
        } catch {
            #expect(Bootstorm.exitCode(for: error).rawValue == 64)
            message = UsageError.line(of: Bootstorm.fullMessage(for: error))
        }
        #expect(!message.isEmpty, "'\(input.arguments.joined(separator: " "))' is accepted")
        #expect(!message.contains("\n"))
        #expect(message.contains(input.names), "\(message)")
    }
}

/// A command line that is wrong, and what its message must name.
struct WrongInput: CustomTestStringConvertible, Sendable {
    let arguments: [String]
    let names: String

    init(_ line: String, _ names: String) {
        arguments = line.split(separator: " ").map(String.init)
        self.names = names
    }

    var testDescription: String { arguments.joined(separator: " ") }

    static let all = [
        WrongInput("gett tftp://h/x", "did you mean get?"),
        WrongInput("fleet stauts", "did you mean status?"),
        WrongInput("frobnicate", "allowed are serve, check, status"),
        WrongInput("serve /srv --listen :99999", ":99999"),
        WrongInput("serve /srv --listen nonsense:x:y", "nonsense:x:y"),
        WrongInput("serve /srv --shards 0", "1 to 256"),
        WrongInput("serve /srv --shards many", "--shards"),
        WrongInput("serve /srv --upload perhaps", "--upload"),
        WrongInput("serve /srv --cache lots", "--cache"),
        WrongInput("serve /srv --ports 9-1", "--ports"),
        WrongInput("serve /srv --ports 1", "--ports"),
        WrongInput("serve /srv --blksize-max 7", "8 to 65464"),
        WrongInput("serve /srv --windowsize-max 0", "1 to 65535"),
        WrongInput("serve /srv --log-level loud", "--log-level"),
        WrongInput("serve /srv --log-format xml", "--log-format"),
        WrongInput("serve /srv --drain -1", "--drain"),
        WrongInput("serve /srv --lisen :69", "--lisen"),
        WrongInput("serve /srv --single-port --ports 1000-2000", "range of ports"),
        WrongInput("fleet dhcp", "server"),
        WrongInput("fleet dhcp bind", "bind"),
        WrongInput("fleet dhcp kea --per row", "--per"),
        WrongInput("fleet dhcp kea --prefix 33", "--prefix"),
        WrongInput("fleet dhcp kea --boot-file a,b", "--boot-file"),
        WrongInput(
            "serve /srv --snapshots --fleet etcd://a/f --fleet-address :69", "--fleet-address"),
        WrongInput("get", "host[:port]/name"),
        WrongInput("get 10.0.0.1", "10.0.0.1"),
        WrongInput("get 10.0.0.1/", "10.0.0.1"),
        WrongInput("get /name", "/name"),
        WrongInput("get http://10.0.0.1/name", "http://10.0.0.1/name"),
        WrongInput("get h/a h/b -o one", "-o DIR/"),
        WrongInput("get h/a h/x/a", "same name"),
        WrongInput("get h/a --sha256 abc", "--sha256"),
        WrongInput("get h/a --blksize 7", "blksize"),
        WrongInput("get h/a --blksize big", "--blksize"),
        WrongInput("get h/a --windowsize 0", "windowsize"),
        WrongInput("get h/a --timeout 0", "timeout"),
        WrongInput("get h/a --timeout 256", "--timeout"),
        WrongInput("get h/a --patience 0", "--patience"),
        WrongInput("get h/a --patience nan", "--patience"),
        WrongInput("get h/a --retry -1", "--retry"),
        WrongInput("get h/a --wait 1e9", "--wait"),
        WrongInput("get h/a --size-max huge", "--size-max"),
        WrongInput("get h/a --trust KEY", "KEY"),
        WrongInput("get h/a h/b --offset 1", "--offset"),
        WrongInput("get h/a --json -o -", "--json"),
        WrongInput("get tftp://h/a;mode=mail", "mode"),
        WrongInput("put", "<file>"),
        WrongInput("put f", "host[:port][/name]"),
        WrongInput("put - h", "standard input"),
        WrongInput("put - h/dir/", "standard input"),
        WrongInput("put f h/a --source-patience 0", "--source-patience"),
        WrongInput("put f h/a --no-option", "--no-option"),
        WrongInput("bench", "missing server"),
        WrongInput("bench 127.0.0.1", "127.0.0.1"),
        WrongInput("bench h/f --clients 0", "--clients"),
        WrongInput("bench h/f --clients 1 --transfers 0", "--transfers"),
        WrongInput("bench h/f --seconds 0", "--seconds"),
        WrongInput("bench h/f --seconds 1 --transfers 1", "--transfers"),
        WrongInput("bench h/f --rate 0", "--rate"),
        WrongInput("bench h/f --client toaster", "--client"),
        WrongInput("bench h/f --client ipxe:0", "--client"),
        WrongInput("bench h/f --impair loss=200%", "--impair"),
        WrongInput("bench h/f --plot x.gif", "x.gif"),
        WrongInput("bench h/f --fail-if p99>20", "--fail-if"),
        WrongInput("bench h/f --fail-if speed>1", "--fail-if"),
        WrongInput("bench h/f --json - --csv -", "--json"),
        WrongInput("bench compare one.json", "after.json"),
        WrongInput("tune h/f --pacing", "--pacing"),
        WrongInput("tune --seconds 0", "--seconds"),
        WrongInput("tune --blksizes 1,x", "--blksizes"),
        WrongInput("tune --windowsizes 70000", "--windowsizes"),
        WrongInput("relay --server 127.0.0.1:6969", "--listen"),
        WrongInput("bench h/f --seal-key k --blksize 16", "32 or more"),
        WrongInput("publish", "folder to publish"),
        WrongInput("publish /srv --keep 0", "1 or more"),
        WrongInput("seal-key", "<id>"),
        WrongInput("seal-key k1 k2", "k2"),
        WrongInput("map-test", "--expect"),
        WrongInput("ls", "<node>"),
        WrongInput("peers", "<node>"),
        WrongInput("sign-key", "<file>"),
        WrongInput("doctor --port 0", "--port"),
        WrongInput("fleet promote", "<set>"),
        WrongInput("fleet drain --fleet etcd://a/b", "<node>"),
        WrongInput("fleet stage --fleet http://a/b", "etcd://HOST"),
        WrongInput("status --rows x", "--rows"),
        WrongInput("status --control", "--control"),
        WrongInput("trace", "<client>"),
        WrongInput("trace 10.0.0.300", "10.0.0.300"),
        WrongInput("trace 10.0.0.1/33", "10.0.0.1/33"),
        WrongInput("reload now", "now"),
        WrongInput("import", "tftpd-hpa"),
        WrongInput("import isc", "isc"),
        WrongInput("serve /srv --http 9469", "--http"),
        WrongInput("serve /srv --origin ftp://x", "ftp://x"),
        WrongInput("nonsense", "nonsense"),
    ]
}
