import TFTPCore
import Testing

@testable import TFTPServer

extension ServerTests {
    /// A part of a file (`offset`, `length`) is those bytes of it, and no others.
    struct PartTests {
        static let extent = 1 << 20
        static let content = Content.bytes(2 * extent + 3000)
        /// The beginning, both edges of extents, and the end.
        static let offsets = [
            0, 1, extent - 1, extent, extent + 1, 2 * extent - 1, 2 * extent, 2 * extent + 1,
            content.count - 1, content.count,
        ]

        /// The bytes from `offset` on, `length` at most.
        private static func part(_ offset: Int, _ length: Int?) -> ArraySlice<UInt8> {
            content.dropFirst(offset).prefix(length ?? .max)
        }

        @Test(arguments: [1, 16, 64], [8, 1468, 8192, 65464])
        func everyByte(windowsize: Int, blksize: Int) async throws {
            let lengths: [Int?] = [
                0, blksize, 3 * blksize + 1, 100 * min(blksize, 8192),
                blksize >= 8192 ? nil : blksize - 1,
            ]
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                for offset in Self.offsets {
                    for length in lengths {
                        var options: [Option] = [
                            .tsize(0), .blksize(blksize), .windowsize(windowsize), .offset(offset),
                        ]
                        if let length { options.append(.length(length)) }
                        let wanted = Self.part(offset, length)
                        let got = try server.get("file", options)
                        #expect(got.state == .done, "\(options)")
                        #expect(got.bytes == Array(wanted), "\(options)")
                        #expect(got.received == UInt64(wanted.count / blksize + 1), "\(options)")
                        #expect(got.granted?.number("tsize") == Self.content.count)
                        #expect(got.granted?.number("offset") == offset)
                        #expect(got.granted?.number("length") == length.map { _ in wanted.count })
                    }
                }
            }
        }

        @Test func beyondTheEnd() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(1000))
            } body: { server in
                for options: [Option] in [[.offset(1001)], [.length(0), .offset(1 << 50)]] {
                    let got = try server.get("file", options)
                    #expect(got.state == .refused(8, "Offset beyond the end of the file"))
                }
                #expect(server.wait { server.server.activeTransferCount == 0 })
                #expect(server.counter(.requestsRefused) == 2)
            }
        }

        /// A text has no bytes with places of their own on the wire: it comes whole.
        @Test func netascii() async throws {
            let text = Content.text(3000)
            try await TestServer.serve {
                try $0.write("text", text)
            } body: { server in
                let got = try server.get(
                    "text", [.offset(5000), .length(1), .blksize(1000)], mode: "netascii")
                #expect(got.granted == [.blksize(1000)])
                #expect(got.bytes == Content.netascii(text))
            }
        }

        /// Of a cold file larger than the cache the extents of the part are read, each once, and
        /// nothing else.
        @Test func onlyWhatIsNeededIsRead() async throws {
            let begin = 40 * Self.extent + 500_000
            let piece = Content.bytes(3 * Self.extent)
            try await TestServer.serve {
                try $0.write("disk", piece, at: begin, of: 100 * Self.extent)
            } configure: {
                $0.cacheSize = 16 << 20
            } body: { server in
                let options: [Option] = [.blksize(1468), .windowsize(16), .offset(begin)]
                // From the middle of extent 40 to that of 42.
                let got = try server.get("disk", options + [.length(2 * Self.extent)])
                #expect(got.bytes == Array(piece.prefix(2 * Self.extent)))
                #expect(server.server.readByteCount == UInt64(3 * Self.extent))
                // The same once more is in memory, and what follows is read from there on.
                let more = try server.get("disk", options + [.length(piece.count)])
                #expect(more.bytes == piece)
                #expect(server.server.readByteCount == UInt64(4 * Self.extent))
            }
        }

        /// All parts of a file that does not fit the cache, one after the other and at once.
        @Test func partsMakeTheWhole() async throws {
            let content = Content.bytes(18 * Self.extent + 1)
            try await TestServer.serve {
                try $0.write("file", content)
            } configure: {
                $0.cacheSize = 16 << 20
            } body: { server in
                let length = 3_333_333
                let offsets = Array(stride(from: 0, to: content.count, by: length))
                let downloads = offsets.map {
                    Download(
                        "file",
                        [.blksize(8192), .windowsize(8), .offset($0), .length(length)])
                }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                swarm.run(limit: .seconds(30))
                #expect(swarm.downloads.flatMap(\.bytes) == content)
                #expect(server.wait { server.counter(.transfersDone) == UInt64(offsets.count) })
            }
        }

        /// A part that is lost and doubled on its way is the same part.
        @Test func throughLossAndDoubling() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                var random = SplitMix64(seed: 3)
                let client = try Client(server.endpoint)
                client.copiesIn = { _ in random.oneIn(40) ? 0 : random.oneIn(40) ? 2 : 1 }
                client.patience = .milliseconds(60)
                let offset = Self.extent - 100_001
                let got = client.run(
                    Download(
                        "file",
                        [.blksize(1468), .windowsize(8), .offset(offset), .length(300_000)]))
                #expect(got.bytes == Array(Self.part(offset, 300_000)))
            }
        }

        /// A part of a handler's content is cut out as well, if its size is known; else the options
        /// are not acknowledged.
        @Test func handlers() async throws {
            let content = Content.bytes(6 * Self.extent + 5)
            let get: TFTPServer.GetHandler = { request in
                let key = request.name.hasSuffix("shared") ? request.name : nil
                if request.name.hasPrefix("bytes") { return .bytes(content, key: key) }
                let isSized = request.name.hasPrefix("sized")
                return .stream(size: isSized ? UInt64(content.count) : nil, key: key) { writer in
                    for begin in stride(from: 0, to: content.count, by: 300_000) {
                        try await writer.write(content[begin...].prefix(300_000))
                    }
                }
            }
            try await TestServer.serve(configure: { $0.cacheSize = 32 << 20 }, get: get) { server in
                for name in ["bytes", "bytes-shared", "sized", "sized-shared"] {
                    for offset in [77, 5 * Self.extent - 1, content.count] {
                        for length in [100_000, 2 * Self.extent] {
                            let got = try server.get(
                                name,
                                [
                                    .blksize(8192), .windowsize(8), .tsize(0), .offset(offset),
                                    .length(length),
                                ])
                            let wanted = content.dropFirst(offset).prefix(length)
                            #expect(got.bytes == Array(wanted), "\(name) \(offset) \(length)")
                            #expect(got.granted?.number("length") == wanted.count)
                            #expect(got.granted?.number("tsize") == content.count)
                        }
                    }
                    let beyond = try server.get(name, [.offset(content.count + 1)])
                    #expect(beyond.state == .refused(8, "Offset beyond the end of the file"))
                }
                let whole = try server.get("unsized", [.blksize(8192), .offset(5), .length(5)])
                #expect(whole.granted == [.blksize(8192)])
                #expect(whole.bytes == content)
                #expect(server.wait { server.server.activeTransferCount == 0 })
            }
        }
    }
}
