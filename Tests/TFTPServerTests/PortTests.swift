import Testing

@testable import TFTPServer

extension ServerTests {
    /// Which address and port an answer comes from.
    struct PortTests {
        static let content = Content.bytes(20_000)

        /// RFC 1350 §4: a transfer has a TID of its own at either end.
        @Test func aPortOfItsOwn() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let client = try Client(server.endpoint)
                #expect(client.run(Download("file")).bytes == Self.content)
                let tid = try #require(client.tid)
                #expect(tid != server.endpoint)
                #expect(tid.at(0) == server.endpoint.at(0))
            }
        }

        @Test func singlePort() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.singlePort = true
                $0.upload = .create
            } body: { server in
                let optionLists: [[Option]] = [[], [.blksize(1400)], [.windowsize(16), .tsize(0)]]
                for (index, options) in optionLists.enumerated() {
                    let reader = try Client(server.endpoint)
                    #expect(reader.run(Download("file", options)).bytes == Self.content)
                    #expect(reader.tid == server.endpoint)
                    let writer = try Client(server.endpoint)
                    let put = writer.run(Upload("new-\(index)", Self.content, options))
                    #expect(put.state == .done)
                    #expect(writer.tid == server.endpoint)
                    #expect(writer.strayCount + reader.strayCount == 0)
                    #expect(server.scratch.read("new-\(index)") == Self.content)
                }
                let refused = try Client(server.endpoint)
                let missing = refused.run(Download("missing"))
                #expect(missing.state == .refused(1, "File not found"))
                #expect(refused.tid == server.endpoint)
                // Many at once through the one port.
                let downloads = (0..<60).map { _ in Download("file", [.windowsize(4)]) }
                let swarm = try Swarm(server.endpoint, downloads: downloads)
                swarm.run(limit: .seconds(10))
                #expect(swarm.downloads.allSatisfy { $0.bytes == Self.content })
            }
        }

        /// A late duplicate of the request, where one port serves all, ends nothing either.
        @Test func singlePortAndALateDuplicate() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.singlePort = true
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 2)
                client.send(download.request)
                client.proceed(&download)
                #expect(download.bytes == Self.content)
            }
        }

        /// A client that began anew a moment after its request, from the same port, gets the file
        /// from the beginning.
        @Test func singlePortAndARestartAfterAMoment() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.singlePort = true
            } body: { server in
                let client = try Client(server.endpoint)
                client.patience = .seconds(5)
                _ = client.run(Download("file", [.blksize(1000)]), until: 2)
                #expect(client.run(Download("file", [.blksize(1000)])).bytes == Self.content)
            }
        }

        /// A stranger's empty or malformed datagram at a transfer's port is answered with ERROR 5,
        /// or not at all.
        @Test func aStrangersMalformedDatagramAtATID() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", [.blksize(1000)]), until: 2)
                let tid = try #require(client.tid)
                for bytes: [UInt8] in [[], [9], [0, 9, 1, 2], [0, 1, 65], [0, 4, 1], [0, 5, 0]] {
                    let answer = try Client.ask(bytes, tid, within: .milliseconds(200))
                    guard let answer else { continue }
                    guard case .error(5, _) = answer, bytes != [0, 5, 0] else {
                        Issue.record("\(bytes): \(answer)")
                        continue
                    }
                }
                client.proceed(&download)
                #expect(download.bytes == Self.content)
            }
        }

        /// A request that is longer than any buffer for one is answered all the same.
        @Test(arguments: [1_892, 2_000, 9_000, 60_000])
        func aLongRequestIsAnswered(byteCount: Int) async throws {
            try await TestServer.serve { server in
                let name = String(repeating: "A", count: byteCount)
                let answer = try Client.ask(
                    [0, 1] + Array("\(name)\0octet\0".utf8), server.endpoint)
                guard case .error? = answer else {
                    Issue.record("\(String(describing: answer))")
                    return
                }
            }
        }

        /// Every shard gets a broadcast request, and the one answers that the client's further
        /// packets will reach.
        @Test func singlePortAndBroadcastRequestsOverSeveralShards() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.listen = [try TFTPServer.ListenAddress("0.0.0.0:0")]
                $0.singlePort = true
                $0.shards = 3
            } body: { server in
                let crowd = Endpoint("127.255.255.255", port: server.endpoint.port)
                for _ in 0..<24 {
                    let client = try Client(crowd)
                    client.limit = .seconds(5)
                    #expect(client.run(Download("file", [.blksize(1000)])).bytes == Self.content)
                }
                // Each shard has had some.
                for shard in 0..<3 {
                    #expect(server.counter(.transfersDone, shard: shard) > 0)
                }
            }
        }

        @Test func aRangeOfPorts() async throws {
            // Below the ports that the system gives to others.
            let ports: ClosedRange<UInt16> = 23_400...23_480
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.ports = ports
                $0.upload = .create
                $0.shards = 2
            } body: { server in
                var tids: Set<UInt16> = []
                for number in 0..<24 {
                    let reader = try Client(server.endpoint)
                    #expect(reader.run(Download("file")).state == .done)
                    let writer = try Client(server.endpoint)
                    #expect(writer.run(Upload("new-\(number)", [1])).state == .done)
                    tids.formUnion([reader.tid, writer.tid].compactMap { $0?.port })
                }
                #expect(tids.allSatisfy(ports.contains))
                #expect(tids.count > 1)
            }
        }

        // MARK: Configurations that cannot start

        @Test func tooFewPorts() async throws {
            let error = await #expect(throws: ServerError.self) {
                try await TestServer.serve(configure: {
                    $0.ports = 23_500...23_501
                    $0.shards = 4
                }) { _ in }
            }
            #expect(error?.reason == .ports)
            #expect(error?.description.contains("23500-23501") == true)
        }

        /// The error names the way out.
        @Test func aPortOfAnotherProgram() async throws {
            let other = try UDPSocket()
            let error = await #expect(throws: ServerError.self) {
                try await TestServer.serve(configure: {
                    $0.listen = [try TFTPServer.ListenAddress("\(other.endpoint)")]
                }) { _ in }
            }
            #expect(error?.reason == .address)
            #expect(error?.description.contains("listen on another") == true)
        }

        /// Shards share a port among them (SO_REUSEPORT), servers do not: each would get a part of
        /// the clients.
        @Test func aPortOfAnotherServer() async throws {
            try await TestServer.serve { server in
                await #expect(throws: ServerError.self) {
                    try await TestServer.serve(configure: {
                        $0.listen = [try TFTPServer.ListenAddress("\(server.endpoint)")]
                    }) { _ in }
                }
            }
        }

        @Test func noSuchFolder() async throws {
            let error = await #expect(throws: ServerError.self) {
                try await TestServer.serve(configure: { $0.root += "/missing" }) { _ in }
            }
            #expect(error?.description.contains("/missing") == true)
        }

        // MARK: Addresses

        static let hasIPv6 = (try? UDPSocket("::1")) != nil

        @Test(.enabled(if: hasIPv6, "this host has no IPv6"), arguments: [false, true])
        func overIPv6(isSinglePort: Bool) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.listen = [try TFTPServer.ListenAddress("[::1]:0")]
                $0.upload = .create
                $0.singlePort = isSinglePort
            } body: { server in
                for (index, options) in [[], [Option.blksize(1428), .windowsize(16)]].enumerated() {
                    let reader = try Client(server.endpoint)
                    #expect(reader.run(Download("file", options)).bytes == Self.content)
                    let writer = try Client(server.endpoint)
                    let put = writer.run(Upload("new-\(index)", Self.content, options))
                    #expect(put.state == .done)
                    #expect(server.scratch.read("new-\(index)") == Self.content)
                    #expect((writer.tid == server.endpoint) == isSinglePort)
                }
                #expect(server.log.wait(for: "file").first?["client"]?.hasPrefix("[::1]:") == true)
            }
        }

        /// Listening on every address, a server answers from the one that was asked.
        @Test(arguments: [false, true])
        func theAddressThatWasAsked(isSinglePort: Bool) async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
            } configure: {
                $0.listen = [try TFTPServer.ListenAddress(":0")]
                $0.upload = .create
                $0.singlePort = isSinglePort
            } body: { server in
                let hosts = ["127.0.0.1", "127.0.0.2", "127.1.2.3"] + (Self.hasIPv6 ? ["::1"] : [])
                for host in hosts {
                    let asked = Endpoint(host, port: server.endpoint.port)
                    let reader = try Client(asked)
                    let got = reader.run(Download("file", [.blksize(1000), .windowsize(4)]))
                    #expect(got.bytes == Self.content, "\(host)")
                    #expect(reader.tid?.at(0) == asked.at(0))
                    #expect((reader.tid == asked) == isSinglePort)
                    let writer = try Client(asked)
                    let put = writer.run(Upload("new-\(host)", Self.content, [.windowsize(4)]))
                    #expect(put.state == .done, "\(host)")
                    #expect(writer.tid?.at(0) == asked.at(0))
                    #expect(reader.strayCount + writer.strayCount == 0)
                    let refused = try Client(asked)
                    let missing = refused.run(Download("missing"))
                    #expect(missing.state == .refused(1, "File not found"))
                    #expect(refused.tid?.at(0) == asked.at(0))
                }
            }
        }

        /// The same client port at two of our addresses: two transfers that know nothing of each
        /// other.
        @Test func twoAddressesOneClientPort() async throws {
            try await TestServer.serve {
                try $0.write("file", Self.content)
                try $0.write("other", Content.bytes(9000, seed: 4))
            } configure: {
                $0.listen = [try TFTPServer.ListenAddress(":0")]
            } body: { server in
                let socket = try UDPSocket()
                let hosts = ["127.0.0.2", "127.0.0.3"].map {
                    Endpoint($0, port: server.endpoint.port)
                }
                var downloads = [Download("file"), Download("other")]
                for (host, download) in zip(hosts, downloads) {
                    socket.send(download.request, to: host)
                }
                while downloads.contains(where: { $0.state == .running }) {
                    let next = try #require(socket.receive())
                    let index = next.source.at(0) == hosts[0].at(0) ? 0 : 1
                    if let reply = downloads[index].step(next.bytes) {
                        socket.send(reply, to: next.source)
                    }
                }
                #expect(downloads[0].bytes == Self.content)
                #expect(downloads[1].bytes == Content.bytes(9000, seed: 4))
            }
        }
    }
}
