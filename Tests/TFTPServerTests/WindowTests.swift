import TFTPMetrics
import Testing

extension ServerTests {
    /// A window leaves as a batch: one message, cut into datagrams by the kernel (UDP GSO).
    struct WindowTests {
        static let content = Content.bytes(64 * 1468 * 4 + 17)

        struct Counts {
            var windows: UInt64
            var messages: UInt64
            var blocks: UInt64
        }

        /// What one transfer of a file in memory makes a server count.
        private func count(_ server: TestServer, windowsize: Int) throws -> Counts {
            let options: [Option] = [.blksize(1468), .windowsize(windowsize)]
            // Once before, so that nothing is cut short because it is still on the disk.
            #expect(try server.get("file", options).bytes == Self.content)
            #expect(server.wait { server.server.activeTransferCount == 0 })
            let before = [Counter.windowsSent, .messagesSent, .blocksSent].map {
                server.counter($0)
            }
            #expect(try server.get("file", options).bytes == Self.content)
            #expect(server.wait { server.server.activeTransferCount == 0 })
            return Counts(
                windows: server.counter(.windowsSent) - before[0],
                messages: server.counter(.messagesSent) - before[1],
                blocks: server.counter(.blocksSent) - before[2])
        }

        /// 65,507 bytes is the most that a batch takes: 44 blocks of 1468 with their headers.
        @Test(arguments: [(2, 1), (16, 1), (44, 1), (45, 2), (64, 2)] as [(Int, UInt64)])
        func messagesInAWindow(windowsize: Int, messagesMax: UInt64) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let counts = try count(server, windowsize: windowsize)
                let blocks = Self.content.count / 1468 + 1
                // More where this machine is so busy that a client is late.
                #expect(counts.blocks >= UInt64(blocks))
                #expect(counts.windows >= UInt64((blocks + windowsize - 1) / windowsize))
                // The OACK is a message too.
                #expect(counts.messages <= messagesMax * counts.windows + 1)
                #expect(server.counter(.segmentationRefused) == 0)
            }
        }

        @Test func withoutSegmentationEachBlockIsAMessage() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.segmentation = false
            } body: { server in
                for windowsize in [16, 64, 200] {
                    let counts = try count(server, windowsize: windowsize)
                    #expect(counts.messages == counts.blocks + 1)
                }
            }
        }

        /// Lockstep needs no batches.
        @Test func lockstep() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let counts = try count(server, windowsize: 1)
                #expect(counts.messages == counts.blocks + 1)
                #expect(counts.windows == counts.blocks)
            }
        }

        /// A lost block costs at most a window, whichever end repeats (Sorcerer's Apprentice).
        @Test func lossDoesNotGrow() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let client = try Client(server.endpoint)
                var seen = 0
                var dropped = 0
                client.copiesIn = { bytes in
                    guard bytes[1] == 3 else { return 1 }
                    seen += 1
                    guard seen % 50 == 0 else { return 1 }
                    dropped += 1
                    return 0
                }
                client.patience = .seconds(5)
                let got = client.run(Download("file", [.blksize(1468), .windowsize(4)]))
                #expect(got.bytes == Self.content)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                let blocks = Self.content.count / 1468 + 1
                #expect(server.counter(.blocksSent) <= UInt64(blocks + dropped * 4 + 4))
            }
        }
    }
}
