import TFTPCore
import Testing

extension ServerTests {
    /// What no client should send.
    struct BadInputTests {
        static let malformed: [[UInt8]] = [
            [], [0], [1], [0, 0], [0, 7], [0, 9, 1, 2], [255, 255], [1, 0], [0, 1], [0, 2],
            [0, 1, 0], [0, 1, 97], [0, 1, 97, 0], [0, 1, 97, 0, 111], [0, 2, 97, 98, 99],
            [0, 3], [0, 3, 1], [0, 4], [0, 4, 1], [0, 5], [0, 5, 0],
            [0, 1] + Array(repeating: 97, count: 500),
        ]

        /// Each is answered with ERROR 4, once or not at all.
        @Test func malformedPackets() async throws {
            try await TestServer.serve {
                try $0.write("file", [1])
            } body: { server in
                var sockets: [UDPSocket] = []
                for bytes in Self.malformed {
                    let socket = try UDPSocket()
                    socket.send(bytes, to: server.endpoint)
                    sockets.append(socket)
                }
                #expect(try server.get("file").bytes == [1])
                for (socket, bytes) in zip(sockets, Self.malformed) {
                    let answers = socket.receiveAll(silence: .milliseconds(5))
                    #expect(answers.count <= 1, "\(bytes)")
                    for answer in answers {
                        #expect(answer.bytes.prefix(4) == [0, 5, 0, 4], "\(bytes)")
                    }
                }
                // An empty datagram may go unnoticed; the rest is counted.
                let count = UInt64(Self.malformed.count)
                #expect(server.counter(.datagramsMalformed) >= count - 1)
                #expect(server.server.activeTransferCount == 0)
            }
        }

        /// A malformed packet of a running transfer's client ends nothing.
        @Test func malformedPacketsToATransfer() async throws {
            let content = Content.bytes(40_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 5)
                for bytes in Self.malformed { client.send(bytes) }
                client.proceed(&download)
                #expect(download.bytes == content)
            }
        }

        /// 5,000 datagrams of chance, half of them packets with a few bytes changed, to a server
        /// that takes uploads.
        @Test func fuzz() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } configure: {
                $0.upload = .overwrite
                $0.uploadSizeMax = 1 << 20
            } body: { server in
                let outsiders = server.scratch.outsiders()
                var random = SplitMix64(seed: 0xF022)
                // From networks of their own: what one network may be sent without proof is
                // bounded, and a fast machine asks for all of it within a second.
                let sockets = try (1...12).map { try UDPSocket("127.0.\($0).1") }
                var tids: [Endpoint] = [server.endpoint]
                var answerCount = 0
                let fence = try UDPSocket()
                for number in 0..<5_000 {
                    // The server keeps up, or most of it would be lost in a full buffer.
                    if number % 50 == 0 {
                        fence.send(Message.read("nowhere"), to: server.endpoint)
                        #expect(fence.receive()?.bytes.prefix(4) == [0, 5, 0, 1])
                    }
                    let socket = sockets.randomElement(using: &random)!
                    let target =
                        random.oneIn(2) ? server.endpoint : tids.randomElement(using: &random)!
                    socket.send(Self.datagram(&random), to: target)
                    while let answer = socket.receiveNow() {
                        answerCount += 1
                        if !tids.contains(answer.source) { tids.append(answer.source) }
                    }
                }
                // Otherwise nothing was tried: some of it must have been requests that were served.
                #expect(answerCount > 100)
                #expect(tids.count > 1)
                #expect(server.counter(.datagramsReceived) > 3_000)
                #expect(server.counter(.datagramsMalformed) > 100)
                #expect(server.counter(.transfersStarted) > 10)
                #expect(try server.put("fence", [1]).state == .done)
                #expect(try server.get("fence").bytes == [1])
                #expect(server.scratch.outsiders() == outsiders)
            }
        }

        private static func datagram(_ random: inout SplitMix64) -> [UInt8] {
            if random.oneIn(3) {
                var bytes = Content.bytes(
                    Int.random(in: 0...600, using: &random), seed: random.next())
                // The first byte of every opcode is 0.
                if bytes.count > 1, random.oneIn(2) { (bytes[0], bytes[1]) = (0, bytes[1] % 8) }
                return bytes
            }
            let names = ["file", "new", "../outside/new", "missing", "folder/x", "fence"]
            let name = names.randomElement(using: &random)!
            let options: [Option] = [
                .blksize(Int.random(in: 0...70_000, using: &random)),
                .windowsize(Int.random(in: 0...70_000, using: &random)),
                .tsize(0), .timeout(Int.random(in: 0...300, using: &random)),
            ].shuffled(using: &random)
            let packets = [
                Message.read(name, options), Message.write(name, options),
                Message.read(name), Message.write(name, mode: "netascii"),
                Message.ack(UInt16.random(in: 0...3, using: &random)).bytes,
                Message.data(UInt16.random(in: 0...3, using: &random), [1, 2, 3]).bytes,
                Message.data(1, Content.bytes(512)).bytes, Message.oack(options).bytes,
                Message.error(UInt16.random(in: 0...9, using: &random), "what").bytes,
            ]
            var bytes = packets.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch random.next() % 3 {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
                }
            }
            return bytes
        }

        /// RFC 1350 §4: a sender without a transfer gets ERROR 5, and the transfer is not affected.
        @Test func strangers() async throws {
            let content = Content.bytes(20_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } configure: {
                $0.upload = .create
            } body: { server in
                let reader = try Client(server.endpoint)
                var download = reader.run(Download("file", [.blksize(1000)]), until: 5)
                let writer = try Client(server.endpoint)
                var upload = writer.run(Upload("new", content, [.blksize(1000)]), until: 5)
                for tid in [reader.tid!, writer.tid!] {
                    for packet in [
                        Message.ack(5), .ack(6), .data(6, [1, 2, 3]), .data(5, []),
                        .oack([.tsize(1)]),
                    ] {
                        let answer = try Client.ask(packet.bytes, tid)
                        guard case .error(5, _)? = answer else {
                            Issue.record("\(packet): \(String(describing: answer))")
                            continue
                        }
                    }
                }
                // An ERROR from a stranger ends nothing, and is not answered.
                let stranger = try UDPSocket()
                for tid in [reader.tid!, writer.tid!] {
                    stranger.send(Message.error(0, "bye").bytes, to: tid)
                }
                // Another host with the client's port is a stranger too.
                let other = try UDPSocket("127.0.0.9", port: reader.socket.endpoint.port)
                other.send(Message.ack(6).bytes, to: reader.tid!)
                #expect(
                    other.receive().flatMap { Message($0.bytes) }
                        == .error(5, "Unknown transfer ID"))
                reader.proceed(&download)
                writer.proceed(&upload)
                #expect(download.bytes == content)
                #expect(server.scratch.read("new") == content)
                #expect(stranger.receiveNow() == nil)
            }
        }

        /// On the port for requests too: a packet that is not a request is a stranger's.
        @Test func strangersAtTheListener() async throws {
            try await TestServer.serve { server in
                for packet in [Message.ack(0), .ack(1), .data(1, [1]), .oack([.blksize(512)])] {
                    let answer = try Client.ask(packet.bytes, server.endpoint)
                    #expect(answer == .error(5, "Unknown transfer ID"), "\(packet)")
                }
            }
        }

        /// A request to a transfer's port is none.
        @Test func aRequestToATID() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file"), until: 2)
                let answer = try Client.ask(Message.read("file"), client.tid!)
                #expect(answer == .error(5, "Unknown transfer ID"))
                client.proceed(&download)
                #expect(download.bytes == Content.bytes(5000))
            }
        }

        @Test func anERRORIsNeverAnswered() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file"), until: 1)
                let socket = try UDPSocket()
                for code in 0...9 as ClosedRange<UInt16> {
                    let bytes = Message.error(code, "x").bytes
                    for target in [server.endpoint, client.tid!] {
                        socket.send(bytes, to: target)
                        // No NUL, no text, nothing but the code.
                        socket.send(Array(bytes.prefix(5)), to: target)
                        socket.send(Array(bytes.prefix(4)), to: target)
                    }
                }
                client.proceed(&download)
                #expect(download.state == .done)
                #expect(socket.receiveAll(silence: .milliseconds(100)).isEmpty)
                #expect(server.counter(.datagramsStray) == 60)
            }
        }

        /// On a host with many addresses a client may have a port that one of our sockets has at
        /// another address.
        @Test func aClientAtAnotherAddressMayHaveOurPort() async throws {
            try await TestServer.serve {
                try $0.write("file", [1])
            } body: { server in
                let client = try UDPSocket("127.0.0.9", port: server.endpoint.port)
                client.send(Message.read("file"), to: server.endpoint)
                let answer = try #require(client.receive())
                #expect(answer.bytes == [0, 3, 0, 1, 1])
                client.send(Message.ack(1).bytes, to: answer.source)
                #expect(server.wait { server.counter(.transfersDone) == 1 })
            }
        }

        /// An answer to port 0 goes nowhere.
        @Test(.enabled(if: UDPSocket.canForge)) func portZeroIsNotAnswered() async throws {
            try await TestServer.serve {
                try $0.write("file", [1])
            } body: { server in
                UDPSocket.sendFromPortZero(Message.read("file"), to: server.endpoint)
                #expect(server.wait { server.counter(.datagramsIgnored) == 1 })
                #expect(server.counter(.messagesSent) == 0)
                let bytes = try server.get("file").bytes
                #expect(bytes == [1])
            }
        }

        /// lwIP reports a late duplicate so and continues.
        @Test func wrongBlockNumberIsForgivenOnce() async throws {
            let content = Content.bytes(20_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 5)
                client.send(Message.error(5, "Wrong block number").bytes)
                client.proceed(&download)
                #expect(download.bytes == content)
            }
        }

        @Test(arguments: [1, 4])
        func theTableIsFull(transfersMax: Int) async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(5000))
            } configure: {
                $0.transfersMax = transfersMax
            } body: { server in
                var clients: [(Client, Download)] = []
                for _ in 0..<transfersMax {
                    let client = try Client(server.endpoint)
                    let download = client.run(Download("file"), until: 1)
                    clients.append((client, download))
                }
                let refused = try server.get("file").state
                guard case .refused(0, let text) = refused else {
                    Issue.record("\(refused)")
                    return
                }
                #expect(text.lowercased().contains("busy"))
                #expect(server.counter(.requestsBusy) == 1)
                // Clients with a transfer are served, and then there is room again.
                for (client, download) in clients {
                    var download = download
                    client.proceed(&download)
                    #expect(download.state == .done)
                }
                #expect(server.wait { server.server.activeTransferCount == 0 })
                #expect(try server.get("file").state == .done)
            }
        }

        /// Windows sends ACKs of five bytes when it asks for msftwindow.
        @Test func longACKs() async throws {
            let content = Content.bytes(20_000)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let client = try Client(server.endpoint)
                client.socket.send(
                    Message.read("file", [.blksize(1000), Option("msftwindow", "31416")]),
                    to: server.endpoint)
                var download = Download("file", [.blksize(1000)])
                while download.state == .running {
                    let datagram = try #require(client.socket.receive())
                    guard let answer = download.step(datagram.bytes) else { continue }
                    client.socket.send(answer + [1], to: datagram.source)
                }
                #expect(download.bytes == content)
            }
        }

        /// HP PA-RISC fills its requests up to 516 bytes with whatever it has there.
        @Test func aRequestWithGarbageBehindIt() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(3000))
            } body: { server in
                let request = Message.read("file")
                let count = 516 - request.count
                let garbages = [
                    Array(repeating: UInt8(0), count: count),
                    Content.bytes(count, seed: 5).map { $0 == 0 ? 1 : $0 },
                    Array("blksize".utf8) + [0]
                        + Array(repeating: UInt8(ascii: "9"), count: 501 - 8),
                ]
                for garbage in garbages {
                    let got = try Client(server.endpoint).run(
                        Download(request: request + garbage.prefix(count)))
                    #expect(got.granted == nil)
                    #expect(got.bytes == Content.bytes(3000))
                }
            }
        }
    }
}
