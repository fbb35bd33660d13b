import Testing

extension ServerTests {
    /// Options of tftp-hpa and of Windows, which no RFC describes: granted also means kept to.
    struct RareOptionTests {
        @Test(arguments: [nil, 0, 1] as [Int?])
        func theBlockAfter65535(rollover: Int?) async throws {
            let content = Content.bytes(65_600 * 8 + 3)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                var options: [Option] = [.blksize(8), .windowsize(64)]
                if let rollover { options.append(Option("rollover", "\(rollover)")) }
                let got = try server.get("file", options)
                #expect(got.state == .done)
                #expect(got.granted == options)
                #expect(got.bytes == content)
            }
        }

        @Test func blksize2IsKeptTo() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } body: { server in
                let socket = try UDPSocket()
                socket.send(
                    Message.read("file", [Option("blksize2", "2000")]), to: server.endpoint)
                let answer = try #require(socket.receive())
                #expect(Message(answer.bytes) == .oack([Option("blksize2", "1024")]))
                socket.send(Message.ack(0).bytes, to: answer.source)
                let data = try #require(socket.receive())
                #expect(data.bytes.count == 4 + 1024)
                socket.send(Message.error(0, "").bytes, to: answer.source)
            }
        }

        /// Windows says with the fifth byte of each ACK how many blocks it wants next.
        @Test func theWindowFollowsTheFifthByteOfAnACK() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(100 * 512 + 1))
            } body: { server in
                let socket = try UDPSocket()
                let options = [Option.windowsize(4), Option("msftwindow", "31416")]
                socket.send(Message.read("file", options), to: server.endpoint)
                let answer = try #require(socket.receive())
                #expect(
                    Message(answer.bytes)
                        == .oack([.windowsize(4), Option("msftwindow", "27182")]))
                var acked: UInt16 = 0
                for window: UInt8 in [2, 8, 1, 0, 3, 70] {
                    socket.send(Message.ack(acked).bytes + [window], to: answer.source)
                    // A 0 asks for nothing else than before.
                    for _ in 0..<max(1, window) {
                        let data = try #require(socket.receive())
                        acked += 1
                        #expect(data.bytes.prefix(4) == [0, 3, 0, UInt8(acked)])
                    }
                }
                socket.send(Message.error(0, "").bytes, to: answer.source)
            }
        }

        /// Without the option the fifth byte means nothing (Q10).
        @Test func theFifthByteMeansNothingWhereNothingWasGranted() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(10 * 512))
            } body: { server in
                let socket = try UDPSocket()
                socket.send(Message.read("file", [.windowsize(2)]), to: server.endpoint)
                let answer = try #require(socket.receive())
                socket.send(Message.ack(0).bytes + [9], to: answer.source)
                for block: UInt8 in 1...2 {
                    let data = try #require(socket.receive())
                    #expect(data.bytes.prefix(4) == [0, 3, 0, block])
                }
                socket.send(Message.ack(2).bytes + [1], to: answer.source)
                for block: UInt8 in 3...4 {
                    let data = try #require(socket.receive())
                    #expect(data.bytes.prefix(4) == [0, 3, 0, block])
                }
                socket.send(Message.error(0, "").bytes, to: answer.source)
            }
        }

        /// Requests are not larger than a datagram, and each gets an answer.
        @Test(arguments: [100, 1400, 2_000, 9_000, 60_000])
        func longRequestsAreAnswered(byteCount: Int) async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(10))
            } body: { server in
                let socket = try UDPSocket()
                let padding = Option("x", String(repeating: "y", count: byteCount))
                socket.send(Message.read("file", [.tsize(0), padding]), to: server.endpoint)
                let granted = try #require(socket.receive())
                #expect(Message(granted.bytes) == .oack([.tsize(10)]))
                socket.send(Message.error(0, "").bytes, to: granted.source)

                let other = try UDPSocket()
                let name = String(repeating: "n", count: byteCount)
                other.send(Message.read(name), to: server.endpoint)
                let refused = try #require(other.receive())
                #expect(refused.bytes.prefix(2) == [0, 5])
            }
        }
    }
}
