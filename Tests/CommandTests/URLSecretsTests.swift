import Testing

@testable import bootstorm

/// A password in a URL is printed nowhere, however wrong the URL is.
struct URLSecretsTests {
    private static let urls = [
        "htp://u:s3cret@h/", "http://u:s3cret@h:99999/", "http://u:s3cret@/x",
        "tftp://u:s3cret@h/x", "s3://K:s3cret@b/", "u:s3cret@h/x", "//u:s3cret@h/x",
        "http://u:s3cret/more@h/", "http://u:s3cret it's@h:port/?a=b", "http://s3cret@h:x/",
        "etcd://a,u:s3cret@b/lab",
    ]
    private static let commands = [
        ["serve", "/nowhere", "--origin"], ["serve", "/nowhere", "--peer"],
        ["serve", "/nowhere", "--snapshots", "--fleet"], ["fleet", "status", "--fleet"],
        ["ls"], ["get"], ["bench"], ["serve", "--listen"],
    ]

    @Test(arguments: urls, commands)
    func errorsOfUsage(url: String, command: [String]) {
        let flag = command.last?.hasPrefix("--") == true ? command.last : nil
        let joined = flag.map { command.dropLast() + ["\($0)=\(url)"] } ?? command + [url]
        for arguments in [command + [url], Array(joined)] {
            do {
                _ = try Bootstorm.parseAsRoot(arguments)
            } catch {
                let line = URLSecrets(arguments).removed(
                    from: UsageError.line(of: Bootstorm.fullMessage(for: error)))
                #expect(!line.contains("s3cret"))
                #expect(!line.isEmpty)
            }
        }
    }

    @Test(arguments: urls)
    func errorsOfAFile(url: String) {
        for key in ["origin", "fleet", "peer"] {
            let setting = Setting.all.first { $0.key == key }
            #expect(setting?.problem(with: url)?.contains("s3cret") != true)
        }
    }

    /// The parts into which a command cuts a URL.
    @Test func partsOfAURL() {
        let secrets = URLSecrets(["get", "tftp://u:s3/cret@h/x", "--out=plain@host"])
        #expect(secrets.removed(from: "no such host: u:s3") == "no such host: …")
        #expect(secrets.removed(from: "'tftp://u:s3/cret@h/x' fails") == "'tftp://h/x' fails")
        #expect(secrets.removed(from: "plain@host") == "plain@host")
    }

    /// The log names the members of an engine.
    @Test func aMemberHasNoPassword() {
        #expect(FleetAddress(argument: "etcd://u:s3cret@a/lab") == nil)
        #expect(FleetAddress(argument: "etcd://a,b/lab") != nil)
    }
}
