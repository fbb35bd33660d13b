import Foundation
import Synchronization
import SystemPackage
import TFTPClient
import Testing

/// Servers that take a file wrongly.
@Suite(.serialized)
struct HostilePutTests {
    private static let patience = Duration.milliseconds(400)

    private func put(
        _ bytes: [UInt8], _ options: TFTPClient.Options = .init(patience: patience),
        _ script: @escaping @Sendable (ScriptedServer) -> Void
    ) async throws -> Result<TFTPClient.Summary, any Error> {
        try await ScriptedServer.run(script) { server in
            let client = try TFTPClient()
            let start = ContinuousClock.now
            let result = await Result {
                try await client.put(bytes, as: "file", to: server, options: options)
            }
            #expect(ContinuousClock.now - start < .seconds(60))
            return result
        }
    }

    private func failure(
        _ result: Result<TFTPClient.Summary, any Error>
    ) -> TFTPClient.Failure? {
        if case .failure(let error) = result { return error as? TFTPClient.Failure }
        return nil
    }

    /// Takes blocks until a short one, and acknowledges each.
    private static func takeAll(_ server: ScriptedServer, blksize: Int = 512) -> [UInt8] {
        var bytes: [UInt8] = []
        while case .data(let block, let payload) = server.next() {
            bytes += payload
            server.reply(.ack(block))
            if payload.count < blksize { break }
        }
        return bytes
    }

    /// Of a pipe nothing is read until the server has answered; what has been read then is gone,
    /// and the monitor says so.
    @Test(arguments: [false, true])
    func aPipeThatCannotBeReadAgain(answers: Bool) async throws {
        let pipe = Pipe()
        try pipe.fileHandleForWriting.write(contentsOf: Data(content(2000)))
        let monitor = TFTPClient.Monitor()
        let result = try await ScriptedServer.run { server in
            server.request()
            if answers { server.reply(.ack(0)) }
        } body: { server in
            let client = try TFTPClient()
            return await Result {
                try await client.put(
                    contentsOf: FileDescriptor(rawValue: pipe.fileHandleForReading.fileDescriptor),
                    as: "file", to: server,
                    options: .init(blksize: 1468, patience: Self.patience), monitor: monitor)
            }
        }
        #expect(failure(result) != nil)
        #expect(monitor.usedStream == (answers ? .input : nil))
        try pipe.fileHandleForWriting.close()
        let left = try pipe.fileHandleForReading.readToEnd() ?? Data()
        #expect(left.count == (answers ? 0 : 2000))
    }

    @Test func optionsMayBeIgnored() async throws {
        let bytes = content(1000)
        let result = try await put(bytes, .init(blksize: 1468, windowsize: 8)) { server in
            #expect(server.request()?.options["tsize"] == "1000")
            server.reply(.ack(0))
            #expect(Self.takeAll(server) == bytes)
        }
        #expect(try result.get().blksize == 512)
    }

    @Test func optionsMayBeRefused() async throws {
        let bytes = content(1024)
        let result = try await put(bytes, .init(blksize: 1468)) { server in
            server.request()
            server.reply(.error(8, "no options"))
            #expect(server.request()?.options.isEmpty == true)
            server.reply(.ack(0))
            #expect(Self.takeAll(server) == bytes)
        }
        #expect(try result.get().byteCount == 1024)
    }

    @Test func anOACKThatRaises() async throws {
        let result = try await put(content(10), .init(blksize: 1000, patience: Self.patience)) {
            server in
            server.request()
            server.reply(.oack(["blksize", "1001"]))
            #expect(server.errorCode() == 8)
        }
        #expect(failure(result) == .negotiationFailed("blksize is larger than was asked"))
    }

    @Test func silence() async throws {
        #expect(
            failure(try await put(content(10)) { $0.request() })
                == .timedOut(.request, after: Self.patience))
        let later = try await put(content(2000)) { server in
            server.request()
            server.reply(.ack(0))
            guard case .data(1, _) = server.next() else { return }
            server.reply(.ack(1))
            #expect(server.errorCode() == 0)
        }
        #expect(failure(later) == .timedOut(.transfer(byteCount: 512), after: Self.patience))
    }

    /// Blocks for a server that has ended are sent once in each time-out, in whatever way the
    /// network reports its end.
    @Test func aServerThatEndsInMidWindow() async throws {
        let sentCount = Mutex(0)
        var options = TFTPClient.Options(
            blksize: 1400, windowsize: 256, patience: .milliseconds(1500))
        options.trace = { packet in
            if packet.isOutgoing { sentCount.withLock { $0 += 1 } }
        }
        let result = try await put(content(1 << 20), options) { server in
            server.request()
            server.reply(.oack(["blksize", "1400", "windowsize", "256"]))
            server.next()
            server.tid.leavePort()
        }
        #expect(
            failure(result) == .timedOut(.transfer(byteCount: 0), after: .milliseconds(1500)))
        #expect(sentCount.withLock { $0 } <= 20 * 256)
    }

    @Test(arguments: [UInt16(0), 2, 3, 6])
    func anErrorAtEachStep(code: UInt16) async throws {
        for steps in 0...1 {
            let result = try await put(content(2000)) { server in
                server.request()
                if steps == 1 {
                    server.reply(.ack(0))
                    server.next()
                }
                server.reply(.error(code, "because"))
            }
            let expected: TFTPClient.Failure =
                code == 3 ? .diskFull(path: nil) : .refused(code: code, message: "because")
            #expect(failure(result) == expected)
        }
    }

    @Test func aLostBlockIsSentAgain() async throws {
        let bytes = content(1000)
        let result = try await put(bytes, .init()) { server in
            server.request()
            server.reply(.ack(0))
            let first = server.next()
            #expect(server.next() == first)
            server.reply(.ack(1))
            server.next()
            server.reply(.ack(2))
        }
        #expect(try result.get().retransmissions == 1)
    }

    @Test func aLastACKThatNeverComes() async throws {
        let result = try await put(content(10)) { server in
            server.request()
            server.reply(.ack(0))
            while server.next(milliseconds: 1_000) != nil {}
        }
        #expect(failure(result) == .timedOut(.transfer(byteCount: 0), after: Self.patience))
    }

    /// ACKs of what was never sent do not end it.
    @Test func acksThatJump() async throws {
        let bytes = content(1000)
        let result = try await put(bytes, .init()) { server in
            server.request()
            server.reply(.ack(0))
            server.next()
            server.reply(.ack(2), .ack(40_000), .ack(65_535), .ack(1))
            server.next()
            server.reply(.ack(2))
        }
        #expect(try result.get().byteCount == 1000)
    }

    // MARK: After block 65535, in lockstep; servers with windows count on from 0

    /// Enough blocks of 8 bytes to come beyond block 65535.
    private static let long = content(8 * 65_540 + 3)

    /// Takes `long` block by block, and answers a packet that it cannot use with its last ACK, as
    /// every server does that repairs a loss. `pause` is called each time block 65536 is here, and
    /// decides whether to overlook it.
    private static func takeLong(
        _ server: ScriptedServer, next: UInt16, pause: () -> Bool = { false }
    ) -> [UInt8] {
        server.request()
        server.reply(.oack(["blksize", "8"]))
        var got: [UInt8] = []
        var (last, expected): (UInt16, UInt16) = (0, 1)
        while case .data(let block, let payload) = server.next() {
            guard block == expected else {
                server.reply(.ack(last))
                continue
            }
            if got.count == 8 * 65_535 && pause() { continue }
            got += payload
            (last, expected) = (block, block == 65_535 ? next : block + 1)
            server.reply(.ack(block))
            if payload.count < 8 { break }
        }
        return got
    }

    @Test func rollsOverToOne() async throws {
        let result = try await put(Self.long, .init(blksize: 8)) { server in
            let isSame = Self.takeLong(server, next: 1) == Self.long
            #expect(isSame)
        }
        #expect(try result.get().byteCount == UInt64(Self.long.count))
    }

    /// Blocks that are waiting when a server comes back are no reason to number them otherwise.
    @Test func aPauseAfterBlock65535IsWaitedFor() async throws {
        let result = try await put(Self.long, .init(blksize: 8)) { server in
            var hasPaused = false
            let got = Self.takeLong(server, next: 0) {
                if !hasPaused { Thread.sleep(forTimeInterval: 2.5) }
                hasPaused = true
                return false
            }
            let isSame = got == Self.long
            #expect(isSame)
        }
        #expect(try result.get().byteCount == UInt64(Self.long.count))
    }

    /// A server without room drops what comes, silently.
    @Test func block0MayBeDroppedForALongTime() async throws {
        let result = try await put(Self.long, .init(blksize: 8)) { server in
            var dropCount = 0
            let got = Self.takeLong(server, next: 0) {
                dropCount += 1
                return dropCount <= 4
            }
            let isSame = got == Self.long
            #expect(isSame)
        }
        #expect(try result.get().byteCount == UInt64(Self.long.count))
    }

    /// A server that asks for it until it comes as 1, and acknowledges 0 then, may have stored it
    /// twice.
    @Test func bothNumbersAreTooMany() async throws {
        let result = try await put(Self.long, .init(blksize: 8)) { server in
            var isTried = false
            _ = Self.takeLong(server, next: 0) {
                repeat {
                    server.reply(.ack(65_535))
                    guard case .data(let block, _) = server.next() else { return true }
                    isTried = block == 1
                } while !isTried
                server.reply(.ack(0))
                #expect(server.errorCode() == 0)
                return true
            }
            #expect(isTried)
        }
        #expect(failure(result) == .unclearRollover)
    }
}
