import Foundation
import TFTPCore
import Testing

extension ServerTests {
    /// What clients may write, and that a file is either whole or not there.
    struct UploadTests {
        static let byteCounts = [0, 1, 511, 512, 513, 1 << 20]

        @Test func nothingByDefault() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
            } body: { server in
                for name in ["file", "new", "missing/new"] {
                    let state = try server.put(name, [1, 2]).state
                    #expect(state == .refused(2, "Access violation"))
                }
                #expect(server.scratch.list() == ["file"])
                #expect(server.scratch.read("file") == [7])
            }
        }

        @Test func filesOfManySizes() async throws {
            let optionLists: [[Option]] = [
                [], [.blksize(1468)], [.tsize(0), .blksize(8192), .windowsize(8)],
                [.windowsize(64)], [.blksize(65464), .windowsize(3)],
            ]
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                for count in Self.byteCounts {
                    for (index, options) in optionLists.enumerated() {
                        let content = Content.bytes(count, seed: UInt64(index))
                        let put = try server.put("new-\(count)-\(index)", content, options)
                        #expect(put.state == .done, "\(count) bytes with \(options)")
                        #expect(server.scratch.read("new-\(count)-\(index)") == content)
                    }
                }
                #expect(server.scratch.list().count == Self.byteCounts.count * optionLists.count)
                // And back again.
                let got = try server.get("new-1048576-0", [.blksize(8192)])
                #expect(got.bytes == Content.bytes(1 << 20, seed: 0))
            }
        }

        @Test func smallBlocks() async throws {
            let content = Content.bytes(5_001)
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                for options: [Option] in [[.blksize(8)], [.blksize(9), .windowsize(64)]] {
                    let put = try server.put("new-\(options)", content, options)
                    #expect(put.state == .done)
                    #expect(server.scratch.read("new-\(options)") == content)
                }
            }
        }

        /// Uploads that no client goes on with make way for one that does, at once.
        @Test func silentUploadsMakeWay() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                for index in 0..<300 {
                    let socket = try UDPSocket("127.0.0.1")
                    socket.send(Message.write("silent-\(index)"), to: server.endpoint)
                }
                // The first of them have had their time once the last of these is answered.
                let isServed = server.wait {
                    (try? server.put("first", [1]).state) == .done
                }
                #expect(isServed)
                for name in ["one", "two"] {
                    let state = try server.put(name, Content.bytes(3000)).state
                    #expect(state == .done)
                }
            }
        }

        @Test func netascii() async throws {
            let text = Content.text(30_000)
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let wire = Content.netascii(text)
                for options: [Option] in [[], [.blksize(8)], [.blksize(777), .windowsize(5)]] {
                    let put = try server.put("new-\(options)", wire, options, mode: "netascii")
                    #expect(put.state == .done)
                    #expect(server.scratch.read("new-\(options)") == text)
                }
                // A CR that nothing follows stays.
                _ = try server.put("cr", [97, 13], mode: "netascii")
                #expect(server.scratch.read("cr") == [97, 13])
            }
        }

        @Test func createNeverReplaces() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                try $0.link("link", to: "file")
                try $0.link("dangling", to: "nowhere")
            } configure: {
                $0.upload = .create
            } body: { server in
                for name in ["file", "link", "dangling"] {
                    let state = try server.put(name, [1, 2]).state
                    #expect(state == .refused(6, "File already exists"), "\(name)")
                }
                #expect(server.scratch.read("file") == [7])
                #expect(server.scratch.list() == ["dangling", "file", "link"])
            }
        }

        /// The name is taken while the upload is under way: the first file keeps it.
        @Test func createLosesARace() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let client = try Client(server.endpoint)
                var upload = client.run(Upload("new", Content.bytes(3000)), until: 3)
                try server.scratch.write("new", [7])
                client.proceed(&upload)
                #expect(upload.state == .refused(6, "File already exists"))
                #expect(server.scratch.read("new") == [7])
                #expect(server.scratch.list() == ["new"])
            }
        }

        /// Until the last byte is there every client reads the old file, and then the new one.
        @Test func overwriteReplacesInOneStep() async throws {
            let old = Content.bytes(50_000, seed: 1)
            let new = Content.bytes(70_000, seed: 2)
            try await TestServer.serve {
                try $0.write("file", old)
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let client = try Client(server.endpoint)
                var upload = Upload("file", new, [.blksize(1400)])
                client.send(upload.request)
                for block in stride(from: 1, through: 43, by: 7) {
                    client.proceed(&upload, until: UInt64(block))
                    let got = try server.get("file")
                    #expect(got.state == .done)
                    #expect(got.bytes == old)
                    #expect(server.scratch.list() == ["file"])
                }
                client.proceed(&upload)
                #expect(upload.state == .done)
                #expect(try server.get("file").bytes == new)
                #expect(server.scratch.list() == ["file"])
                #expect(try server.put("other", [1]).state == .done)
            }
        }

        /// Two clients write one name: the file is one of the two, whole.
        @Test func twoWritersOfOneName() async throws {
            try await TestServer.serve(configure: { $0.upload = .overwrite }) { server in
                let contents = [Content.bytes(90_000, seed: 1), Content.bytes(80_000, seed: 2)]
                let swarm = try Swarm(
                    server.endpoint, contents.map { .upload(Upload("file", $0, [.windowsize(4)])) })
                swarm.run(limit: .seconds(10))
                #expect(swarm.roles.allSatisfy { $0.state == .done })
                let file = server.scratch.read("file")
                #expect(contents.contains { $0 == file })
                #expect(server.scratch.list() == ["file"])
            }
        }

        @Test func tooLarge() async throws {
            let limit = 100_000
            try await TestServer.serve {
                try $0.write("old", [7])
            } configure: {
                $0.upload = .overwrite
                $0.uploadSizeMax = UInt64(limit)
            } body: { server in
                let announced = try server.put("new", Content.bytes(10), [.tsize(limit + 1)])
                #expect(announced.state == .refused(3, "File too large"))
                for options: [Option] in [[], [.blksize(1428), .windowsize(16)]] {
                    let put = try server.put("old", Content.bytes(limit + 1), options)
                    #expect(put.state == .refused(3, "File too large"), "\(options)")
                    #expect(server.scratch.list() == ["old"])
                    #expect(server.scratch.read("old") == [7])
                }
                let fitting = try server.put("fitting", Content.bytes(limit), [.tsize(limit)])
                #expect(fitting.state == .done)
                #expect(server.scratch.list() == ["fitting", "old"])
            }
        }

        @Test(.enabled("only root may mount a file system of 1 MiB") { Scratch.canMount })
        func aFullDisk() async throws {
            try await TestServer.serve {
                try $0.mountSmallFileSystem()
                try $0.write("old", Content.bytes(1000))
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let content = Content.bytes(3 << 20)
                let before = server.scratch.list()
                let options: [Option] = [.blksize(8192), .windowsize(8)]
                for name in ["new", "old"] {
                    for more: [Option] in [[], [.tsize(content.count)]] {
                        let put = try server.put(name, content, options + more)
                        guard case .refused(3, _) = put.state else {
                            Issue.record("\(name) with \(more): \(put.state)")
                            continue
                        }
                        #expect(server.scratch.list() == before)
                    }
                }
                #expect(server.scratch.read("old") == Content.bytes(1000))
                // What was written of it is free again.
                let fitting = try server.put("fitting", Content.bytes(900_000), options)
                #expect(fitting.state == .done)
                #expect(server.scratch.read("fitting") == Content.bytes(900_000))
            }
        }

        @Test func givenUpMidway() async throws {
            try await TestServer.serve {
                try $0.write("old", [7])
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                for name in ["new", "old"] {
                    let client = try Client(server.endpoint)
                    _ = client.run(
                        Upload(name, Content.bytes(300_000), [.blksize(1000)]), until: 200)
                    client.send(Message.error(0, "never mind").bytes)
                    #expect(server.wait { server.server.activeTransferCount == 0 })
                    #expect(server.scratch.list() == ["old"])
                    let line = server.log.wait(for: name).first
                    #expect(line?["outcome"] == "aborted by client")
                }
                #expect(server.scratch.read("old") == [7])
            }
        }

        @Test func theServerStopsMidway() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let client = try Client(server.endpoint)
                var upload = client.run(
                    Upload("new", Content.bytes(300_000), [.blksize(1000)]), until: 200)
                server.server.stop(drain: .zero)
                try await server.ended()
                client.proceed(&upload)
                #expect(upload.state == .refused(0, "Server is shutting down"))
                #expect(server.scratch.list() == [])
            }
        }

        @Test func intoAFolder() async throws {
            try await TestServer.serve {
                try $0.makeFolder("folder")
                try $0.write("file", [7])
                try $0.link("link", to: "folder")
            } configure: {
                $0.upload = .create
            } body: { server in
                #expect(try server.put("folder/new", [1, 2]).state == .done)
                #expect(server.scratch.read("folder/new") == [1, 2])
                #expect(try server.put("\\folder\\other", [3]).state == .done)
                #expect(server.scratch.read("folder/other") == [3])
                #expect(try server.put("link/linked", [4]).state == .done)
                for name in ["missing/new", "file/new", "missing/deep/new"] {
                    let state = try server.put(name, [1]).state
                    #expect(state == .refused(1, "File not found"), "\(name)")
                }
                #expect(try server.put("folder", [1]).state == .refused(2, "Access violation"))
                let all = ["file", "folder", "folder/linked", "folder/new", "folder/other", "link"]
                #expect(server.scratch.list() == all)
            }
        }

        @Test(arguments: [1, 2, 3, 4] as [UInt64])
        func throughLossAndDoubling(seed: UInt64) async throws {
            let content = Content.bytes(200_000, seed: seed)
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                var random = SplitMix64(seed: seed)
                let client = try Client(server.endpoint)
                client.copiesIn = { _ in random.oneIn(30) ? 0 : random.oneIn(30) ? 2 : 1 }
                client.copiesOut = { _ in random.oneIn(40) ? 0 : random.oneIn(40) ? 2 : 1 }
                client.patience = .milliseconds(60)
                let options: [Option] = seed == 4 ? [] : [.blksize(1468), .windowsize(8)]
                let put = client.run(Upload("new", content, options))
                #expect(put.state == .done)
                #expect(server.scratch.read("new") == content)
                #expect(client.strayCount == 0)
            }
        }

        /// The last ACK may be lost: the client repeats its last DATA and must get it again, for a
        /// while.
        @Test func theLastACKAgain() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let client = try Client(server.endpoint)
                let put = client.run(Upload("new", Content.bytes(1200)))
                #expect(put.state == .done)
                for _ in 0..<3 {
                    client.send(put.lastData)
                    let again = client.socket.receive().flatMap { Message($0.bytes) }
                    #expect(again == .ack(3))
                }
                // Told once, and not counted as under way.
                #expect(server.log.wait(for: "new").count == 1)
                #expect(server.server.activeTransferCount == 0)
                // A drain does not wait for it.
                server.server.stop(drain: .seconds(20))
                try await server.ended()
            }
        }

        /// A block that is larger than was agreed is no TFTP.
        @Test func aBlockThatIsTooLarge() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let client = try Client(server.endpoint)
                var upload = Upload("new", Content.bytes(5000))
                client.send(upload.request)
                // Block 3 is out as well when block 2 is acknowledged.
                client.proceed(&upload, until: 2)
                client.send(Message.data(4, Content.bytes(513)).bytes)
                client.proceed(&upload)
                guard case .refused(4, _) = upload.state else {
                    Issue.record("\(upload.state)")
                    return
                }
                #expect(server.wait { server.scratch.list() == [] })
            }
        }

        /// More uploads than the pool has chunks of 64 KiB for: blocks are dropped, and come again.
        @Test func moreThanThePoolHolds() async throws {
            let count = 140
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let roles = (0..<count).map {
                    Swarm.Role.upload(
                        Upload(
                            "new-\($0)", Content.bytes(150_000, seed: UInt64($0)),
                            [.blksize(1468), .windowsize(16)]))
                }
                let swarm = try Swarm(server.endpoint, roles)
                swarm.run(limit: .seconds(30))
                var busyCount = 0
                var leftCount: UInt64 = 0
                for (index, role) in swarm.roles.enumerated() {
                    if case .refused(0, _) = role.state {
                        busyCount += 1
                        continue
                    }
                    // A client that a busy machine kept from answering in time has made way.
                    if case .refused(5, _) = role.state {
                        busyCount += 1
                        leftCount += 1
                        continue
                    }
                    #expect(role.state == .done)
                    let wanted = Content.bytes(150_000, seed: UInt64(index))
                    #expect(server.scratch.read("new-\(index)") == wanted)
                }
                #expect(busyCount < 20)
                #expect(leftCount <= server.counter(.uploadsEvicted))
                #expect(server.scratch.list().count == count - busyCount)
            }
        }
    }
}
