import Foundation
import TFTPNames
import TFTPReactor
import Testing

@testable import TFTPServer

extension ServerTests {
    /// One name has many spellings: a folder's policy and a rule hold for all of them.
    struct SpellingTests {
        private static func serve(
            configure: @escaping (inout TFTPServer.Configuration) throws -> Void = { _ in },
            _ body: (TestServer) async throws -> Void
        ) async throws {
            try await TestServer.serve { scratch in
                try scratch.makeFolder("firmware")
                try scratch.makeFolder("incoming")
                try scratch.write("firmware/key", Content.bytes(100))
                try scratch.write("incoming/file", Content.bytes(50))
            } configure: { configuration in
                var policy = TFTPServer.Policy()
                policy.folders = ["firmware"]
                policy.read = false
                policy.upload = .deny
                configuration.policies = [policy]
                configuration.upload = .create
                try configure(&configuration)
            } body: {
                try await body($0)
            }
        }

        private static func isRefused(_ download: Download) -> Bool {
            if case .refused = download.state { true } else { false }
        }

        @Test func everySpellingOfAFolder() async throws {
            try await Self.serve { server in
                let root = String(server.scratch.root.dropFirst())
                let names = [
                    "firmware/key", "incoming/../firmware/key", "./firmware//key",
                    "\\firmware\\key", "\(root)/firmware/key", "/\(root)/firmware/key",
                    "firmware/key\u{FF}",
                ]
                for name in names {
                    let download = try server.get(name)
                    #expect(Self.isRefused(download), "\(name)")
                }
                let allowed = try server.get("\(root)/incoming/file")
                #expect(allowed.bytes == Content.bytes(50))
                _ = try server.put("\(root)/firmware/new", [1, 2, 3])
                #expect(server.scratch.read("firmware/new") == nil)
            }
        }

        @Test func namesInAnotherCase() async throws {
            try await Self.serve {
                $0.names.plan.isAnyCase = true
            } _: { server in
                for name in ["FIRMWARE/key", "Firmware/KEY", "firmware/key"] {
                    let download = try server.get(name)
                    #expect(Self.isRefused(download), "\(name)")
                }
                let allowed = try server.get("INCOMING/FILE")
                #expect(allowed.bytes == Content.bytes(50))
            }
        }

        @Test func aMapFileOfAnotherServer() async throws {
            try await Self.serve {
                $0.names.plan.map = .hpa(try HPARules(Array("r ^x/ firmware/\n".utf8)))
            } _: { server in
                for name in ["firmware/key", "/firmware/key", "x/key", "incoming/../firmware/key"] {
                    let download = try server.get(name)
                    #expect(Self.isRefused(download), "\(name)")
                }
                let allowed = try server.get("/incoming/file")
                #expect(allowed.bytes == Content.bytes(50))
            }
        }

        /// As with atftpd, patterns are for names that do not exist, and a folder exists.
        @Test func aFolderComesBeforeAPatternFile() async throws {
            try await Self.serve {
                $0.policies = []
                $0.names.plan.map = .pcre(try PCRERules(Array("^.*$ incoming/file\n".utf8)))
            } _: { server in
                // Each twice: what the resolver has found out, the shard remembers.
                for _ in 0..<2 {
                    for name in ["firmware", "firmware/", "/", ".", "incoming/.."] {
                        let download = try server.get(name)
                        #expect(Self.isRefused(download), "\(name)")
                    }
                    for name in ["missing", "missing/", "incoming/file/", "firmware/missing"] {
                        let download = try server.get(name)
                        #expect(download.bytes == Content.bytes(50), "\(name)")
                    }
                }
            }
        }

        @Test func rulesThatDeny() async throws {
            try await Self.serve {
                $0.policies = []
                $0.names.plan.isAnyCase = true
                $0.names.plan.map = .rules(
                    try RuleSet([
                        (
                            fields: [
                                RuleField("match", ["^firmware/"], line: 1),
                                RuleField("deny", ["no"], line: 1),
                            ], line: 1
                        )
                    ]))
            } _: { server in
                let names = [
                    "firmware/key", "incoming/../firmware/key", "Firmware/key", "FIRMWARE/KEY",
                ]
                for name in names {
                    let download = try server.get(name)
                    #expect(Self.isRefused(download), "\(name)")
                }
                let allowed = try server.get("incoming/file")
                #expect(allowed.bytes == Content.bytes(50))
            }
        }

        /// The root's path may stand in front of a name each time, with rules as without.
        @Test func theRootsPathInFrontWithRules() async throws {
            try await Self.serve {
                $0.names.plan.map = .rules(
                    try RuleSet([
                        (
                            fields: [
                                RuleField("match", ["^old/"], line: 1),
                                RuleField("rewrite", ["incoming/"], line: 1),
                            ], line: 1
                        )
                    ]))
            } _: { server in
                let root = String(server.scratch.root.dropFirst())
                for name in ["\(root)/incoming/file", "old/file", "\(root)/old/file"] {
                    for _ in 0..<3 {
                        let download = try server.get(name)
                        #expect(download.bytes == Content.bytes(50), "\(name)")
                    }
                }
            }
        }

        /// More names than the store has operations for, at once.
        @Test func manyNamesAtOnce() async throws {
            try await Self.serve {
                $0.policies = []
                $0.names.plan.isAnyCase = true
            } _: { server in
                let sockets = try (0..<700).map { _ in try UDPSocket() }
                for (number, socket) in sockets.enumerated() {
                    let name = number.isMultiple(of: 2) ? "INCOMING/file" : "incoming/File"
                    socket.send(Message.read(name), to: server.endpoint)
                }
                // The server still answers, once it has refused or answered these.
                let end = ContinuousClock.now + .seconds(30)
                var bytes: [UInt8] = []
                while bytes.isEmpty, ContinuousClock.now < end {
                    bytes = (try? server.get("incoming/file").bytes) ?? []
                    await Task.yield()
                }
                #expect(bytes == Content.bytes(50))
            }
        }

        @Test func snapshotsAndRulesExcludeEachOther() {
            var configuration = TFTPServer.Configuration(root: "/srv/tftp")
            configuration.snapshotHold = .seconds(60)
            configuration.names.plan.isAnyCase = true
            #expect(configuration.problem?.contains("snapshots") == true)
        }

        // MARK: Reload

        @Test func namesChangeWhileTheServerRuns() async throws {
            try await Self.serve {
                $0.policies = []
                $0.reloadsNames = true
            } _: { server in
                var configuration = TFTPServer.Configuration(root: server.scratch.root)
                let before = try server.get("old/file")
                #expect(Self.isRefused(before))
                for target in ["incoming", "firmware", "incoming"] {
                    let text = "r ^old/ \(target)/\nr ^(.*)/file$ \\1/file\n"
                    configuration.names.plan.map = .hpa(try HPARules(Array(text.utf8)))
                    try await server.server.update(configuration)
                    for _ in 0..<3 {
                        let got = try server.get(target == "incoming" ? "old/file" : "old/key")
                        let count = target == "incoming" ? 50 : 100
                        #expect(got.bytes == Content.bytes(count))
                    }
                }
                configuration.names = NameConfiguration()
                configuration.names.otherRoots = [server.scratch.root + "/firmware"]
                try await server.server.update(configuration)
                let inOtherRoot = try server.get("key")
                #expect(inOtherRoot.bytes == Content.bytes(100))
                configuration.names.otherRoots = ["/no/such/folder"]
                await #expect(throws: ServerError.self) {
                    try await server.server.update(configuration)
                }
                let unchanged = try server.get("key")
                #expect(unchanged.bytes == Content.bytes(100))
                configuration.names = NameConfiguration()
                try await server.server.update(configuration)
                let after = try server.get("old/file")
                #expect(Self.isRefused(after))
            }
        }
    }
}
