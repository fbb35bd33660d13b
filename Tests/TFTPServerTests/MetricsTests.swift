import CoreMetrics
import MetricsTestKit
import Testing

@testable import TFTPServer

extension ServerTests {
    /// What a program's own metrics system gets.
    struct MetricsTests {
        @Test func transfersAndBytes() async throws {
            let metrics = TestMetrics()
            try await TestServer.serve(
                { try $0.write("file", Content.bytes(10_000)) },
                configure: { $0.upload = .create }, metrics: metrics
            ) { server in
                for _ in 0..<3 { _ = try server.get("file", [.blksize(1000)]) }
                _ = try server.get("missing")
                _ = try server.put("new", Content.bytes(2000))
                _ = server.log.wait(for: "new")
                server.server.stop(drain: .seconds(5))
                try await server.ended()
            }
            let read = ("direction", "read")
            let write = ("direction", "write")
            func total(_ label: String, _ dimensions: (String, String)...) throws -> Int64 {
                try metrics.expectCounter(label, dimensions).totalValue
            }
            #expect(try total("tftp.requests", read) == 4)
            #expect(try total("tftp.requests", write) == 1)
            #expect(try total("tftp.transfers", read, ("outcome", "done")) == 3)
            #expect(try total("tftp.transfers", read, ("outcome", "refused")) == 1)
            #expect(try total("tftp.transfers", write, ("outcome", "done")) == 1)
            #expect(try total("tftp.bytes", read) == 30_000)
            #expect(try total("tftp.bytes", write) == 2000)
            #expect(try metrics.expectTimer("tftp.transfer.duration", [read]).values.count == 3)
            #expect(try metrics.expectGauge("tftp.transfers.active").lastValue == 0)
        }
    }
}
