import Foundation
import TFTPCore
import TFTPSeal
import TFTPServer
import TFTPWire
import Testing

@testable import TFTPLoad

/// Storms whose transfers are sealed.
@Suite(.enabled(if: RelayHost.canRun, "io_uring is switched off here"))
struct SealedStormTests {
    private static let key = SealKey(id: "hall", secret: Array(1...32))

    private static func storm(
        _ server: Endpoint, _ key: SealKey?, _ configure: (inout StormConfiguration) -> Void
    ) async throws -> StormReport {
        var configuration = StormConfiguration(server: server)
        configuration.files = [.init(name: "file", weight: 1, reference: nil)]
        configuration.clients = [.init(kind: .plain, share: 1)]
        configuration.sealKey = key
        configure(&configuration)
        let storm = Storm(configuration)
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try storm.run() }) }
        }
    }

    /// Every byte is compared with what the first fetch has learned.
    @Test(arguments: [(nil, nil), (nil, 4), (1468, nil), (1468, 16), (32, 64)] as [(Int?, Int?)])
    func everyTransferIsSealed(blksize: Int?, windowsize: Int?) async throws {
        let key = try #require(Self.key)
        // Of the least blocks, more than 65,536.
        let byteCount = blksize == 32 ? 1_100_000 : 200_000
        let machineCount = blksize == 32 ? 2 : 20
        try await RelayHost.serve(byteCount) { configuration in
            configuration.sealKeys = SealKeys(key)
            configuration.requireSeal = [.all]
        } body: { server in
            let report = try await Self.storm(server, key) { configuration in
                configuration.plain.blksize = blksize.map { UInt16($0) }
                configuration.plain.windowsize = windowsize.map { UInt16($0) }
                configuration.machineCount = machineCount
                configuration.ending = .transfers(machineCount)
            }
            #expect(report.doneCount == machineCount)
            #expect(report.failedCount == 0)
            #expect(report.byteCount == UInt64(byteCount * machineCount))
        }
    }

    @Test func aServerWithoutTheKeyIsSaidSo() async throws {
        let other = try #require(SealKey(id: "hall", secret: Array(2...33)))
        for keys in [nil, SealKeys(other)] {
            try await RelayHost.serve(1000) {
                $0.sealKeys = keys
            } body: { server in
                await #expect { try await Self.storm(server, Self.key) { _ in } } throws: { error in
                    if case StormError.unsealed = error { true } else { false }
                }
            }
        }
    }
}
