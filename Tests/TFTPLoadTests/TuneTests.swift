import Foundation
import Loopback
import Synchronization
import TFTPCore
import Testing

@testable import TFTPLoad

/// Sweeps against a server in this process, each a few seconds long.
@Suite(.enabled(if: RelayHost.canRun, "io_uring is switched off here"), .serialized)
struct TuneTests {
    private static let fileByteCount = 4_000_000

    private func sweep(
        _ server: Endpoint, blksizes: [Int] = [1468], windowsizes: [Int], clients: [Int] = [1],
        seconds: Double = 3, through spec: String? = nil, verifies: Bool = false,
        tell: @escaping @Sendable (Tuner, TuneProgress) -> Void = { _, _ in }
    ) async throws -> TuneFindings {
        var configuration = TuneConfiguration(server: server, name: "file")
        configuration.blksizes = blksizes
        configuration.windowsizes = windowsizes
        configuration.clientCounts = clients
        configuration.seconds = seconds
        configuration.verifies = verifies
        configuration.impairment = try spec.map { try Impairment($0) }
        let own = Mutex<Tuner?>(nil)
        let tuner = Tuner(configuration) { progress in
            if let tuner = own.withLock({ $0 }) { tell(tuner, progress) }
        }
        own.withLock { $0 = tuner }
        defer { own.withLock { $0 = nil } }
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try tuner.run() }) }
        }
    }

    @Test func withoutImpairmentLargerIsBetter() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount) { server in
            let findings = try await sweep(
                server, blksizes: [512, 8192], windowsizes: [1, 16], clients: [1, 4])
            #expect(findings.knowsWindows)
            #expect(findings.granted == TuneSetting(blksize: 8192, windowsize: 16))
            #expect(findings.judges.map(\.clientCount) == [1, 4])
            for judge in findings.judges {
                let best = try #require(judge.best)
                let basic = try #require(judge.basic)
                #expect(best.setting.blksize == 8192)
                #expect(best.goodput > 2 * basic.goodput)
                #expect(judge.scores.allSatisfy { $0.failureCount == 0 })
            }
            #expect(findings.scores.count == findings.plan.cells.count)
            #expect(!findings.wasInterrupted)
        }
    }

    /// What is recommended is compared with the default once more, in turn: three times each, or
    /// less where the machine is too slow for the time that was given.
    @Test func whatIsRecommendedIsVerified() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount) { server in
            let findings = try await sweep(server, windowsizes: [1, 16], verifies: true)
            let trialCount = findings.verificationTrials.count
            #expect((2...6).contains(trialCount))
            let verified = try #require(findings.verified)
            #expect(verified.before.setting == .basic)
            #expect(verified.before.trialCount == (trialCount + 1) / 2)
            #expect(verified.after.setting == TuneCompromise(findings.judges)?.setting)
            #expect(verified.after.goodput > verified.before.goodput)
        }
    }

    @Test func aWindowLargerThanTheQueueIsWorse() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount, configure: { $0.pacing = false }) {
            server in
            let findings = try await sweep(
                server, windowsizes: [1, 16, 64], through: "rate=100Mbit,queue=32,delay=1ms")
            let judge = try #require(findings.judges.first)
            #expect(findings.path == .ethernet)
            #expect(judge.best?.setting == TuneSetting(blksize: 1468, windowsize: 16))
            #expect(judge.harmfulWindows.map(\.setting.windowsize) == [64])
            let flood = try #require(judge.score(TuneSetting(blksize: 1468, windowsize: 64)))
            #expect(flood.repeatShare > 0.25)
        }
    }

    /// As tftpd-hpa does: it grants blksize and leaves out what it does not know.
    @Test func aServerThatLeavesWindowsizeOutIsToldOf() async throws {
        let server = try LoopbackSocket()
        let endpoint = server.endpoint
        let content = [UInt8](repeating: 7, count: 100_000)
        async let serving: Void = withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(
                    with: Result { try TuneTests.serveLockstep(content, from: server) })
            }
        }
        let findings = try await sweep(
            endpoint, blksizes: [512, 1468], windowsizes: [1, 8], seconds: 1)
        try LoopbackSocket().send([], to: endpoint)
        try await serving
        #expect(!findings.knowsWindows)
        #expect(findings.granted == TuneSetting(blksize: 1468, windowsize: 1))
        #expect(findings.plan.grid.windowsizes == [1])
        #expect(findings.judges.first?.best?.setting.windowsize == 1)
    }

    /// Serves one client after the other, until something empty comes.
    private static func serveLockstep(_ content: [UInt8], from socket: LoopbackSocket) throws {
        var blksize = 512
        while true {
            let (bytes, source) = try socket.receive()
            guard bytes.count >= 4 else { return }
            var block = 0
            if bytes[1] == 1 {
                let fields = bytes.dropFirst(2).split(separator: 0).map {
                    String(decoding: $0, as: UTF8.self)
                }
                let asked = fields.firstIndex(of: "blksize").flatMap { Int(fields[$0 + 1]) }
                blksize = asked ?? 512
                if asked != nil {
                    socket.send([0, 6] + Array("blksize\0\(blksize)\0".utf8), to: source)
                    continue
                }
            } else if bytes[1] == 4 {
                block = Int(bytes[2]) << 8 | Int(bytes[3])
            } else {
                continue
            }
            guard block * blksize <= content.count else { continue }
            let payload = content.dropFirst(block * blksize).prefix(blksize)
            socket.send(
                [0, 3, UInt8(block + 1 >> 8), UInt8((block + 1) & 255)] + payload, to: source)
        }
    }

    @Test func aServerThatGrantsOneBlockIsToldOf() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount, configure: { $0.windowsizeMax = 1 }) {
            let findings = try await sweep(
                $0, blksizes: [512, 1468], windowsizes: [1, 8], seconds: 1)
            #expect(!findings.knowsWindows)
            #expect(findings.plan.grid.windowsizes == [1])
            #expect(findings.judges.first?.best?.setting.windowsize == 1)
        }
    }

    @Test func lossMakesTimeoutsMatter() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount) { server in
            let findings = try await sweep(
                server, windowsizes: [1, 4], clients: [8], through: "loss=5%")
            #expect(findings.judges.first?.isLossy == true)
            #expect(findings.timeoutScores.count > 1)
            #expect(findings.timeoutScores.first?.setting.timeout == nil)
        }
    }

    @Test func anInterruptedSweepTellsWhatItHas() async throws {
        try await RelayHost.serve(TuneTests.fileByteCount) { server in
            let findings = try await sweep(server, windowsizes: [1, 8], seconds: 60) {
                tuner, progress in
                if progress.trialCount == 2 { tuner.interrupt() }
            }
            #expect(findings.wasInterrupted)
            #expect(findings.trials.count == 2)
            #expect(findings.judges.first?.scores.isEmpty == false)
        }
    }

    @Test func aMissingFileIsToldOfBefore() async throws {
        try await RelayHost.serve(1000) { server in
            var configuration = TuneConfiguration(server: server, name: "missing")
            configuration.seconds = 60
            let tuner = Tuner(configuration)
            let error = await #expect(throws: TuneError.self) {
                try await withCheckedThrowingContinuation { continuation in
                    Thread.detachNewThread { continuation.resume(with: Result { try tuner.run() }) }
                }
            }
            #expect("\(error!)".contains("no file \"missing\""))
        }
    }

    /// A storm that ends by time closes what it has begun.
    @Test func aStormTakesLeave() async throws {
        let server = try LoopbackSocket()
        var configuration = StormConfiguration(server: server.endpoint)
        configuration.files = [.init(name: "file", weight: 1, reference: nil)]
        configuration.asksFirst = false
        configuration.clients = [.init(kind: .plain, share: 1)]
        configuration.machineCount = 1
        configuration.ending = .seconds(0.3)
        let storm = Storm(configuration)
        async let report = withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try storm.run() }) }
        }
        let request = try server.receive()
        server.send([0, 3, 0, 1] + Array(repeating: 7, count: 512), to: request.source)
        let ack = try server.receive()
        #expect(ack.bytes == [0, 4, 0, 1])
        let leave = try server.receive()
        #expect(Array(leave.bytes.prefix(4)) == [0, 5, 0, 0])
        #expect(try await report.byteCount == 512)
        #expect(try await report.grantedWindowsize == 1...1)
    }
}
