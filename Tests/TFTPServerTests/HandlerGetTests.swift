import Dispatch
import Testing

@testable import TFTPServer

extension ServerTests {
    /// What a handler answers to an RRQ.
    struct HandlerGetTests {
        static let byteCounts = [0, 1, 511, 512, 513, 4 * 1432, 1 << 20, (1 << 20) + 1, 3_000_000]

        @Test func bytesOfManySizes() async throws {
            try await TestServer.serve(get: { request in
                .bytes(Content.bytes(Int(request.name) ?? 0))
            }) { server in
                for count in Self.byteCounts {
                    for options in GetTests.optionLists {
                        let got = try server.get("\(count)", options)
                        #expect(got.state == .done, "\(count) bytes with \(options)")
                        #expect(got.bytes == Content.bytes(count), "\(count) with \(options)")
                        if options.number("tsize") != nil {
                            #expect(got.granted?.number("tsize") == count)
                        }
                    }
                }
                #expect(server.wait { server.server.activeTransferCount == 0 })
            }
        }

        @Test func netascii() async throws {
            let text = Content.text(1_500_000)
            try await TestServer.serve(get: { request in
                request.name == "bytes" ? .bytes(text) : .stream { try await $0.write(text) }
            }) { server in
                for name in ["bytes", "stream"] {
                    let got = try server.get(
                        name, [.tsize(0), .blksize(1432), .windowsize(9)], mode: "netascii")
                    #expect(got.bytes == Content.netascii(text), "\(name)")
                    #expect(got.granted?.number("tsize") == nil)
                }
            }
        }

        @Test func whatTheHandlerIsTold() async throws {
            try await TestServer.serve(get: { request in
                .text(
                    "\(request.name) \(request.client) \(request.localAddress) \(request.mode)"
                        + " \(request.blksize ?? 0) \(request.windowsize ?? 0)"
                        + " \(request.offset ?? 0) \(request.length ?? 0)")
            }) { server in
                let client = try Client(server.endpoint)
                let got = client.run(
                    Download(
                        "\\Boot\\.\\x", [.blksize(1000), .windowsize(3), .length(99)]))
                let wanted = "Boot/x \(client.socket.endpoint) 127.0.0.1 octet 1000 3 0 99"
                #expect(String(decoding: got.bytes, as: UTF8.self) == wanted)
            }
        }

        @Test func theFolderAndRefusals() async throws {
            let words = "not on a Sunday — ever"
            let get: TFTPServer.GetHandler = { request in
                switch request.name {
                case "none": return .notFound
                case "secret": return .refused()
                case "words": return .refused(words, code: .notDefined)
                default: return .file
                }
            }
            try await TestServer.serve({ try $0.write("file", Content.bytes(5000)) }, get: get) {
                server in
                let file = try server.get("file", [.blksize(999)])
                #expect(file.bytes == Content.bytes(5000))
                #expect(try server.get("missing").state == .refused(1, "File not found"))
                #expect(try server.get("none").state == .refused(1, "File not found"))
                #expect(try server.get("secret").state == .refused(2, "Access violation"))
                #expect(try server.get("words").state == .refused(0, words))
                #expect(try server.get("../secret").state == .refused(2, "Access violation"))
                #expect(server.log.wait(for: "words").first?["outcome"] == "refused")
            }
        }

        /// What the folder has is not the handler's business, in memory or not; the rest is, each
        /// time.
        @Test func behindTheFolder() async throws {
            let calls = Tally()
            let get: TFTPServer.GetHandler = { request in
                calls.add()
                return request.name == "sub/made" ? .bytes(Content.bytes(700)) : .file
            }
            try await TestServer.serve({ try $0.write("file", Content.bytes(5000)) }) {
                $0.handlerOrder = .afterFolder
            } get: { request in
                try await get(request)
            } body: { server in
                for _ in 0..<3 {
                    #expect(try server.get("file").bytes == Content.bytes(5000))
                }
                #expect(calls.value == 0)
                for _ in 0..<3 { #expect(try server.get("sub/made").bytes == Content.bytes(700)) }
                #expect(calls.value == 3)
                for _ in 0..<3 {
                    #expect(try server.get("missing").state == .refused(1, "File not found"))
                }
                #expect(calls.value == 6)
                #expect(try server.get("../file").state == .refused(2, "Access violation"))
                #expect(calls.value == 6)
                // It may have come meanwhile.
                try server.scratch.write("missing", Content.bytes(10))
                #expect(try server.get("missing").bytes == Content.bytes(10))
                #expect(calls.value == 6)
                #expect(server.wait { server.server.activeTransferCount == 0 })
            }
        }

        @Test func oneThatThrows() async throws {
            struct Broken: Error, CustomStringConvertible { let description = "out\nof order" }
            try await TestServer.serve(get: { _ in throw Broken() }) { server in
                let got = try server.get("file", [.tsize(0)])
                #expect(got.state == .refused(0, "Request handler failed"))
                #expect(got.oackCount == 0)
                #expect(
                    server.wait {
                        server.log.all.contains {
                            $0.level == .warning && $0.text.hasSuffix("has failed: out?of order")
                        }
                    })
            }
        }

        /// A client that repeats a request while it is being answered gets one answer.
        @Test func oneThatIsSlow() async throws {
            let (gate, calls) = (Gate(), Tally())
            try await TestServer.serve(get: { _ in
                calls.add()
                await gate.wait()
                return .bytes([1, 2, 3])
            }) { server in
                let client = try Client(server.endpoint)
                var download = Download("file")
                for _ in 0..<6 { client.send(download.request) }
                #expect(server.wait { server.counter(.requestsRepeated) == 5 })
                gate.open()
                client.proceed(&download)
                #expect(download.bytes == [1, 2, 3])
                #expect(download.dataCount == 1)
                #expect(calls.value == 1)
            }
        }

        @Test func oneThatHangs() async throws {
            let gate = Gate()
            defer { gate.open() }
            try await TestServer.serve(
                configure: {
                    $0.handlerTimeout = .milliseconds(300)
                    $0.handlersMax = 3
                },
                get: { request in
                    if request.name == "hang" { await gate.wait() }
                    return .bytes(Array(request.name.utf8))
                }
            ) { server in
                let client = try Client(server.endpoint)
                client.send(Message.read("hang"))
                // Others are served meanwhile, and after it was given up.
                for _ in 0..<20 {
                    #expect(try server.get("other").bytes == Array("other".utf8))
                }
                let answer = client.socket.receive().flatMap { Message($0.bytes) }
                #expect(answer == .error(0, "Content source took too long"))
                #expect(try server.get("other").state == .done)
                #expect(
                    server.wait {
                        server.log.all.contains { $0.text.hasSuffix("not answered within 0.3 s") }
                    })
                // It continues to count, because it continues to run.
                for _ in 0..<2 {
                    let got = try server.get("hang")
                    #expect(got.state == .refused(0, "Content source took too long"))
                }
                #expect(try server.get("other").state == .refused(0, "Server busy, try again"))
                gate.open()
                #expect(server.wait { (try? server.get("other").state) == .done })
            }
        }

        /// The handler of a client that has left is cancelled.
        @Test func aClientThatLeaves() async throws {
            let (begun, cancelled) = (Tally(), Tally())
            try await TestServer.serve(get: { _ in
                begun.add()
                do { try await untilCancelled() } catch { cancelled.add() }
                return .bytes([1])
            }) { server in
                let client = try Client(server.endpoint)
                client.send(Message.read("file"))
                #expect(server.wait { begun.value == 1 })
                // The port that a transfer will speak from is not known before it begins: another
                // request ends it.
                client.send(Message.read("other"))
                #expect(server.wait { begun.value == 2 })
                #expect(server.wait { cancelled.value == 1 })
            }
            #expect(cancelled.value == 2)
        }

        /// A task that waits for something while it is cancelled keeps only itself waiting.
        @Test func aCancellationThatHangs() async throws {
            let (begun, gate) = (Tally(), DispatchSemaphore(value: 0))
            try await TestServer.serve(get: { request in
                guard request.name == "file" else { return .bytes([1]) }
                begun.add()
                // A semaphore may not be waited for in an async function, and what is cancelled is
                // not one.
                try? await withTaskCancellationHandler {
                    try await untilCancelled()
                } onCancel: {
                    gate.wait()
                }
                return .notFound
            }) { server in
                let client = try Client(server.endpoint)
                client.send(Message.read("file"))
                #expect(server.wait { begun.value == 1 })
                client.send(Message.read("other"))
                #expect(server.wait { (try? server.get("another").bytes) == [1] })
                gate.signal()
            }
        }

        @Test func stopWhileOneRuns() async throws {
            let (begun, cancelled) = (Tally(), Tally())
            try await TestServer.serve(get: { _ in
                begun.add()
                do { try await untilCancelled() } catch { cancelled.add() }
                return .bytes([1])
            }) { server in
                let client = try Client(server.endpoint)
                client.send(Message.read("file"))
                #expect(server.wait { begun.value == 1 })
                server.server.stop(drain: .zero)
                try await server.ended()
                // `run` does not return before its handlers have.
                #expect(cancelled.value == 1)
                let answer = client.socket.receive().flatMap { Message($0.bytes) }
                #expect(answer == .error(0, "Server is shutting down"))
            }
        }

        @Test func drainWaitsForOne() async throws {
            let (begun, gate) = (Tally(), Gate())
            try await TestServer.serve(get: { _ in
                begun.add()
                await gate.wait()
                return .bytes([1, 2])
            }) { server in
                let client = try Client(server.endpoint)
                var download = Download("file")
                client.send(download.request)
                #expect(server.wait { begun.value == 1 })
                server.server.stop(drain: .seconds(20))
                gate.open()
                client.proceed(&download)
                #expect(download.bytes == [1, 2])
                try await server.ended()
            }
        }

        /// Content with a key is one image for all, and a new key another one.
        @Test func sharedByKey() async throws {
            let (calls, bodies) = (Tally(), Tally())
            let content = Content.bytes(2_500_000)
            try await TestServer.serve(get: { request in
                calls.add()
                return .stream(
                    size: request.name == "sized" ? UInt64(content.count) : nil, key: request.name
                ) { writer in
                    bodies.add()
                    for begin in stride(from: 0, to: content.count, by: 100_000) {
                        try await writer.write(content[begin..<(begin + 100_000)])
                    }
                }
            }) { server in
                for (index, name) in ["sized", "unsized"].enumerated() {
                    let options: [Option] = [.blksize(8192), .windowsize(4)]
                    let downloads = (0..<8).map { _ in Download(name, options) }
                    let swarm = try Swarm(server.endpoint, downloads: downloads)
                    swarm.run(limit: .seconds(20))
                    #expect(swarm.downloads.allSatisfy { $0.bytes == content })
                    #expect(bodies.value == index + 1)
                    // It has no reader any more, and is still in memory. Its size is known by now.
                    #expect(server.wait { server.server.activeTransferCount == 0 })
                    let again = try server.get(name, options + [.tsize(0)])
                    #expect(again.bytes == content)
                    #expect(again.granted?.number("tsize") == content.count)
                    #expect(bodies.value == index + 1)
                }
                #expect(calls.value == 18)
            }
        }

        /// Far more content than the cache holds, with and without keys: content without a reader
        /// makes room.
        @Test func moreThanTheCacheHolds() async throws {
            try await TestServer.serve(
                configure: { $0.cacheSize = 16 << 20 },
                get: { request in
                    let seed = UInt64(request.name.dropFirst()) ?? 0
                    let key = request.name.hasPrefix("k") ? request.name : nil
                    return .bytes(Content.bytes(900_000, seed: seed), key: key)
                }
            ) { server in
                for round in 0..<40 {
                    let name = (round % 2 == 0 ? "k" : "n") + "\(round)"
                    let got = try server.get(name, [.blksize(32768), .windowsize(4)])
                    #expect(got.bytes == Content.bytes(900_000, seed: UInt64(round)), "\(name)")
                }
            }
        }
    }
}
