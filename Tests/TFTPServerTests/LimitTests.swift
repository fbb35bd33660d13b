import TFTPCore
import TFTPMetrics
import Testing

@testable import TFTPServer

extension ServerTests {
    /// Bytes a second, and quotas of uploads.
    struct LimitTests {
        @Test(arguments: [[], [.blksize(1468)], [.blksize(1468), .windowsize(64)]] as [[Option]])
        func aDownloadTakesItsTime(options: [Option]) async throws {
            let content = Content.bytes(100_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } configure: {
                $0.access.clientBytesPerSecond = 64 << 10
            } body: { server in
                let begin = ContinuousClock.now
                let got = try server.get("file", options)
                #expect(got.bytes == content)
                // A quarter of a second's bytes go out at once.
                #expect(ContinuousClock.now - begin > .seconds(1))
                #expect(server.counter(.sendsDelayed) > 0)
            }
        }

        /// What a rate does not bring within a second or half of one is not granted.
        @Test func windowsAndBlocksFitTheRate() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(3000))
            } configure: {
                $0.access.networkBytesPerSecond = 4096
            } body: { server in
                let got = try server.get("file", [.blksize(8192), .windowsize(64)])
                #expect(got.granted == [.blksize(2048), .windowsize(2)])
                #expect(got.bytes == Content.bytes(3000))
            }
        }

        @Test func anUploadBeyondTheQuotaIsRefused() async throws {
            try await TestServer.serve(configure: {
                $0.upload = .overwrite
                $0.access.clientUploadQuota = 100_000
            }) { server in
                let first = try server.put("first", Content.bytes(60_000), [.blksize(8192)])
                #expect(first.state == .done)
                // What does not become a file takes nothing.
                let second = try server.put("second", Content.bytes(200_000), [.blksize(8192)])
                #expect(second.state == .refused(3, "Upload quota used up"))
                let third = try server.put("third", Content.bytes(40_000), [.blksize(8192)])
                #expect(third.state == .done)
                #expect(server.scratch.list() == ["first", "third"])
                let fourth = try server.put("fourth", [1])
                #expect(fourth.state == .refused(3, "Upload quota used up"))
                let counts = (
                    server.counter(.requestsLimited), server.counter(.requestsRefused)
                )
                #expect(counts == (1, 1))
                // The next one hears nothing: it was told.
                let socket = try UDPSocket("127.0.0.1")
                socket.send(Message.write("fifth"), to: server.endpoint)
                let isCounted = server.wait { server.counter(.requestsLimited) == 2 }
                #expect(isCounted)
                #expect(socket.receive(within: .milliseconds(200)) == nil)
                #expect(server.scratch.list() == ["first", "third"])
            }
        }

        /// The size that a client tells is enough to refuse it.
        @Test func aSizeBeyondTheQuotaIsRefusedAtOnce() async throws {
            try await TestServer.serve(configure: {
                $0.upload = .create
                $0.access.uploadQuota = 1000
            }) { server in
                let put = try server.put("file", Content.bytes(1001), [.tsize(1001)])
                #expect(put.state == .refused(3, "Upload quota used up"))
                #expect(put.acked == 0)
                let fits = try server.put("file", Content.bytes(1000), [.tsize(1000)])
                #expect(fits.state == .done)
            }
        }

        /// Uploads that stop halfway hold their share only as long as they are open.
        @Test func halfOpenUploadsGiveTheirShareBack() async throws {
            try await TestServer.serve(configure: {
                $0.upload = .create
                $0.access.networkUploadQuota = 200_000
            }) { server in
                for name in ["one", "two"] {
                    let client = try Client(server.endpoint)
                    let half = client.run(
                        Upload(name, Content.bytes(300_000), [.blksize(8192)]), until: 9)
                    #expect(half.acked == 9)
                    client.send(Message.error(0, "no").bytes)
                }
                let isFree = server.wait {
                    (try? server.put("three", Content.bytes(190_000), [.blksize(8192)]).state)
                        == .done
                }
                #expect(isFree)
                #expect(server.scratch.list() == ["three"])
            }
        }

        @Test(
            arguments: [
                { $0.clientBytesPerSecond = 1023 }, { $0.networkBytesPerSecond = 0 },
                { $0.clientUploadQuota = 0 }, { $0.uploadQuota = .max },
                { $0.uploadQuotaSeconds = 0 },
            ] as [@Sendable (inout TFTPServer.Configuration.Access) -> Void])
        func wrongLimitsAreRefused(
            change: @Sendable (inout TFTPServer.Configuration.Access) -> Void
        ) {
            var configuration = TFTPServer.Configuration(root: "/")
            change(&configuration.access)
            #expect(configuration.problem != nil)
        }
    }
}
