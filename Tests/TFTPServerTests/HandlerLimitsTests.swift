import Glibc
import Synchronization
import Testing

@testable import TFTPServer

extension ServerTests {
    /// What a handler, or a client that never meant it, can take from others.
    struct HandlerLimitsTests {
        static let tooSlow = Download.State.refused(0, "Content source took too long")
        static let busy = Download.State.refused(0, "Server busy, try again")

        // MARK: Writers and readers that outlive their body

        @Test func aWriterThatOutlivesItsBody() async throws {
            let kept = Mutex<TFTPServer.Writer?>(nil)
            let (gate, begun) = (Gate(), Tally())
            try await TestServer.serve(get: { request in
                .stream { writer in
                    guard request.name == "second" else {
                        kept.withLock { $0 = writer }
                        return try await writer.write([1])
                    }
                    try await writer.write([2])
                    begun.add()
                    await gate.wait()
                    try await writer.write([3])
                }
            }) { server in
                #expect(try server.get("first").bytes == [1])
                // The next request has the place at the handlerTable that the first one had.
                let client = try Client(server.endpoint)
                var download = Download("second")
                client.send(download.request)
                #expect(server.wait { begun.value == 1 })
                let writer = try #require(kept.withLock { $0 })
                await #expect(throws: CancellationError.self) { try await writer.write([9]) }
                gate.open()
                client.proceed(&download)
                #expect(download.bytes == [2, 3])
            }
        }

        @Test func aReaderThatOutlivesItsBody() async throws {
            let kept = Mutex<TFTPServer.UploadBytes?>(nil)
            let taken = Mutex<[UInt8]>([])
            let (gate, begun) = (Gate(), Tally())
            try await TestServer.serve(put: { upload in
                let isFirst = upload.name == "first"
                return .take { chunks in
                    if isFirst {
                        kept.withLock { $0 = chunks }
                    } else {
                        begun.add()
                        await gate.wait()
                    }
                    for try await chunk in chunks { taken.withLock { $0 += chunk } }
                }
            }) { server in
                #expect(try server.put("first", [1]).state == .done)
                let client = try Client(server.endpoint)
                var upload = Upload("second", [2, 3])
                client.send(upload.request)
                #expect(server.wait { begun.value == 1 })
                let reader = try #require(kept.withLock { $0 })
                await #expect(throws: CancellationError.self) {
                    var iterator = reader.makeAsyncIterator()
                    _ = try await iterator.next()
                }
                gate.open()
                client.proceed(&upload)
                #expect(upload.state == .done)
                #expect(taken.withLock { $0 } == [1, 2, 3])
            }
        }

        // MARK: Room

        /// Requests whose client never answers get an extent each, half of the cache altogether,
        /// and the folder is still served.
        @Test func aForgedAddress() async throws {
            let written = Tally()
            let file = Content.bytes(20 << 20)
            try await TestServer.serve {
                try $0.write("file", file)
            } get: { request in
                guard request.name == "forged" else { return .file }
                return .stream { writer in
                    while true {
                        try await writer.write(Content.bytes(1 << 18))
                        written.add(1 << 18)
                    }
                }
            } body: { server in
                let options: [Option] = [.blksize(1400), .windowsize(64)]
                let clients = try (0..<24).map { _ in try Client(server.endpoint) }
                for client in clients { client.send(Message.read("forged", options)) }
                let answers = clients.map { $0.socket.receive().flatMap { Message($0.bytes) } }
                let refusals = answers.filter { $0 == .error(0, "Server busy, try again") }
                // Two extents are reserved for each, and used once the client has proven its
                // address.
                #expect(refusals.count == 24 - 16)
                #expect(server.wait { written.value == 16 << 20 })
                #expect(
                    server.wait { server.log.all.contains { $0.text.hasPrefix("no room for") } })
                let got = try server.get("file", [.blksize(32_768), .windowsize(4)])
                #expect(got.bytes == file)
                #expect(written.value == 16 << 20)
            }
        }

        /// More shared content at once than can be kept whole: what does not fit is sent to each by
        /// itself.
        @Test func largeOnesWithKeys() async throws {
            let content = Content.bytes(10 << 20)
            let options: [Option] = [.blksize(8192), .windowsize(4)]
            let downloads = (0..<5).map { Download("\($0)", options) }
            try await TestServer.serve(
                configure: { $0.cacheSize = 36 << 20 },
                get: { request in
                    .stream(size: UInt64(content.count), key: request.name) { writer in
                        for begin in stride(from: 0, to: content.count, by: 1 << 18) {
                            try await writer.write(content[begin..<(begin + (1 << 18))])
                        }
                    }
                }
            ) { server in
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                swarm.run(limit: .seconds(30))
                #expect(swarm.downloads.allSatisfy { $0.bytes == content })
                #expect(
                    server.wait {
                        server.log.all.contains { $0.text.hasPrefix("no room to share") }
                    })
            }
        }

        /// Content with a key and without a size is kept as a whole, so it must not grow for ever.
        @Test func withAKeyAndWithoutASize() async throws {
            let errors = Mutex<[TFTPServer.WriteError]>([])
            let chunk = Content.bytes(1 << 20)
            try await TestServer.serve(
                configure: { $0.cacheSize = 16 << 20 },
                get: { request in
                    .stream(key: request.name) { writer in
                        do {
                            for _ in 0..<(Int(request.name) ?? 0) { try await writer.write(chunk) }
                        } catch let error as TFTPServer.WriteError {
                            errors.withLock { $0.append(error) }
                            throw error
                        }
                    }
                }
            ) { server in
                let options: [Option] = [.blksize(8192), .windowsize(4)]
                let got = try server.get("9", options)
                #expect(got.state == .refused(0, "Content source failed"))
                #expect(errors.withLock { $0 } == [.noRoomToShare])
                let text = "a stream with a key and without a size does not fit"
                #expect(
                    server.wait { server.log.all.filter { $0.text.contains(text) }.count == 1 })
                let smaller = try server.get("8", options)
                #expect(smaller.bytes.count == 8 << 20)
            }
        }

        // MARK: Time

        /// Content that stops coming in the middle: every waiting client gets an ERROR, and the
        /// next request begins anew.
        @Test func oneThatHangsInTheMiddle() async throws {
            let (gate, bodies) = (Gate(), Tally())
            defer { gate.open() }
            let content = Content.bytes(20_000)
            try await TestServer.serve(
                configure: { $0.handlerTimeout = .milliseconds(400) },
                get: { _ in
                    .stream(key: "key") { writer in
                        let number = bodies.add()
                        try await writer.write(content[..<8192])
                        if number == 1 { await gate.wait() }
                        try await writer.write(content[8192...])
                    }
                }
            ) { server in
                let clients = try (0..<3).map { _ in try Client(server.endpoint) }
                var downloads = (0..<3).map { _ in Download("file", [.blksize(1024)]) }
                for index in 0..<3 {
                    clients[index].send(downloads[index].request)
                    clients[index].proceed(&downloads[index], until: 8)
                }
                #expect(bodies.value == 1)
                for index in 0..<3 {
                    clients[index].proceed(&downloads[index])
                    #expect(downloads[index].state == Self.tooSlow)
                }
                #expect(try server.get("file", [.blksize(1024)]).bytes == content)
                #expect(bodies.value == 2)
                #expect(
                    server.wait {
                        server.log.all.contains { $0.text.contains("written nothing for 0.4 s") }
                    })
            }
        }

        /// A slow client does not end a handler that waits for it, nor a handler without a client.
        @Test func oneWithoutAClient() async throws {
            let gate = Gate()
            let content = Content.bytes(20_000)
            try await TestServer.serve(
                configure: { $0.handlerTimeout = .milliseconds(200) },
                get: { _ in
                    .stream(key: "key") { writer in
                        try await writer.write(content[..<8192])
                        await gate.wait()
                        try await writer.write(content[8192...])
                    }
                }
            ) { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1024)]), until: 7)
                usleep(600_000)
                gate.open()
                client.proceed(&download)
                #expect(download.bytes == content)
            }
        }

        /// A client that joins shared content waits for its first bytes like the first client.
        @Test(arguments: ["comes", "throws", "hangs"]) func sharedBeforeItsFirstByte(
            what: String
        ) async throws {
            let (gate, bodies) = (Gate(), Tally())
            defer { gate.open() }
            try await TestServer.serve(
                configure: { $0.handlerTimeout = .milliseconds(what == "hangs" ? 400 : 10_000) },
                get: { _ in
                    .stream(key: "key") { writer in
                        if bodies.add() == 1 {
                            await gate.wait()
                            if what == "throws" { throw Broken() }
                        }
                        try await writer.write([1, 2, 3])
                    }
                }
            ) { server in
                let clients = try (0..<3).map { _ in try Client(server.endpoint) }
                var downloads = (0..<3).map { _ in Download("file", [.blksize(1024)]) }
                for index in 0..<3 { clients[index].send(downloads[index].request) }
                // The third client leaves: another request takes its place.
                #expect(server.wait { server.counter(.requestsRead) == 3 && bodies.value == 1 })
                clients[2].send(Message.read("other"))
                #expect(clients[1].socket.receive(within: .milliseconds(100)) == nil)
                if what != "hangs" { gate.open() }
                for index in 0..<2 {
                    clients[index].proceed(&downloads[index])
                    switch what {
                    case "comes": #expect(downloads[index].bytes == [1, 2, 3])
                    case "hangs": #expect(downloads[index].state == Self.tooSlow)
                    default:
                        #expect(downloads[index].state == .refused(0, "Content source failed"))
                    }
                    if what != "comes" { #expect(downloads[index].oackCount == 0) }
                }
                #expect(try server.get("file").bytes == [1, 2, 3])
                #expect(bodies.value == (what == "comes" ? 1 : 2))
            }
        }

        struct Broken: Error {}

        /// Everything announced is there and sent, and the body does not return.
        @Test func oneThatDoesNotReturn() async throws {
            let cancelled = Tally()
            try await TestServer.serve(
                configure: {
                    $0.handlerTimeout = .milliseconds(300)
                    $0.handlersMax = 1
                },
                get: { _ in
                    .stream(size: 3) { writer in
                        try await writer.write([1, 2, 3])
                        do { try await untilCancelled() } catch { cancelled.add() }
                    }
                }
            ) { server in
                for count in 1...2 {
                    // The place is free as soon as the one before has returned.
                    #expect(server.wait { (try? server.get("file").bytes) == [1, 2, 3] })
                    let other = try server.get("file")
                    #expect(other.state == Self.busy)
                    #expect(server.wait { cancelled.value == count })
                }
                #expect(
                    server.wait {
                        server.log.all.contains { $0.text.contains("not returned within 0.3 s") }
                    })
            }
        }
    }
}
