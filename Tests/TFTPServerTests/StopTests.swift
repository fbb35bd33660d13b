import Testing

@testable import TFTPServer

extension ServerTests {
    /// How a server ends.
    struct StopTests {
        static let content = Content.bytes(40_000)

        /// Running transfers go on, new ones are not begun, and `run` returns with the last.
        @Test func drain() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.upload = .create
                $0.shards = 2
            } body: { server in
                let reader = try Client(server.endpoint)
                var download = reader.run(Download("file", [.blksize(1000)]), until: 10)
                let writer = try Client(server.endpoint)
                var upload = writer.run(Upload("new", Self.content, [.blksize(1000)]), until: 10)
                server.server.stop(drain: .seconds(30))
                #expect(server.wait { server.server.hasLeftListeners })
                let late = try UDPSocket()
                for request in [Message.read("file"), Message.write("late")] {
                    late.send(request, to: server.endpoint)
                }
                reader.proceed(&download)
                #expect(download.bytes == Self.content)
                #expect(server.wait { server.server.activeTransferCount == 1 })
                writer.proceed(&upload)
                #expect(upload.state == .done)
                try await server.ended()
                #expect(late.receiveAll(silence: .milliseconds(50)).isEmpty)
                #expect(server.scratch.read("new") == Self.content)
                #expect(server.scratch.list() == ["file", "new"])
                #expect(server.log.lines(of: "file").map { $0["outcome"] } == ["done"])
                #expect(server.log.lines(of: "new").map { $0["outcome"] } == ["done"])
            }
        }

        /// Another process listens on the port while the last transfer still runs.
        @Test func thePortIsFreeAtOnce() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.shards = 2
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 10)
                server.server.stop(drain: .seconds(30))
                #expect(server.wait { server.server.hasLeftListeners })
                let scratch = try Scratch()
                try scratch.write("file", Self.content)
                var next = TFTPServer.Configuration(root: scratch.root)
                next.listen = [try TFTPServer.ListenAddress("127.0.0.1:\(server.endpoint.port)")]
                next.shards = 1
                let second = TFTPServer(next, logger: LogLines().logger)
                let running = Task { try await second.run() }
                _ = try await second.waitUntilListening()
                var other = Download("file", [.blksize(1000)])
                let newcomer = try Client(server.endpoint)
                newcomer.send(other.request)
                newcomer.proceed(&other)
                #expect(other.bytes == Self.content)
                client.proceed(&download)
                #expect(download.bytes == Self.content)
                second.stop(drain: .zero)
                try await running.value
            }
        }

        /// Every shard completes a turn between two looks, also without anything to do.
        @Test func pulse() async throws {
            try await TestServer.serve(configure: { $0.shards = 2 }) { server in
                _ = server.server.takePulse()
                for _ in 0..<3 { #expect(server.wait { server.server.takePulse() }) }
            }
        }

        @Test func nothingToDrain() async throws {
            try await TestServer.serve { server in
                let before = ContinuousClock.now
                server.server.stop(drain: .seconds(30))
                try await server.ended()
                #expect(before.duration(to: .now) < .seconds(5))
            }
        }

        /// When the time is over, or a second order comes, clients get an ERROR.
        @Test func theTimeIsOver() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 10)
                server.server.stop(drain: .seconds(30))
                server.server.stop(drain: .milliseconds(50))
                try await server.ended()
                client.proceed(&download)
                #expect(download.state == .refused(0, "Server is shutting down"))
                #expect(server.log.lines(of: "file").map { $0["outcome"] } == ["cut off"])
            }
        }

        private static func server(of scratch: Scratch) throws -> TFTPServer {
            var configuration = TFTPServer.Configuration(root: scratch.root)
            configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
            configuration.shards = 1
            return TFTPServer(configuration, logger: LogLines().logger)
        }

        @Test func cancelling() async throws {
            let scratch = try Scratch()
            let server = try Self.server(of: scratch)
            let running = Task { try await server.run() }
            _ = try await server.waitUntilListening()
            running.cancel()
            try await running.value
            await #expect(throws: ServerError.self) { try await server.waitUntilListening() }
        }

        /// Cancelled before it has begun, it does not stay.
        @Test func cancelledAtOnce() async throws {
            let scratch = try Scratch()
            let server = try Self.server(of: scratch)
            let running = Task { try await server.run() }
            running.cancel()
            try? await running.value
        }

        /// An order to stop that comes while the server is still starting counts.
        @Test func stoppedBeforeItRuns() async throws {
            let scratch = try Scratch()
            let server = try Self.server(of: scratch)
            server.stop(drain: .zero)
            let running = Task { try await server.run() }
            let ended = Task { () -> Bool in
                try? await running.value
                return true
            }
            let limit = Task { () -> Bool in
                try? await Task.sleep(for: .seconds(2))
                running.cancel()
                return false
            }
            let end = ContinuousClock.now + .seconds(2)
            _ = await ended.value
            limit.cancel()
            #expect(ContinuousClock.now < end)
        }
    }
}
