import Foundation
import Testing

extension ServerTests {
    /// Many clients at once.
    struct SwarmTests {
        static let clientCount = 500
        static let fileCount = 20
        static let optionLists: [[Option]] = [
            [],
            [.tsize(0), .blksize(1408)],
            [.blksize(1432), .tsize(0)],
            [.blksize(1024), .tsize(0)],
            [.tsize(0), .blksize(1468), .windowsize(4)],
            [.timeout(5), .blksize(1468), .windowsize(16)],
            [.blksize(8192), .windowsize(8)],
            [.windowsize(64), .blksize(700)],
        ]

        /// 500 clients on two shards, reading and writing, in both modes, with what boot loaders
        /// ask for.
        @Test func fiveHundredOnTwoShards() async throws {
            try await TestServer.serve { scratch in
                for index in 0..<Self.fileCount {
                    try scratch.write("file-\(index)", Self.content(index))
                }
            } configure: {
                $0.shards = 2
                $0.upload = .create
                $0.transfersMax = 2048
            } body: { server in
                let halves = [
                    try Swarm(server.endpoint, (0..<250).map(Self.role)),
                    try Swarm(server.endpoint, (250..<Self.clientCount).map(Self.role)),
                ]
                Self.runAtOnce(halves)
                for (number, role) in halves.flatMap(\.roles).enumerated() {
                    Self.check(role, number, server)
                }
                let all = UInt64(Self.clientCount)
                #expect(server.wait { server.counter(.transfersDone) == all })
                #expect(server.counter(.transfersFailed) == 0)
                #expect(server.counter(.requestsRefused) == 0)
                #expect(server.counter(.transfersStarted) == all)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                for shard in 0..<2 {
                    let served = server.counter(.transfersDone, shard: shard)
                    #expect(served > all / 10, "shard \(shard) served \(served)")
                    #expect(server.counter(.datagramsReceived, shard: shard) > served)
                }
                // Hundreds of clients for eighteen files: each was read once.
                let read = (0..<Self.fileCount).filter { $0 % 10 != 3 }
                let fileBytes = read.reduce(0) { $0 + Self.content($1).count }
                #expect(server.server.readByteCount == UInt64(fileBytes))
            }
        }

        private static func runAtOnce(_ swarms: [Swarm]) {
            let group = DispatchGroup()
            for swarm in swarms {
                DispatchQueue(label: "swarm").async(group: group) { swarm.run(limit: .seconds(30)) }
            }
            group.wait()
        }

        static func content(_ index: Int) -> [UInt8] {
            index % 5 == 4
                ? Content.text(10_000 + index, seed: UInt64(index))
                : Content.bytes(5_000 * index + index, seed: UInt64(index))
        }

        /// One in ten writes a file of its own, the others read one of the common ones.
        static func role(_ number: Int) -> Swarm.Role {
            let options = optionLists[number % optionLists.count]
            let index = number % fileCount
            if number % 10 == 3 {
                let bytes = Content.bytes(20_000, seed: UInt64(number))
                return .upload(Upload("upload-\(number)", bytes, options))
            }
            let mode = index % 5 == 4 ? "netascii" : "octet"
            return .download(Download(spelling(number, "file-\(index)"), options, mode: mode))
        }

        private static func spelling(_ number: Int, _ name: String) -> String {
            switch number % 4 {
            case 0: name
            case 1: "/" + name
            case 2: ".//" + name
            default: "\\" + name
            }
        }

        private static func check(_ role: Swarm.Role, _ number: Int, _ server: TestServer) {
            #expect(role.state == .done, "client \(number)")
            switch role {
            case .upload(let upload):
                #expect(server.scratch.read("upload-\(number)") == upload.bytes)
            case .download(let download):
                let index = number % fileCount
                let content = content(index)
                let wanted = index % 5 == 4 ? Content.netascii(content) : content
                #expect(download.bytes == wanted, "client \(number)")
            }
        }
    }
}
