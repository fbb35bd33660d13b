import Foundation
import SystemPackage
import TFTPClient
import Testing

/// Servers that answer wrongly: each ends in a typed error within the patience, or does not
/// disturb, and never leaves anything under the final name.
@Suite(.serialized)
struct HostileGetTests {
    private static let patience = Duration.milliseconds(400)

    /// Gets `file` from a scripted server to a file. Returns what it threw; nothing may be left
    /// then.
    private func failure(
        _ options: TFTPClient.Options = .init(patience: patience),
        _ script: @escaping @Sendable (ScriptedServer) -> Void
    ) async throws -> TFTPClient.Failure? {
        let folder = try Folder()
        defer { folder.remove() }
        return try await ScriptedServer.run(script) { server in
            let client = try TFTPClient()
            let start = ContinuousClock.now
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await client.get(
                    "file", from: server, to: folder.target("copy"), options: options)
            }
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(folder.outNames.isEmpty)
            return failure
        }
    }

    /// The same where it must succeed in spite of all.
    private func get(
        _ options: TFTPClient.Options = .init(),
        _ script: @escaping @Sendable (ScriptedServer) -> Void
    ) async throws -> TFTPClient.Download {
        try await ScriptedServer.run(script) { server in
            try await TFTPClient().get("file", from: server, options: options)
        }
    }

    private static let block = content(512)

    // MARK: Strangers

    @Test func aWrongTIDIsToldAndDoesNotDisturb() async throws {
        let download = try await get { server in
            server.request()
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            let other = try! UDPSocket()
            server.reply(.data(2, [6, 6, 6]), .error(0, "no"), from: other)
            #expect(
                other.receive(milliseconds: 5_000).flatMap { Packet($0.bytes) }
                    == .error(5, "Unknown transfer ID"))
            server.reply(.data(2, [1]))
            #expect(server.next() == .ack(2))
            #expect(other.receive(milliseconds: 50) == nil, "an ERROR is never answered")
        }
        #expect(download.bytes == Self.block + [1])
    }

    @Test func anotherAddressIsToldAndDoesNotDisturb() async throws {
        let download = try await get { server in
            server.request()
            let other = try! UDPSocket("127.0.0.2")
            server.reply(.data(1, [6, 6, 6]), from: other)
            #expect(
                other.receive(milliseconds: 5_000).flatMap { Packet($0.bytes) }
                    == .error(5, "Unknown transfer ID"))
            server.reply(.data(1, [1]))
            #expect(server.next() == .ack(1))
        }
        #expect(download.bytes == [1])
    }

    @Test func theSamePortIsAsGood() async throws {
        let download = try await get(.init(blksize: 8)) { server in
            server.request()
            server.reply(.oack(["blksize", "8"]), from: server.listener)
            #expect(server.listener.receive(milliseconds: 5_000)?.bytes == Packet.ack(0).bytes)
            server.reply(.data(1, [1]), from: server.listener)
            #expect(server.listener.receive(milliseconds: 5_000)?.bytes == Packet.ack(1).bytes)
        }
        #expect(download.bytes == [1])
    }

    // MARK: Options

    @Test func optionsMayBeIgnored() async throws {
        let download = try await get(.init(blksize: 1468, windowsize: 16)) { server in
            #expect(server.request()?.options["blksize"] == "1468")
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            server.reply(.data(2, []))
            #expect(server.next() == .ack(2))
        }
        #expect(download.bytes == Self.block)
        #expect(download.summary.blksize == 512)
        #expect(download.summary.windowsize == 1)
    }

    @Test(arguments: [UInt16(8), 4])
    func optionsMayBeRefused(code: UInt16) async throws {
        let download = try await get(.init(blksize: 1468)) { server in
            server.request()
            server.reply(.error(code, "no options"))
            #expect(server.request()?.options.isEmpty == true)
            server.reply(.data(1, [1]))
            #expect(server.next() == .ack(1))
        }
        #expect(download.bytes == [1])
    }

    @Test(arguments: [
        (["blksize", "1469"], "blksize is larger"), (["windowsize", "17"], "windowsize is larger"),
        (["timeout", "2"], "timeout is another"), (["blksize", "7"], "blksize is out of"),
        (["windowsize", "0"], "windowsize is out of"),
    ])
    func anOACKThatRaises(words: [String], problem: String) async throws {
        let options = TFTPClient.Options(
            blksize: 1468, windowsize: 16, patience: Self.patience, timeout: 1)
        let failure = try await failure(options) { server in
            server.request()
            server.reply(.oack(words))
            #expect(server.errorCode() == 8)
        }
        guard case .negotiationFailed(let text) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(text.hasPrefix(problem))
    }

    @Test(arguments: [["windowsize", "4"], ["timeout", "1"], ["tsize", "5"]])
    func anOACKThatAdds(words: [String]) async throws {
        let failure = try await failure(
            .init(blksize: 1468, patience: Self.patience, tsize: false)
        ) { server in
            server.request()
            server.reply(.oack(words))
            #expect(server.errorCode() == 8)
        }
        #expect(failure == .negotiationFailed("\(words[0]) was not asked for"))
    }

    // MARK: Blocks

    @Test(arguments: [1, 2])
    func anOverlongBlock(number: UInt16) async throws {
        let failure = try await failure { server in
            server.request()
            if number == 2 {
                server.reply(.data(1, Self.block))
                #expect(server.next() == .ack(1))
            }
            server.reply(.data(number, content(513)))
            #expect(server.errorCode() == 4)
        }
        #expect(failure == .protocolViolation("a block of 513 bytes where 512 were agreed"))
    }

    @Test func aBlockThatJumps() async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            for number: UInt16 in [3, 40_000, 0, 65_535, 1_000] { server.reply(.data(number, [6])) }
            #expect(server.errorCode() == 0)
        }
        #expect(failure == .timedOut(.transfer(byteCount: 512), after: Self.patience))
    }

    @Test func aStreamBeyondItsSize() async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.oack(["tsize", "1000"]))
            var block: UInt16 = 1
            while case .ack = server.next() {
                server.reply(.data(block, Self.block))
                block += 1
            }
            #expect(block == 3)
        }
        #expect(failure == .wrongSize(announced: 1000, received: 1024))
    }

    @Test func aStreamShortOfItsSize() async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.oack(["tsize", "1000"]))
            #expect(server.next() == .ack(0))
            server.reply(.data(1, [1, 2, 3]))
            #expect(server.errorCode() == 0)
        }
        #expect(failure == .wrongSize(announced: 1000, received: 3))
    }

    /// The progress monitor must survive any size, too.
    @Test(arguments: [1 << 53, 1 << 63, UInt64.max - 1] as [UInt64])
    func aSizeBeyondAllReason(tsize: UInt64) async throws {
        let failure = try await ScriptedServer.run { server in
            server.request()
            server.reply(.oack(["tsize", "\(tsize)"]))
            #expect(server.next() == .ack(0))
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            Thread.sleep(forTimeInterval: 0.05)
            server.reply(.data(2, [1]))
            #expect(server.errorCode() == 0)
        } body: { server in
            let client = try TFTPClient()
            let monitor = TFTPClient.Monitor(interval: .milliseconds(1))
            let watching = Task {
                var largest: Duration?
                for await progress in monitor {
                    largest = [largest, progress.remaining].compactMap { $0 }.max()
                }
                return largest
            }
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await client.get("file", from: server, to: "/dev/null", monitor: monitor)
            }
            let longest = await watching.value
            #expect(longest.map { $0 > .seconds(3600) } == true)
            return failure
        }
        #expect(failure == .wrongSize(announced: tsize, received: 513))
    }

    // MARK: Silence

    @Test func silenceFromTheBeginning() async throws {
        let failure = try await failure { server in
            server.request()
        }
        #expect(failure == .timedOut(.request, after: Self.patience))
    }

    @Test func silenceAfterTheOACK() async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.oack(["tsize", "1000"]))
            #expect(server.next() == .ack(0))
            #expect(server.errorCode() == 0)
        }
        #expect(failure == .timedOut(.transfer(byteCount: 0), after: Self.patience))
    }

    @Test func silenceAfterABlock() async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            // The ACK is repeated, and then we are told that it is over.
            #expect(server.next() == .ack(1))
            #expect(server.errorCode() == 0)
        }
        #expect(failure == .timedOut(.transfer(byteCount: 512), after: Self.patience))
    }

    // MARK: Closed ports

    /// Well within the patience, which is ten seconds where nothing else is said.
    @Test func aClosedPort() async throws {
        let failure = try await failure(.init()) { server in
            server.listener.leavePort()
        }
        #expect(failure == .unreachable(.request))
    }

    @Test func aServerThatEnds() async throws {
        let failure = try await failure(.init()) { server in
            server.request()
            let tid = try! UDPSocket()
            server.reply(.data(1, Self.block), from: tid)
            #expect(tid.receive(milliseconds: 5_000).flatMap { Packet($0.bytes) } == .ack(1))
        }
        #expect(failure == .unreachable(.transfer(byteCount: 512)))
    }

    /// What a stranger's host says is not about the server.
    @Test func aStrangerThatEnds() async throws {
        let download = try await get { server in
            server.request()
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            for _ in 0..<20 { server.reply(.data(2, [6]), from: try! UDPSocket()) }
            server.reply(.data(2, [1]))
            #expect(server.next() == .ack(2))
        }
        #expect(download.bytes == Self.block + [1])
    }

    @Test func theRequestIsRepeatedFromTheSamePort() async throws {
        let download = try await get(.init(timeout: 1)) { server in
            let first = server.request()
            let port = server.client.sin_port
            #expect(server.request() == first)
            #expect(server.client.sin_port == port)
            server.reply(.data(1, [1]))
            #expect(server.next() == .ack(1))
        }
        #expect(download.summary.retransmissions == 1)
    }

    // MARK: ERRORs

    @Test(arguments: [UInt16(0), 2, 3, 6, 7])
    func anErrorAtTheBeginning(code: UInt16) async throws {
        let failure = try await failure { server in
            server.request()
            server.reply(.error(code, "because"))
        }
        #expect(
            failure
                == (code == 3 ? .diskFull(path: nil) : .refused(code: code, message: "because")))
    }

    @Test(arguments: [UInt16(0), 1, 8])
    func anErrorLater(code: UInt16) async throws {
        for steps in 1...2 {
            let failure = try await failure { server in
                server.request()
                server.reply(.oack(["tsize", "1000"]))
                #expect(server.next() == .ack(0))
                if steps == 2 {
                    server.reply(.data(1, Self.block))
                    #expect(server.next() == .ack(1))
                }
                server.reply(.error(code, "\u{1B}[2J"))
                #expect(server.next(milliseconds: 50) == nil, "an ERROR is never answered")
            }
            #expect(
                failure
                    == (code == 1
                        ? .notFound(name: "file") : .refused(code: code, message: "?[2J")))
        }
    }

    // MARK: Windows

    @Test func anotherOrderIsNoGap() async throws {
        let options = TFTPClient.Options(blksize: 8, windowsize: 4)
        let blocks = (0..<5).map { content(8, seed: $0) }
        let download = try await get(options) { server in
            server.request()
            server.reply(.oack(["blksize", "8", "windowsize", "4"]))
            #expect(server.next() == .ack(0))
            for number in [1, 0, 2, 3] { server.reply(.data(UInt16(number + 1), blocks[number])) }
            #expect(server.next() == .ack(4))
            server.reply(.data(5, [1]))
            #expect(server.next() == .ack(5))
        }
        #expect(download.bytes == blocks[..<4].flatMap { $0 } + [1])
        #expect(download.summary.retransmissions == 0)
    }

    /// What is here beyond a gap is not waited for again.
    @Test func aGapIsToldOnce() async throws {
        let options = TFTPClient.Options(blksize: 8, windowsize: 4)
        let blocks = (0..<6).map { content(8, seed: $0) }
        let download = try await get(options) { server in
            server.request()
            server.reply(.oack(["blksize", "8", "windowsize", "4"]))
            #expect(server.next() == .ack(0))
            for number in [0, 2, 3] { server.reply(.data(UInt16(number + 1), blocks[number])) }
            #expect(server.next() == .ack(1))
            server.reply(.data(2, blocks[1]), .data(5, blocks[4]))
            #expect(server.next() == .ack(5))
            server.reply(.data(6, [1]))
            #expect(server.next() == .ack(6))
        }
        #expect(download.bytes == blocks[..<5].flatMap { $0 } + [1])
    }

    @Test func theLastACKIsRepeated() async throws {
        _ = try await ScriptedServer.run { server in
            server.request()
            server.reply(.data(1, [1]))
            #expect(server.next() == .ack(1))
            server.reply(.data(1, [1]))
            #expect(server.next() == .ack(1))
        } body: { server in
            let client = try TFTPClient()
            let download = try await client.get("file", from: server)
            // The client stays for what its server may have missed.
            try await Task.sleep(for: .milliseconds(200))
            return download
        }
    }

    /// 65,537 blocks and more, counted on from 0 like most servers, or from 1.
    @Test(arguments: [(0, 64), (1, 1), (1, 64)])
    func rollsOver(next: Int, windowsize: Int) async throws {
        let blockCount = 65_600
        let bytes = content(8 * blockCount + 3)
        let options = TFTPClient.Options(blksize: 8, windowsize: UInt16(windowsize))
        let download = try await get(options) { server in
            server.request()
            let window = windowsize > 1 ? ["windowsize", "\(windowsize)"] : []
            server.reply(.oack(["blksize", "8"] + window))
            /// The block that an ACK is of, around `near`.
            func wire(_ block: Int) -> UInt16 {
                next == 0 || block <= 65_535
                    ? UInt16(truncatingIfNeeded: block) : UInt16((block - 1) % 65_535 + 1)
            }
            var acked = 0
            guard server.next() == .ack(0) else { return }
            while acked <= blockCount {
                let end = min(acked + windowsize, blockCount + 1)
                for block in (acked + 1)...end {
                    let start = (block - 1) * 8
                    let payload = Array(bytes[start..<min(start + 8, bytes.count)])
                    server.reply(.data(wire(block), payload))
                }
                // Only the last counts; an earlier one asks for what is missing.
                guard case .ack(let number) = server.next() else { return }
                if let block = (acked...end).first(where: { wire($0) == number }) { acked = block }
            }
        }
        #expect(download.bytes == bytes)
    }

    // MARK: Cancelling

    @Test func cancellingTellsTheServer() async throws {
        try await ScriptedServer.run { server in
            server.request()
            server.reply(.data(1, Self.block))
            #expect(server.next() == .ack(1))
            #expect(server.errorCode() == 0)
        } body: { server in
            let folder = try Folder()
            defer { folder.remove() }
            let client = try TFTPClient()
            let running = Task {
                try await client.get("file", from: server, to: folder.target("copy"))
            }
            try await Task.sleep(for: .milliseconds(100))
            let start = ContinuousClock.now
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            #expect(ContinuousClock.now - start < .seconds(1))
            #expect(folder.outNames.isEmpty)
        }
    }

    @Test func leavingTheLoopCancels() async throws {
        try await ScriptedServer.run { server in
            server.request()
            var block: UInt16 = 0
            while block < 2_000 {
                block += 1
                server.reply(.data(block, Self.block))
                guard case .ack = server.next() else { break }
            }
            #expect(block < 2_000)
        } body: { server in
            let client = try TFTPClient()
            for try await _ in client.chunks("file", from: server, options: .plain) { break }
        }
    }
}
