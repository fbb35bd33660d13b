import Foundation
import SystemPackage
import TFTPClient
import Testing

/// The client against our own server, over the loopback network.
@Suite(.serialized)
struct GetTests {
    static let byteCounts = [0, 1, 511, 512, 513, 1_468, 1_000_000]
    static let optionSets: [TFTPClient.Options] = [
        .plain, .init(), .init(blksize: 1468), .init(blksize: 1468, windowsize: 16),
        .init(blksize: 1468, windowsize: 64), .init(blksize: 65464), .init(windowsize: 3),
        .init(blksize: 4096, windowsize: 1000),
    ]

    @Test(arguments: optionSets.indices)
    func getsToMemory(index: Int) async throws {
        let options = Self.optionSets[index]
        try await Served.run { served in
            for count in Self.byteCounts {
                let bytes = content(count)
                try served.folder.publish(bytes, as: "file")
                let download = try await served.client.get(
                    "file", from: served.server, options: options)
                #expect(download.bytes == bytes, "\(count) bytes")
                #expect(download.summary.byteCount == UInt64(count))
            }
        }
    }

    @Test func getsToAFile() async throws {
        try await Served.run { served in
            let bytes = content(3_000_000)
            try served.folder.publish(bytes, as: "file")
            let summary = try await served.client.get(
                "file", from: served.server, to: served.folder.target("copy"),
                options: .init(blksize: 1468, windowsize: 16))
            #expect(served.folder.got("copy") == bytes)
            #expect(served.folder.outNames == ["copy"])
            #expect(summary.blksize == 1468)
            #expect(summary.windowsize == 16)
            #expect(summary.tsize == 3_000_000)
            #expect(summary.duration > .zero)
        }
    }

    @Test func replacesAFileInOneStep() async throws {
        try await Served.run { served in
            try served.folder.publish(content(100), as: "file")
            let path = served.folder.target("copy")
            _ = try await served.client.get("file", from: served.server, to: path)
            try served.folder.publish(content(200, seed: 2), as: "file")
            _ = try await served.client.get("file", from: served.server, to: path)
            #expect(served.folder.got("copy") == content(200, seed: 2))
            #expect(served.folder.outNames == ["copy"])
        }
    }

    @Test func getsAsChunks() async throws {
        try await Served.run { served in
            let bytes = content(5_000_000)
            try served.folder.publish(bytes, as: "file")
            var got: [UInt8] = []
            var count = 0
            for try await chunk in served.client.chunks(
                "file", from: served.server, options: .init(blksize: 1468, windowsize: 16))
            {
                got += chunk
                count += 1
            }
            #expect(got == bytes)
            #expect(count > 5)
        }
    }

    /// The server is kept waiting for longer than its time-outs, and nothing is lost by that.
    @Test func aSlowReaderSlowsTheServer() async throws {
        try await Served.run { served in
            let bytes = content(2_000_000)
            try served.folder.publish(bytes, as: "file")
            var got: [UInt8] = []
            for try await chunk in served.client.chunks(
                "file", from: served.server, options: .init(blksize: 1468, windowsize: 16))
            {
                got += chunk
                try await Task.sleep(for: .milliseconds(150))
            }
            #expect(got == bytes)
        }
    }

    @Test func manyAtOnce() async throws {
        try await Served.run { served in
            for number in 0..<10 {
                try served.folder.publish(
                    content(10_000 * number, seed: UInt64(number)), as: "file-\(number)")
            }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for task in 0..<100 {
                    group.addTask {
                        let number = task % 10
                        let download = try await served.client.get(
                            "file-\(number)", from: served.server,
                            options: .init(blksize: 1024, windowsize: 4))
                        return download.bytes == content(10_000 * number, seed: UInt64(number))
                    }
                }
                for try await isEqual in group { #expect(isEqual) }
            }
        }
    }

    /// Sockets of transfers that are over are closed: more transfers than there are places.
    @Test func oneAfterTheOther() async throws {
        try await Served.run { served in
            let client = try TFTPClient(transfersMax: 2)
            try served.folder.publish(content(1000), as: "file")
            for _ in 0..<50 {
                let download = try await client.get("file", from: served.server)
                #expect(download.bytes == content(1000))
            }
        }
    }

    @Test func tellsOfAMissingFile() async throws {
        try await Served.run { served in
            await #expect(throws: TFTPClient.Failure.notFound(name: "missing")) {
                try await served.client.get(
                    "missing", from: served.server, to: served.folder.target("copy"))
            }
            #expect(served.folder.outNames.isEmpty)
        }
    }

    @Test func translatesText() async throws {
        try await Served.run { served in
            let lines = text(100_000)
            try served.folder.publish(lines, as: "file")
            var options = TFTPClient.Options(blksize: 1024, windowsize: 4)
            options.mode = .netascii
            let download = try await served.client.get(
                "file", from: served.server, options: options)
            #expect(download.bytes == lines)
        }
    }

    @Test func verifies() async throws {
        try await Served.run { served in
            try served.folder.publish(Array("abc".utf8), as: "file")
            var options = TFTPClient.Options()
            options.sha256 = [
                0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
                0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
                0xf2, 0x00, 0x15, 0xad,
            ]
            let path = served.folder.target("copy")
            _ = try await served.client.get("file", from: served.server, to: path, options: options)
            #expect(served.folder.got("copy") == Array("abc".utf8))
            try served.folder.publish(Array("abd".utf8), as: "file")
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.get("file", from: served.server, to: path, options: options)
            }
            guard case .verificationFailed = failure else { return #expect(Bool(false)) }
            #expect(served.folder.got("copy") == Array("abc".utf8))
            #expect(served.folder.outNames == ["copy"])
        }
    }

    @Test func refusesWhatIsTooLarge() async throws {
        try await Served.run { served in
            try served.folder.publish(content(10_000), as: "file")
            // With the size told, and without.
            for options in [TFTPClient.Options(), .plain] {
                await #expect(throws: TFTPClient.Failure.tooLarge(sizeMax: 9_999)) {
                    try await served.client.get(
                        "file", from: served.server, options: options, sizeMax: 9_999)
                }
            }
            #expect(
                try await served.client.get("file", from: served.server, sizeMax: 10_000).bytes
                    .count == 10_000)
        }
    }

    @Test func tellsThatThereIsNoRoom() async throws {
        try await Served.run { served in
            try served.folder.publish(content(10_000), as: "file")
            await #expect(throws: TFTPClient.Failure.diskFull(path: "/dev/full")) {
                try await served.client.get("file", from: served.server, to: "/dev/full")
            }
        }
    }

    @Test func showsProgress() async throws {
        try await Served.run { served in
            try served.folder.publish(content(1_000_000), as: "file")
            let monitor = TFTPClient.Monitor(interval: .milliseconds(1))
            async let download = served.client.get(
                "file", from: served.server, options: .init(blksize: 512), monitor: monitor)
            var seen: [TFTPClient.Progress] = []
            for await progress in monitor { seen.append(progress) }
            #expect(try await download.bytes.count == 1_000_000)
            #expect(seen.last?.byteCount == 1_000_000)
            #expect(seen.last?.totalByteCount == 1_000_000)
            #expect(seen.map(\.byteCount) == seen.map(\.byteCount).sorted())
            #expect(monitor.summary?.byteCount == 1_000_000)
        }
    }

    @Test func closingEndsWhatRuns() async throws {
        let (asked, signal) = AsyncStream<Never>.makeStream()
        try await ScriptedServer.run { server in
            server.request()
            signal.finish()
            // It goes to where the request went.
            let packet = server.listener.receive(milliseconds: 5_000)
            #expect(packet.flatMap { Packet($0.bytes) } == .error(0, "Client is closing"))
        } body: { server in
            let client = try TFTPClient()
            let running = Task { try await client.get("file", from: server) }
            for await _ in asked {}
            client.close()
            await #expect(throws: TFTPClient.Failure.closed) { try await running.value }
            await #expect(throws: TFTPClient.Failure.closed) {
                try await client.get("file", from: server)
            }
        }
    }

    /// The sockets of transfers that have ended in the same turn are no reason to refuse the next
    /// one.
    @Test func manyBeginAndEndInOneTurn() async throws {
        try await Served.run { served in
            try served.folder.publish([1, 2, 3], as: "file")
            let client = try TFTPClient(transfersMax: 1)
            let gate = DispatchSemaphore(value: 0)
            // The first packet holds the client's thread, so that all that follows comes to it at
            // once.
            var options = TFTPClient.Options()
            options.trace = { packet in if packet.isOutgoing { gate.wait() } }
            for _ in 0..<4 {
                let monitor = TFTPClient.Monitor()
                let given = options
                let running = Task {
                    try await client.get(
                        "file", from: served.server, options: given, monitor: monitor)
                }
                while monitor.progress == nil { await Task.yield() }
                try await Task.sleep(for: .milliseconds(50))
                running.cancel()
                options.trace = nil
            }
            async let last = client.get("file", from: served.server)
            try await Task.sleep(for: .milliseconds(50))
            // Its request, and the ERROR that ends it.
            gate.signal()
            gate.signal()
            #expect(try await last.bytes == [1, 2, 3])
        }
    }
}
