import CoreMetrics
import Foundation
import TFTPMetrics
import Testing

@testable import TFTPServer

/// A server in this process, over a folder of its own.
final class TestServer: Sendable {
    let scratch: Scratch
    let server: TFTPServer
    let log: LogLines
    /// Where it listens.
    let endpoint: Endpoint
    private let running: Task<Void, any Error>

    /// Serves on 127.0.0.1 while `body` runs, on a thread of its own so that it may block.
    static func serve(
        _ prepare: (Scratch) throws -> Void = { _ in },
        configure: (inout TFTPServer.Configuration) throws -> Void = { _ in },
        metrics: (any MetricsFactory)? = nil,
        get: TFTPServer.GetHandler? = nil, put: TFTPServer.PutHandler? = nil,
        body: (TestServer) async throws -> Void
    ) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        try prepare(scratch)
        var configuration = TFTPServer.Configuration(root: scratch.root)
        configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
        configuration.shards = 1
        configuration.cacheSize = 64 << 20
        configuration.transfersMax = 1024
        try configure(&configuration)
        let log = LogLines()
        let tftp = TFTPServer(
            configuration, logger: log.logger, metricsFactory: metrics, get: get, put: put)
        let server = try await TestServer(scratch, tftp, log)
        let result: Result<Void, any Error>
        do {
            result = .success(
                try await withTaskExecutorPreference(OwnThread()) { try await body(server) })
        } catch {
            result = .failure(error)
        }
        server.server.stop(drain: .zero)
        try await server.running.value
        try result.get()
    }

    private init(_ scratch: Scratch, _ server: TFTPServer, _ log: LogLines) async throws {
        self.scratch = scratch
        self.log = log
        self.server = server
        running = Task { try await server.run() }
        let address = try await server.waitUntilListening()[0]
        let colon = address.lastIndex(of: ":")!
        let port = UInt16(address[address.index(after: colon)...])!
        let host = address[..<colon].trimmingCharacters(in: ["[", "]"])
        // Where it answers on every address, it is asked at the usual one.
        endpoint = Endpoint(host == "::" ? "127.0.0.1" : host, port: port)
    }

    /// Waits until `run` has returned.
    func ended() async throws { try await running.value }

    func get(
        _ name: String, _ options: [Option] = [], mode: String = "octet"
    ) throws -> Download { try Client.get(name, options, mode: mode, from: endpoint) }

    func put(
        _ name: String, _ bytes: [UInt8], _ options: [Option] = [], mode: String = "octet"
    ) throws -> Upload { try Client.put(name, bytes, options, mode: mode, to: endpoint) }

    func counter(_ counter: TFTPMetrics.Counter, shard: Int? = nil) -> UInt64 {
        server.counter(counter, shard: shard)
    }

    /// Waits until `condition` holds: what a server does after its last packet is not seen from
    /// outside.
    func wait(limit: Duration = .seconds(5), until condition: () -> Bool) -> Bool {
        let end = ContinuousClock.now + limit
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            usleep(1_000)
        }
        return true
    }

    /// Whether this host lets a server start at all; what it says if not.
    static let refusal = Task<String?, Never> {
        do {
            try await serve { _ in }
            return nil
        } catch {
            return "\(error)"
        }
    }
}

/// Runs tasks one after the other on a thread that may block, which Swift's own threads may not.
final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "bootstorm.test")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
