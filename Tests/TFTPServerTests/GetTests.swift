import TFTPCore
import Testing

extension ServerTests {
    /// What a client asks for is what it gets, byte for byte.
    struct GetTests {
        static let byteCounts = [0, 1, 511, 512, 513, 1 << 20]
        static let optionLists: [[Option]] = [
            [],
            [.tsize(0)],
            [.blksize(1468), .tsize(0), .timeout(2)],
            [.windowsize(16)],
            [.tsize(0), .blksize(1432), .windowsize(7)],
            [.blksize(512), .windowsize(64)],
        ]

        @Test func filesOfManySizes() async throws {
            try await TestServer.serve { scratch in
                for count in Self.byteCounts {
                    try scratch.write("file-\(count)", Content.bytes(count))
                }
            } body: { server in
                for count in Self.byteCounts {
                    for options in Self.optionLists {
                        let got = try server.get("file-\(count)", options)
                        #expect(got.state == .done, "\(count) bytes with \(options)")
                        #expect(got.bytes == Content.bytes(count), "\(count) with \(options)")
                        #expect(got.granted?.map(\.name) == grantedNames(options))
                    }
                }
                let all = UInt64(Self.byteCounts.count * Self.optionLists.count)
                #expect(server.wait { server.counter(.transfersDone) == all })
                #expect(server.server.activeTransferCount == 0)
            }
        }

        /// Everything that can be granted is; nil without options, as there is no OACK then.
        private func grantedNames(_ options: [Option]) -> [String]? {
            options.isEmpty ? nil : options.map(\.name)
        }

        @Test func everyWindowsizeToSixtyFour() async throws {
            let content = Content.bytes(40_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                for windowsize in 1...64 {
                    let got = try server.get("file", [.windowsize(windowsize)])
                    #expect(got.granted == [.windowsize(windowsize)])
                    #expect(got.bytes == content, "windowsize \(windowsize)")
                }
            }
        }

        /// The window is larger than the file, and larger than what one send, one turn or one
        /// scratch area holds.
        @Test func theLargestWindowOfTheSmallestBlocks() async throws {
            let content = Content.bytes(70_003)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let got = try server.get("file", [.blksize(8), .windowsize(65535)])
                #expect(got.granted == [.blksize(8), .windowsize(65534)])
                #expect(got.bytes == content)
            }
        }

        /// More blocks than block numbers, so that they begin again at 0.
        @Test func blockNumbersThatBeginAgain() async throws {
            let content = Content.bytes(8 * 65_540)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let got = try server.get("file", [.blksize(8), .windowsize(64)])
                #expect(got.state == .done)
                #expect(got.bytes == content)
            }
        }

        @Test func netascii() async throws {
            let text = Content.text(15_000)
            try await TestServer.serve {
                try $0.write("text", text)
                try $0.write("empty", [])
                // A CR and a LF at the end of a block of 512, and a file that fills its blocks.
                try $0.write("cr", Content.text(0) + Array(repeating: 97, count: 511) + [13])
                try $0.write("lf", Array(repeating: 97, count: 511) + [10])
                try $0.write("full", Array(repeating: 97, count: 1024))
            } body: { server in
                for name in ["text", "empty", "cr", "lf", "full"] {
                    let wanted = Content.netascii(server.scratch.read(name)!)
                    for options: [Option] in [[], [.blksize(8)], [.blksize(1000), .windowsize(9)]] {
                        for mode in ["netascii", "NetASCII"] {
                            let got = try server.get(name, options, mode: mode)
                            #expect(got.state == .done)
                            #expect(got.bytes == wanted, "\(name) with \(options)")
                        }
                    }
                }
                // The length of the translation is not known beforehand.
                let got = try server.get("text", [.tsize(0), .blksize(512)], mode: "netascii")
                #expect(got.granted == [.blksize(512)])
            }
        }

        /// A block that is asked for again is the same block, also where it begins within a
        /// translated pair.
        @Test func netasciiThroughLoss() async throws {
            let text = Content.text(20_000, seed: 7)
            try await TestServer.serve {
                try $0.write("text", text)
            } body: { server in
                var random = SplitMix64(seed: 11)
                let client = try Client(server.endpoint)
                client.copiesIn = { _ in random.oneIn(60) ? 0 : 1 }
                client.patience = .milliseconds(50)
                let got = client.run(
                    Download("text", [.blksize(600), .windowsize(8)], mode: "netascii"))
                #expect(got.bytes == Content.netascii(text))
            }
        }

        @Test func modes() async throws {
            try await TestServer.serve {
                try $0.write("file", [1, 2, 3])
            } body: { server in
                for mode in ["octet", "OCTET", "oCtEt"] {
                    #expect(try server.get("file", mode: mode).bytes == [1, 2, 3])
                }
                for mode in ["mail", "", "octet "] {
                    guard case .refused(4, _) = try server.get("file", mode: mode).state else {
                        Issue.record("mode '\(mode)' was not refused with ERROR 4")
                        continue
                    }
                }
            }
        }

        /// Loss and doubling in both directions, at seeds.
        @Test(arguments: [1, 2, 3] as [UInt64])
        func throughLossAndDoubling(seed: UInt64) async throws {
            let content = Content.bytes(300_000, seed: seed)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                var random = SplitMix64(seed: seed)
                let client = try Client(server.endpoint)
                client.copiesIn = { _ in random.oneIn(40) ? 0 : random.oneIn(40) ? 2 : 1 }
                client.copiesOut = { _ in random.oneIn(40) ? 0 : random.oneIn(40) ? 2 : 1 }
                client.patience = .milliseconds(60)
                let got = client.run(Download("file", [.blksize(1468), .windowsize(8)]))
                #expect(got.bytes == content)
                #expect(client.strayCount == 0)
            }
        }

        /// More files at once than the cache holds: each transfer gets on nevertheless.
        @Test func moreThanTheCacheHolds() async throws {
            let count = 24
            try await TestServer.serve { scratch in
                for index in 0..<count {
                    try scratch.write("file-\(index)", Content.bytes(3 << 20, seed: UInt64(index)))
                }
            } configure: {
                $0.cacheSize = 16 << 20
            } body: { server in
                let downloads = (0..<count).map {
                    Download("file-\($0)", [.blksize(8192), .windowsize(8)])
                }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                swarm.run(limit: .seconds(30))
                for (index, download) in swarm.downloads.enumerated() {
                    #expect(download.state == .done, "file \(index)")
                    #expect(download.bytes == Content.bytes(3 << 20, seed: UInt64(index)))
                }
            }
        }
    }
}
