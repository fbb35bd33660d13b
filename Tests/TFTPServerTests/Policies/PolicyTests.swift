import Foundation
import TFTPMetrics
import Testing

@testable import TFTPServer

extension ServerTests {
    /// Policies by network, kind of client and folder, and what is in force after an update.
    struct PolicyTests {
        private static let content = Content.bytes(10_000)

        private static func policy(
            network: String? = nil, client: String? = nil, folder: String? = nil,
            _ change: (inout TFTPServer.Policy) -> Void
        ) -> TFTPServer.Policy {
            var policy = TFTPServer.Policy()
            policy.networks = network.map { [TFTPServer.Network($0)!] } ?? []
            policy.clients = client.map { [TFTPServer.ClientKind($0)!] } ?? []
            policy.folders = folder.map { [TFTPServer.Policy.folder($0)!] } ?? []
            change(&policy)
            return policy
        }

        private static func serve(
            _ policies: [TFTPServer.Policy],
            configure: @escaping (inout TFTPServer.Configuration) -> Void = { _ in },
            _ body: (TestServer) async throws -> Void
        ) async throws {
            try await TestServer.serve { scratch in
                for folder in ["images", "images2"] {
                    try FileManager.default.createDirectory(
                        atPath: scratch.root + "/" + folder, withIntermediateDirectories: true)
                }
                for name in ["file", "images/file", "images2/file"] {
                    try scratch.write(name, content)
                }
            } configure: {
                $0.policies = policies
                configure(&$0)
            } body: {
                try await body($0)
            }
        }

        /// What iPXE and GRUB ask for.
        private static let ipxe: [Option] = [.blksize(1432), .tsize(0)]
        private static let grub: [Option] = [.blksize(1024), .tsize(0)]

        @Test func theClientsNetwork() async throws {
            let policies = [
                Self.policy(network: "127.0.0.0/8") { $0.blksizeMax = 600 },
                Self.policy(network: "10.0.0.0/8") { $0.blksizeMax = 700 },
                Self.policy { $0.blksizeMax = 800 },
            ]
            try await Self.serve(policies) { server in
                let download = try server.get("file", Self.ipxe)
                #expect(download.granted == [.blksize(600), .tsize(10_000)])
                #expect(download.bytes == Self.content)
            }
        }

        @Test func theKindOfClient() async throws {
            let policies = [
                Self.policy(client: "ipxe") {
                    $0.windowsizeMax = 1; $0.blksizeMax = 700
                }
            ]
            try await Self.serve(policies) { server in
                let ipxe = try server.get("file", Self.ipxe)
                #expect(ipxe.granted?.number("blksize") == 700)
                let grub = try server.get("file", Self.grub)
                #expect(grub.granted?.number("blksize") == 1024)
            }
        }

        /// An option that is refused is as one that was not asked for, and the log still knows the
        /// client.
        @Test func refusedOptions() async throws {
            let policies = [
                Self.policy { $0.refusedOptions = [.blksize] },
                Self.policy(folder: "images") { $0.refusedOptions = [.blksize, .tsize] },
            ]
            try await Self.serve(policies) { server in
                let withoutBlksize = try server.get("file", Self.ipxe)
                #expect(withoutBlksize.granted == [.tsize(10_000)])
                let plain = try server.get("images/file", Self.ipxe)
                #expect(plain.granted == nil)
                #expect(plain.bytes == Self.content)
            }
        }

        /// A folder is meant as a whole word, however the client spells the name.
        @Test(arguments: ["images/file", "/images/file", "images\\file", "images//file"])
        func foldersThatMayNotBeRead(name: String) async throws {
            let policies = [Self.policy(folder: "/images/") { $0.read = false }]
            try await Self.serve(policies) { server in
                let hidden = try server.get(name)
                #expect(hidden.state == .refused(2, "Access violation"))
                let sibling = try server.get("images2/file")
                #expect(sibling.bytes == Self.content)
                let above = try server.get("file")
                #expect(above.bytes == Self.content)
            }
        }

        @Test func foldersThatMayBeWritten() async throws {
            let policies = [
                Self.policy(folder: "images") {
                    $0.upload = .create; $0.uploadSizeMax = 2000
                }
            ]
            try await Self.serve(policies) { server in
                let bytes = Content.bytes(1500)
                let created = try server.put("images/new", bytes)
                #expect(created.state == .done)
                let denied = try server.put("new", bytes)
                #expect(denied.state == .refused(2, "Access violation"))
                let large = try server.put("images/large", Content.bytes(3000))
                #expect(large.state != .done)
                let stored = try server.get("images/new")
                #expect(stored.bytes == bytes)
            }
        }

        @Test func folderNames() {
            #expect(TFTPServer.Policy.folder("/a//b/") == "a/b")
            #expect(TFTPServer.Policy.folder("a\\b") == "a/b")
            #expect(TFTPServer.Policy.folder("") == nil)
            #expect(TFTPServer.Policy.folder("/") == nil)
            #expect(TFTPServer.Policy.folder("../a") == nil)
        }

        @Test func anUpdateHoldsForTheNextRequest() async throws {
            try await Self.serve([], configure: { $0.isReloadable = true }) { server in
                let before = try server.get("file", Self.ipxe)
                #expect(before.granted?.number("blksize") == 1432)
                var next = TFTPServer.Configuration(root: "/nowhere")
                next.blksizeMax = 600
                next.upload = .create
                try await server.server.update(next)
                let after = try server.get("file", Self.ipxe)
                #expect(after.granted?.number("blksize") == 600)
                let upload = try server.put("new", Content.bytes(100))
                #expect(upload.state == .done)
                next.blksizeMax = 4
                await #expect(throws: ServerError.self) { try await server.server.update(next) }
                let unchanged = try server.get("file", Self.ipxe)
                #expect(unchanged.granted?.number("blksize") == 600)
            }
        }

        /// Hundreds of updates while 300 clients read: no transfer notices.
        @Test func updatesUnderLoad() async throws {
            let byteCount = 400_000
            let content = Content.bytes(byteCount)
            try await TestServer.serve {
                try $0.write("file", content)
            } configure: {
                $0.shards = 2
            } body: { server in
                let options: [Option] = [.blksize(1000), .windowsize(4)]
                let downloads = (0..<300).map { _ in Download("file", options) }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                let swarmEnds = Task.detached {
                    await withCheckedContinuation { continuation in
                        DispatchQueue(label: "swarm").async {
                            swarm.run(limit: .seconds(60))
                            continuation.resume()
                        }
                    }
                }
                var configuration = TFTPServer.Configuration(root: server.scratch.root)
                for number in 0..<300 {
                    configuration.blksizeMax = UInt16(1000 + number % 7)
                    configuration.policies = (0..<number % 20).map { index in
                        Self.policy(network: "10.\(index).0.0/16") { $0.read = false }
                    }
                    try await server.server.update(configuration)
                }
                await swarmEnds.value
                for download in swarm.downloads {
                    #expect(download.state == .done)
                    let isEqual = download.bytes == content
                    #expect(isEqual)
                    #expect(download.granted == options)
                }
                #expect(server.counter(.transfersFailed) == 0)
                #expect(server.counter(.requestsRefused) == 0)
            }
        }
    }
}
