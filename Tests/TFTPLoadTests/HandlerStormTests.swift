import Foundation
import Synchronization
import TFTPCore
import TFTPServer
import Testing

@testable import TFTPLoad

/// A handler in a storm.
@Suite(.enabled(if: RelayHost.canRun, "io_uring is switched off here"))
struct HandlerStormTests {
    private static func config(_ name: String) -> String {
        (1...20).map { "line \($0) of \(name)\n" }.joined()
    }

    /// 2,000 machines at once, each with a config of its own, and no handler called twice for one
    /// transfer.
    @Test func eachMachineItsOwnConfig() async throws {
        let machineCount = 2000
        let callCount = Atomic<Int>(0)
        try await RelayHost.serve(1) { configuration in
            configuration.transfersMax = 4096
        } get: { request in
            callCount.add(1, ordering: .relaxed)
            return .text(Self.config(request.name))
        } body: { server in
            var configuration = StormConfiguration(server: server)
            configuration.files = (0..<machineCount).map { number in
                let content = Array(Self.config("cfg/\(number)").utf8)
                return .init(name: "cfg/\(number)", weight: 1, reference: Reference(content))
            }
            configuration.asksInTurn = true
            configuration.asksFirst = false
            configuration.clients = [.init(kind: .plain, share: 1)]
            configuration.machineCount = machineCount
            configuration.ending = .transfers(machineCount)
            let storm = Storm(configuration)
            let report = try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread { continuation.resume(with: Result { try storm.run() }) }
            }
            #expect(report.doneCount == machineCount)
            #expect(report.failedCount == 0)
            let bytes = (0..<machineCount).reduce(0) { $0 + Self.config("cfg/\($1)").utf8.count }
            #expect(report.byteCount == UInt64(bytes))
        }
        #expect(callCount.load(ordering: .relaxed) == machineCount)
    }
}
