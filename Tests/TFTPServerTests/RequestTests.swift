import Testing

extension ServerTests {
    /// Requests that come twice, clients that begin anew, and clients that only ask.
    struct RequestTests {
        static let content = Content.bytes(30_000)

        /// Boot loaders repeat a request within a tenth of a second: one transfer, and one answer a
        /// request at most.
        @Test(arguments: [[Option.tsize(0), .blksize(1408)]])
        func aRepeatedRequestMakesNoTwin(options: [Option]) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let socket = try UDPSocket()
                for _ in 0..<4 { socket.send(Message.read("file", options), to: server.endpoint) }
                let first = try #require(socket.receive())
                let answers = [first] + socket.receiveAll(silence: .milliseconds(150))
                #expect((1...4).contains(answers.count))
                #expect(Set(answers.map(\.source)).count == 1)
                #expect(Set(answers.map(\.bytes)).count == 1)
                #expect(server.server.activeTransferCount == 1)
                #expect(server.counter(.requestsRepeated) == 3)
                // And each of those again answers with the same, for a late one.
                socket.send(Message.read("file", options), to: server.endpoint)
                #expect(socket.receive()?.source == first.source)
                // One transfer continues from here.
                var download = Download("file", options)
                let client = try Client(first.source)
                #expect(client.socket.receiveNow() == nil)
                var next = download.step(first.bytes)
                while download.state == .running, let bytes = next {
                    socket.send(bytes, to: first.source)
                    next = socket.receive().flatMap { download.step($0.bytes) }
                }
                #expect(download.bytes == Self.content)
                #expect(server.counter(.transfersStarted) == 1)
            }
        }

        @Test func aRepeatedWriteRequestMakesNoTwin() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let cases: [(String, [Option])] = [("plain", []), ("options", [.blksize(1000)])]
                for (name, options) in cases {
                    let client = try Client(server.endpoint)
                    var upload = Upload(name, Self.content, options)
                    for _ in 0..<4 { client.send(upload.request) }
                    client.proceed(&upload)
                    #expect(upload.state == .done)
                    #expect(client.strayCount == 0)
                    #expect(server.scratch.read(name) == Self.content)
                }
                #expect(server.counter(.transfersStarted) == 2)
                #expect(server.scratch.list() == ["options", "plain"])
            }
        }

        /// The address may be forged: until it has answered it gets one packet for each of its own.
        /// Without options that packet is a block, and a second one would be more than a forged
        /// request may cost.
        @Test(arguments: [[Option.windowsize(64)], [.windowsize(64), .blksize(1468)]])
        func onePacketBeforeTheFirstACK(options: [Option]) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let socket = try UDPSocket()
                for _ in 0..<2 {
                    socket.send(Message.read("file", options), to: server.endpoint)
                    let answers = socket.receiveAll(silence: .milliseconds(250))
                    #expect(answers.count == 1)
                }
                let bytesSent = server.counter(.bytesSent)
                #expect(bytesSent <= 2 * 512)
            }
        }

        /// Firmware asks for the size and then says ERROR 8 or ERROR 0: no failure, and nothing
        /// more is sent.
        @Test(arguments: [0, 8] as [UInt16])
        func aProbe(code: UInt16) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let socket = try UDPSocket()
                let options: [Option] = [.tsize(0), .blksize(1468), .windowsize(4)]
                socket.send(Message.read("file", options), to: server.endpoint)
                let answer = try #require(socket.receive())
                #expect(
                    Message(answer.bytes)
                        == .oack([.tsize(Self.content.count), .blksize(1468), .windowsize(4)]))
                socket.send(
                    Message.error(code, "User aborted the transfer").bytes, to: answer.source)
                let line = try #require(server.log.wait(for: "file").first)
                #expect(line["outcome"] == "probe")
                #expect(line.level <= .info)
                #expect(line["retransmissions"] == "0")
                #expect(server.server.activeTransferCount == 0)
                #expect(socket.receiveAll(silence: .milliseconds(100)).isEmpty)
                // Then it comes for the file, from the same port or another.
                let client = try Client(server.endpoint)
                #expect(client.run(Download("file", options)).bytes == Self.content)
            }
        }

        /// A client that restarts has the same port and the same request. It gets an OACK, and the
        /// file from its beginning; the old transfer goes.
        @Test(arguments: [false, true])
        func aRestartMidway(isSinglePort: Bool) async throws {
            let options: [Option] = [.tsize(0), .blksize(1000)]
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.singlePort = isSinglePort
            } body: { server in
                let client = try Client(server.endpoint)
                _ = client.run(Download("file", options), until: 15)
                // The same port, but a client that knows nothing: it repeats its request until it
                // is answered.
                let again = Download("file", options)
                var answer: Datagram?
                for _ in 0..<50 where answer == nil {
                    client.socket.send(again.request, to: server.endpoint)
                    while answer == nil, let next = client.socket.receive(within: .milliseconds(50))
                    {
                        if next.bytes[1] == 6 { answer = next }
                    }
                }
                var fresh = again
                let oack = try #require(answer)
                #expect(isSinglePort || oack.source != client.tid)
                var reply = fresh.step(oack.bytes)
                while fresh.state == .running {
                    if let reply { client.socket.send(reply, to: oack.source) }
                    let next = try #require(client.socket.receive())
                    reply = next.source == oack.source ? fresh.step(next.bytes) : nil
                }
                if let reply { client.socket.send(reply, to: oack.source) }
                #expect(fresh.bytes == Self.content)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                let outcomes = server.log.wait(for: "file", count: 2).map { $0["outcome"] }
                #expect(outcomes == ["replaced", "done"])
            }
        }

        /// The same for an upload: what the restarted client writes is what counts, and nothing
        /// else is left.
        @Test func aRestartOfAnUpload() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let client = try Client(server.endpoint)
                _ = client.run(Upload("new", Self.content, [.blksize(1000)]), until: 15)
                var fresh = Upload("new", Content.bytes(9_000, seed: 3), [.blksize(1000)])
                client.socket.send(fresh.request, to: server.endpoint)
                var tid: Endpoint?
                while fresh.state == .running {
                    let next = try #require(client.socket.receive())
                    if tid == nil, next.bytes[1] == 6 { tid = next.source }
                    guard next.source == tid else { continue }
                    for bytes in fresh.step(next.bytes) {
                        client.socket.send(bytes, to: next.source)
                    }
                }
                #expect(fresh.state == .done)
                #expect(server.scratch.read("new") == fresh.bytes)
                let outcomes = server.log.wait(for: "new", count: 2).map { $0["outcome"] }
                #expect(outcomes == ["replaced", "done"])
                #expect(server.scratch.list() == ["new"])
            }
        }

        /// The same request again, late and made by the network: the running transfer is not
        /// touched by it.
        @Test func aLateDuplicateOfTheRequest() async throws {
            let options: [Option] = [.tsize(0), .blksize(1000)]
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", options), until: 15)
                client.socket.send(download.request, to: server.endpoint)
                client.proceed(&download)
                #expect(download.bytes == Self.content)
                // The offer that the duplicate made came from elsewhere, and goes without a word in
                // the log.
                #expect(client.strayCount <= 1)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                #expect(server.log.wait(for: "file").map { $0["outcome"] } == ["done"])
            }
        }

        /// Another request from the same port: the client has moved on.
        @Test(arguments: [false, true])
        func anotherRequestFromTheSamePort(isSinglePort: Bool) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
                try $0.write("other", Content.bytes(2000, seed: 9))
            } configure: {
                $0.singlePort = isSinglePort
            } body: { server in
                let client = try Client(server.endpoint)
                _ = client.run(Download("file", [.blksize(1000)]), until: 5)
                let port = client.socket.endpoint.port
                // What is still on its way to the old socket goes with it.
                let request = Message.read("other", [.blksize(600)])
                client.socket.send(request, to: server.endpoint)
                var other = Download("other", [.blksize(600)])
                var tid: Endpoint?
                while other.state == .running {
                    let next = try #require(client.socket.receive())
                    if tid == nil, next.bytes[1] == 6 { tid = next.source }
                    guard next.source == tid, let reply = other.step(next.bytes) else { continue }
                    client.socket.send(reply, to: next.source)
                }
                #expect(port == client.socket.endpoint.port)
                #expect(other.bytes == Content.bytes(2000, seed: 9))
                #expect(server.log.wait(for: "file").map { $0["outcome"] } == ["replaced"])
            }
        }

        /// A client that says nothing gets the same block again, and later the rest.
        @Test func aSilentClient() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let socket = try UDPSocket()
                var download = Download("file", [.blksize(1000)])
                socket.send(download.request, to: server.endpoint)
                let oack = try #require(socket.receive())
                let ack = download.step(oack.bytes)
                socket.send(try #require(ack), to: oack.source)
                let first = try #require(socket.receive())
                let second = try #require(socket.receive(within: .seconds(3)))
                #expect(first.bytes == second.bytes)
                let client = try Client(server.endpoint)
                #expect(client.run(Download("file")).bytes == Self.content)
                var reply = download.step(first.bytes)
                while download.state == .running {
                    if let reply { socket.send(reply, to: oack.source) }
                    let next = try #require(socket.receive())
                    reply = download.step(next.bytes)
                }
                if let reply { socket.send(reply, to: oack.source) }
                #expect(download.bytes == Self.content)
                let line = server.log.wait(for: "file", count: 2).last
                #expect(Int(line?["retransmissions"] ?? "") ?? 0 >= 1)
            }
        }

        /// A wrong mode, name or policy is told before anything is granted.
        @Test func aRefusalComesBeforeTheOACK() async throws {
            try await TestServer.serve { server in
                let missing = try server.get("missing", [.tsize(0), .blksize(1468)])
                #expect(missing.state == .refused(1, "File not found"))
                #expect(missing.oackCount == 0)
                let denied = try server.put("new", [1], [.tsize(1), .blksize(1468)])
                #expect(denied.state == .refused(2, "Access violation"))
                #expect(denied.granted == nil)
            }
        }
    }
}
