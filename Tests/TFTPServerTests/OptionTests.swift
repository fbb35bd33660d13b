import Testing

extension ServerTests {
    /// What the OACK says (RFC 2347, 2348, 2349, 7440), to the byte.
    struct OptionTests {
        /// Asked, and what must come back; nil for no OACK.
        static let cases: [([Option], [Option]?)] = [
            ([.blksize(8)], [.blksize(8)]),
            ([.blksize(9)], [.blksize(9)]),
            ([.blksize(512)], [.blksize(512)]),
            ([.blksize(1468)], [.blksize(1468)]),
            ([.blksize(65464)], [.blksize(65464)]),
            ([.blksize(65465)], [.blksize(65464)]),
            ([.blksize(70000)], [.blksize(65464)]),
            ([Option("blksize", "18446744073709551615")], [.blksize(65464)]),
            ([.blksize(7)], nil),
            ([.blksize(0)], nil),
            ([Option("blksize", "-512")], nil),
            ([Option("blksize", "512x")], nil),
            ([Option("blksize", "")], nil),
            ([Option("blksize", "99999999999999999999")], nil),
            ([.blksize(7), .tsize(0)], [.tsize(10_000)]),
            ([.timeout(0)], nil),
            ([.timeout(1)], [.timeout(1)]),
            ([.timeout(255)], [.timeout(255)]),
            ([.timeout(256)], nil),
            ([.windowsize(0)], nil),
            ([.windowsize(1)], [.windowsize(1)]),
            ([.windowsize(65535)], [.windowsize(8192)]),
            ([.blksize(8), .windowsize(65534)], [.blksize(8), .windowsize(65534)]),
            // Lowered by one: a window of every number there is could not be told from none.
            ([.blksize(8), .windowsize(65535)], [.blksize(8), .windowsize(65534)]),
            ([.blksize(8), .windowsize(65536)], [.blksize(8), .windowsize(65534)]),
            ([.tsize(0)], [.tsize(10_000)]),
            ([.tsize(12345)], [.tsize(10_000)]),
            ([Option("multicast", "")], nil),
            ([Option("rollover", "1"), .tsize(0)], [Option("rollover", "1"), .tsize(10_000)]),
            ([Option("rollover", "2"), .tsize(0)], [.tsize(10_000)]),
            (
                [Option("blksize2", "1468"), Option("utimeout", "50000")],
                [Option("blksize2", "1024"), Option("utimeout", "50000")]
            ),
            ([Option("TSIZE", "0"), Option("BlkSize", "1024")], [.tsize(10_000), .blksize(1024)]),
            ([.blksize(512), .blksize(1024)], [.blksize(512)]),
            ([.offset(0)], [.offset(0)]),
            ([.offset(5), .length(10)], [.offset(5), .length(10)]),
            ([.length(20_000), .tsize(0)], [.length(10_000), .tsize(10_000)]),
            ([.offset(9_999), .length(5)], [.offset(9_999), .length(1)]),
            ([.tsize(0), .offset(10_000)], [.tsize(10_000), .offset(10_000)]),
            ([.offset(-1), .length(-1)], nil),
            (
                [.windowsize(4), .timeout(3), .tsize(0), .blksize(600)],
                [.windowsize(4), .timeout(3), .tsize(10_000), .blksize(600)]
            ),
            (
                [.tsize(0), .blksize(1468), .windowsize(4), Option("msftwindow", "31416")],
                [
                    .tsize(10_000), .blksize(1468), .windowsize(4), Option("msftwindow", "27182"),
                ]
            ),
        ]

        @Test func everyOACKToTheByte() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(10_000))
            } body: { server in
                for (asked, granted) in Self.cases {
                    let socket = try UDPSocket()
                    socket.send(Message.read("file", asked), to: server.endpoint)
                    let answer = try #require(socket.receive(), "\(asked)")
                    if let granted {
                        // Lower case, in order, a NUL at the end and nothing behind it.
                        let wanted = [0, 6] + granted.flatMap(\.bytes)
                        #expect(answer.bytes == wanted, "\(asked)")
                    } else {
                        #expect(answer.bytes.prefix(4) == [0, 3, 0, 1], "\(asked)")
                        #expect(answer.bytes.count == 4 + 512)
                    }
                    socket.send(Message.error(0, "").bytes, to: answer.source)
                }
            }
        }

        /// Granted also means kept to.
        @Test(arguments: [8, 9, 512, 1468, 65464, 70000])
        func blksizeIsKeptTo(blksize: Int) async throws {
            let content = Content.bytes(70_001)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                for options in [[Option.blksize(blksize)], [.blksize(blksize), .windowsize(5)]] {
                    let got = try server.get("file", options)
                    #expect(got.state == .done)
                    #expect(got.bytes == content)
                    let blocks = content.count / min(blksize, 65464) + 1
                    #expect(got.received == UInt64(blocks))
                }
            }
        }

        @Test func limitsOfTheConfiguration() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } configure: {
                $0.blksizeMax = 1024
                $0.windowsizeMax = 8
            } body: { server in
                let got = try server.get("file", [.blksize(1468), .windowsize(16)])
                #expect(got.granted == [.blksize(1024), .windowsize(8)])
                #expect(got.bytes == Content.bytes(5000))
            }
        }

        /// curl takes a tsize of 0 for an error; others want it.
        @Test func tsizeOfAnEmptyFile() async throws {
            try await TestServer.serve {
                try $0.write("empty", [])
            } body: { server in
                let plain = try server.get("empty", [.tsize(0)])
                #expect(plain.granted == [.tsize(0)])
                let curl = try server.get("empty", [.tsize(0), .blksize(512), .timeout(6)])
                #expect(curl.granted == [.blksize(512), .timeout(6)])
                #expect(plain.state == .done)
                #expect(curl.state == .done)
            }
        }

        /// Requests are longer than the 512 bytes of RFC 2347 now and then. One that fits no buffer
        /// is answered by what is whole of it.
        @Test func longRequests() async throws {
            try await TestServer.serve {
                try $0.write("file", [1, 2])
            } body: { server in
                let unknown = (0..<80).map { Option("vendor-option-\($0)", "1") }
                let long = Message.read("file", Array(unknown.prefix(60)) + [.blksize(600)])
                #expect(long.count > 1000)
                let answer = try Client.ask(long, server.endpoint)
                #expect(answer == .oack([.blksize(600)]))
                let socket = try UDPSocket()
                let longer = [.blksize(600)] + unknown + unknown + unknown
                socket.send(Message.read("file", longer), to: server.endpoint)
                let cut = socket.receive(within: .seconds(5)).flatMap { Message($0.bytes) }
                #expect(cut == .oack([.blksize(600)]))
            }
        }

        /// For a WRQ tsize is what the client will send, and is echoed unchanged.
        @Test func optionsOfAnUpload() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let options: [Option] = [.tsize(3000), .blksize(1000), .windowsize(2), .timeout(9)]
                let asked = options + [.offset(1), .length(2)]
                let put = try server.put("new", Content.bytes(3000), asked)
                #expect(put.granted == options)
                #expect(put.state == .done)
                let plain = try server.put("plain", [1])
                #expect(plain.granted == nil)
            }
        }
    }
}
