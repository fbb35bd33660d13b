import Synchronization
import Testing

@testable import TFTPServer

extension ServerTests {
    /// What a handler does with a WRQ.
    struct HandlerPutTests {
        @Test func intoTheFolder() async throws {
            try await TestServer.serve {
                try $0.makeFolder("in")
                try $0.write("old", [7])
            } put: { upload in
                switch upload.name {
                case "policy": .accept
                case "new", "old": .accept(.create)
                case "over": .redirect(to: "old", .overwrite)
                case "away":
                    .redirect(to: "in/\(upload.client.address)-\(upload.size ?? 0)", .create)
                case "out": .redirect(to: "../escaped", .overwrite)
                case "folder": .redirect(to: "in/", .overwrite)
                default: .refuse("no \(upload.name) here", code: .diskFull)
                }
            } body: { server in
                let content = Content.bytes(3000)
                // The configuration allows nothing, and the handler leaves it at that.
                #expect(try server.put("policy", content).state == .refused(2, "Access violation"))
                #expect(try server.put("new", content).state == .done)
                #expect(server.scratch.read("new") == content)
                #expect(try server.put("old", content).state == .refused(6, "File already exists"))
                #expect(try server.put("over", content).state == .done)
                #expect(server.scratch.read("old") == content)
                #expect(try server.put("away", content, [.tsize(3000)]).state == .done)
                #expect(server.scratch.read("in/127.0.0.1-3000") == content)
                for name in ["out", "folder"] {
                    let state = try server.put(name, content).state
                    #expect(state == .refused(2, "Access violation"), "\(name)")
                }
                #expect(try server.put("else", content).state == .refused(3, "no else here"))
                #expect(server.scratch.list() == ["in", "in/127.0.0.1-3000", "new", "old"])
                #expect(server.log.wait(for: "away").first?["outcome"] == "done")
                // Reading is the folder's.
                #expect(try server.get("new").bytes == content)
            }
        }

        @Test func takenByteForByte() async throws {
            let taken = Mutex<[String: [UInt8]]>([:])
            try await TestServer.serve(put: { upload in
                let name = upload.name
                return .take { chunks in
                    var all: [UInt8] = []
                    for try await chunk in chunks { all += chunk }
                    taken.withLock { $0[name] = all }
                }
            }) { server in
                for count in [0, 1, 511, 512, 65_536, 300_000, 1 << 20] {
                    for options: [Option] in [[.tsize(count)], [.blksize(1468), .windowsize(16)]] {
                        let content = Content.bytes(count)
                        let name = "\(count)-\(options.count)"
                        #expect(try server.put(name, content, options).state == .done)
                        // The last ACK says that the handler has all of it.
                        #expect(taken.withLock { $0[name] } == content, "\(name)")
                    }
                }
                let text = Content.text(50_000)
                let put = try server.put("text", Content.netascii(text), mode: "netascii")
                #expect(put.state == .done)
                #expect(taken.withLock { $0["text"] } == text)
                #expect(server.scratch.list() == [])
            }
        }

        /// The last ACK waits until the handler is content.
        @Test func theLastACK() async throws {
            let (gate, seen) = (Gate(), Tally())
            try await TestServer.serve(put: { _ in
                .take { chunks in
                    for try await chunk in chunks { seen.add(chunk.count) }
                    await gate.wait()
                }
            }) { server in
                let client = try Client(server.endpoint)
                var upload = client.run(Upload("new", Content.bytes(1200)), until: 2)
                #expect(server.wait { seen.value == 1200 })
                #expect(client.socket.receive(within: .milliseconds(100)) == nil)
                gate.open()
                client.proceed(&upload)
                #expect(upload.state == .done)
            }
        }

        struct Broken: Error {}

        @Test func oneThatThrows() async throws {
            try await TestServer.serve(put: { upload in
                if upload.name == "first" { throw Broken() }
                let isLate = upload.name == "last"
                return .take { chunks in
                    var count = 0
                    for try await chunk in chunks {
                        count += chunk.count
                        if !isLate && count > 100_000 { throw Broken() }
                    }
                    throw Broken()
                }
            }) { server in
                let content = Content.bytes(400_000)
                let first = try server.put("first", content)
                #expect(first.state == .refused(0, "Request handler failed"))
                for name in ["middle", "last"] {
                    let put = try server.put(name, content, [.blksize(1400), .windowsize(8)])
                    #expect(put.state == .refused(0, "Content source failed"), "\(name)")
                }
                #expect(
                    server.wait { server.log.all.filter { $0.text.contains("Broken") }.count == 3 })
                // Nothing is left of them.
                #expect(server.wait { server.server.activeTransferCount == 0 })
                #expect(try server.put("first", content).state == first.state)
            }
        }

        @Test func oneThatHasSeenEnough() async throws {
            try await TestServer.serve(put: { _ in
                .take { chunks in
                    for try await _ in chunks { return }
                }
            }) { server in
                for _ in 0..<3 {
                    let put = try server.put("new", Content.bytes(600_000), [.blksize(8192)])
                    #expect(put.state == .done)
                }
            }
        }

        @Test func aClientThatGivesUp() async throws {
            let cancelled = Tally()
            try await TestServer.serve(put: { _ in
                .take { chunks in
                    do {
                        for try await _ in chunks {}
                    } catch is CancellationError {
                        cancelled.add()
                        throw CancellationError()
                    }
                }
            }) { server in
                for count in 1...2 {
                    let client = try Client(server.endpoint)
                    _ = client.run(
                        Upload("new", Content.bytes(300_000), [.blksize(1000)]), until: 200)
                    client.send(Message.error(0, "never mind").bytes)
                    #expect(server.wait { cancelled.value == count })
                }
                let client = try Client(server.endpoint)
                _ = client.run(
                    Upload("new", Content.bytes(300_000), [.blksize(1000)]), until: 200)
                server.server.stop(drain: .zero)
                try await server.ended()
                #expect(cancelled.value == 3)
            }
        }

        /// A handler that does not read slows down its own client only.
        @Test func aSlowOne() async throws {
            let (gate, count) = (Gate(), Tally())
            let content = Content.bytes(12 << 20)
            try await TestServer.serve(put: { upload in
                guard upload.name == "slow" else { return .accept(.create) }
                return .take { chunks in
                    await gate.wait()
                    for try await chunk in chunks { count.add(chunk.count) }
                }
            }) { server in
                let slow = try Client(server.endpoint)
                var upload = Upload("slow", content, [.blksize(16_384), .windowsize(8)])
                slow.patience = .milliseconds(100)
                slow.limit = .seconds(2)
                slow.send(upload.request)
                slow.proceed(&upload)
                #expect(upload.state == .running)
                #expect(upload.acked * 16_384 <= 2 << 20)
                #expect(server.counter(.uploadBlocksDropped) > 0)
                let other = try server.put(
                    "other", Content.bytes(4 << 20), [.blksize(8192), .windowsize(8)])
                #expect(other.state == .done)
                gate.open()
                slow.limit = .seconds(20)
                slow.proceed(&upload)
                #expect(upload.state == .done)
                #expect(count.value == content.count)
            }
        }
    }
}
