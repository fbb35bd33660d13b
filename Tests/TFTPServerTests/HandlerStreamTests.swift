import TFTPCore
import Testing

@testable import TFTPServer

extension ServerTests {
    /// Content that a handler writes while it is sent.
    struct HandlerStreamTests {
        static let byteCounts = [0, 1, 512, 1468 * 3, 100_000, 1 << 20, (5 << 20) + 3]

        @Test func knownAndUnknownSizes() async throws {
            try await TestServer.serve(get: { request in
                let parts = request.name.split(separator: "-")
                let content = Content.bytes(Int(parts[1]) ?? 0)
                let size = parts[0] == "sized" ? UInt64(content.count) : nil
                return .stream(size: size) { writer in
                    // Chunks that fit nothing.
                    for begin in stride(from: 0, to: content.count, by: 77_777) {
                        try await writer.write(
                            content[begin..<min(begin + 77_777, content.count)])
                    }
                }
            }) { server in
                let optionLists: [[Option]] = [
                    [.tsize(0), .blksize(1468)], [.blksize(1468), .windowsize(16), .tsize(0)],
                    [.blksize(512), .windowsize(64)],
                ]
                for count in Self.byteCounts {
                    for kind in ["sized", "unsized"] {
                        for options in optionLists {
                            let got = try server.get("\(kind)-\(count)", options)
                            #expect(got.state == .done, "\(kind) \(count) with \(options)")
                            #expect(got.bytes == Content.bytes(count), "\(kind) \(count)")
                            if kind == "sized" && options.number("tsize") != nil {
                                #expect(got.granted?.number("tsize") == count)
                            }
                        }
                    }
                }
                // Without any option there is no OACK, and the first answer is DATA 1.
                #expect(try server.get("unsized-1536").bytes == Content.bytes(1536))
            }
        }

        @Test func aSequence() async throws {
            try await TestServer.serve(get: { _ in
                .stream(
                    AsyncStream<[UInt8]> { continuation in
                        for number in 0..<100 {
                            continuation.yield(Array(repeating: UInt8(number), count: 1000))
                        }
                        continuation.finish()
                    })
            }) { server in
                let got = try server.get("file", [.blksize(1400)])
                #expect(got.bytes == (0..<100).flatMap { Array(repeating: UInt8($0), count: 1000) })
            }
        }

        /// What is there is sent, however little it is and however slowly the rest comes.
        @Test func aSlowTrickle() async throws {
            let gates = (0..<3).map { _ in Gate() }
            try await TestServer.serve(get: { _ in
                .stream { writer in
                    for gate in gates {
                        try await writer.write(Content.bytes(8192))
                        await gate.wait()
                    }
                }
            }) { server in
                let client = try Client(server.endpoint)
                var download = Download("file", [.blksize(1024)])
                client.send(download.request)
                for (index, gate) in gates.enumerated() {
                    client.proceed(&download, until: UInt64(8 * (index + 1)))
                    #expect(download.received == UInt64(8 * (index + 1)))
                    gate.open()
                }
                client.proceed(&download)
                #expect(
                    download.bytes == Content.bytes(8192) + Content.bytes(8192)
                        + Content.bytes(8192))
            }
        }

        /// The writer goes no farther ahead than it may, whatever the size, and memory does not
        /// grow with the content.
        @Test(arguments: [true, false]) func backPressure(isSized: Bool) async throws {
            let written = Tally()
            let chunk = Content.bytes(1 << 18)
            let chunkCount = 160
            try await TestServer.serve(
                get: { _ in
                    .stream(size: isSized ? UInt64(chunk.count * chunkCount) : nil) { writer in
                        for _ in 0..<chunkCount {
                            try await writer.write(chunk)
                            written.add(chunk.count)
                        }
                    }
                }
            ) { server in
                let client = try Client(server.endpoint)
                var download = Download("file", [.blksize(8192), .windowsize(8)])
                client.send(download.request)
                for block: UInt64 in [64, 1024, 3000] {
                    client.proceed(&download, until: block)
                    // It comes as far as it may, and stays there.
                    let acked = Int(block) * 8192
                    #expect(server.wait { written.value >= acked + (4 << 20) })
                    #expect(written.value <= acked + (9 << 20))
                }
                client.proceed(&download)
                #expect(download.state == .done)
                #expect(download.bytes.count == chunk.count * chunkCount)
                let isRight = (0..<chunkCount).allSatisfy {
                    download.bytes[($0 * chunk.count)..<(($0 + 1) * chunk.count)].elementsEqual(
                        chunk)
                }
                #expect(isRight)
            }
        }

        @Test func throughLossAndDoubling() async throws {
            let content = Content.bytes(3 << 20)
            try await TestServer.serve(
                configure: { $0.cacheSize = 16 << 20 },
                get: { _ in
                    .stream { try await $0.write(content) }
                }
            ) { server in
                var random = SplitMix64(seed: 5)
                let client = try Client(server.endpoint)
                client.copiesIn = { _ in random.oneIn(50) ? 0 : random.oneIn(50) ? 2 : 1 }
                client.copiesOut = { _ in random.oneIn(50) ? 0 : random.oneIn(50) ? 2 : 1 }
                client.patience = .milliseconds(50)
                let got = client.run(Download("file", [.blksize(1468), .windowsize(16)]))
                #expect(got.bytes == content)
            }
        }

        struct Broken: Error {}

        @Test func oneThatThrows() async throws {
            try await TestServer.serve(get: { request in
                .stream(size: 100_000) { writer in
                    guard request.name == "late" else { throw Broken() }
                    try await writer.write(Content.bytes(50_000))
                    throw Broken()
                }
            }) { server in
                // Before the first byte there is no OACK: some clients do not get over an ERROR
                // after it.
                let early = try server.get("early", [.tsize(0)])
                #expect(early.state == .refused(0, "Content source failed"))
                #expect(early.oackCount == 0)
                let late = try server.get("late", [.tsize(0)])
                #expect(late.state == .refused(0, "Content source failed"))
                #expect(late.bytes == Array(Content.bytes(50_000)[..<(97 * 512)]))
                #expect(
                    server.wait { server.log.all.filter { $0.text.contains("Broken") }.count == 2 })
                #expect(server.log.wait(for: "late").first?["outcome"] == "failed")
            }
        }

        @Test(arguments: [99_999, 100_001]) func ofAnotherSizeThanAnnounced(count: Int) async throws
        {
            try await TestServer.serve(get: { _ in
                .stream(size: 100_000) { try await $0.write(Content.bytes(count)) }
            }) { server in
                let got = try server.get("file", [.blksize(1468)])
                #expect(got.state == .refused(0, "Content source failed"))
                let text =
                    count < 100_000
                    ? "\(count) bytes written where 100000 were announced"
                    : "more bytes were written than announced"
                #expect(
                    server.wait { server.log.all.filter { $0.text.contains(text) }.count == 1 })
            }
        }

        @Test func aClientThatGivesUp() async throws {
            let cancelled = Tally()
            try await TestServer.serve(get: { _ in
                .stream { writer in
                    do {
                        while true { try await writer.write(Content.bytes(100_000)) }
                    } catch is CancellationError {
                        cancelled.add()
                        throw CancellationError()
                    }
                }
            }) { server in
                let client = try Client(server.endpoint)
                _ = client.run(Download("file", [.blksize(1000)]), until: 100)
                client.send(Message.error(0, "enough").bytes)
                #expect(server.wait { cancelled.value == 1 })
                #expect(server.log.wait(for: "file").first?["outcome"] == "aborted by client")
                // And one that is in the middle of it when the server stops.
                let other = try Client(server.endpoint)
                _ = other.run(Download("other", [.blksize(1000)]), until: 100)
            }
            #expect(cancelled.value == 2)
        }

        /// More streams than a small cache has room for: some are refused, none is served wrong.
        @Test func manyAtOnce() async throws {
            let content = Content.bytes(2_200_000)
            try await TestServer.serve(
                configure: { $0.cacheSize = 32 << 20 },
                get: { _ in
                    .stream(size: UInt64(content.count)) { writer in
                        for begin in stride(from: 0, to: content.count, by: 50_000) {
                            try await writer.write(content[begin..<(begin + 50_000)])
                        }
                    }
                }
            ) { server in
                let downloads = (0..<30).map { _ in Download("file", [.blksize(8192)]) }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                swarm.run(limit: .seconds(30))
                let done = swarm.downloads.filter { $0.state == .done }
                #expect(done.count >= 8)
                #expect(done.allSatisfy { $0.bytes == content })
                let busy = swarm.downloads.filter {
                    $0.state == .refused(0, "Server busy, try again")
                }
                #expect(done.count + busy.count == 30)
            }
        }
    }
}
