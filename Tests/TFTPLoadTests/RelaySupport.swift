import Foundation
import Glibc
import Logging
import TFTPCore
import TFTPServer
import Testing

@testable import TFTPLoad

enum RelayHost {
    static let anyPort = Endpoint(address: Address(ipv4: 0x7F00_0001), port: 0)

    /// A relay from 127.0.0.1 to `server`.
    static func relay(
        to server: Endpoint, _ spec: String = "delay=0ms",
        configure: (inout RelayConfiguration) -> Void = { _ in }
    ) throws -> Relay {
        var configuration = RelayConfiguration(
            listen: anyPort, server: server, impairment: try Impairment(spec))
        configure(&configuration)
        return try Relay(configuration)
    }

    /// Whether io_uring works here at all.
    static let canRun: Bool = {
        guard let relay = try? relay(to: anyPort) else { return false }
        return (try? relay.finish()) != nil
    }()

    static let hasIPv6: Bool = {
        let file = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_addr = in6addr_loopback
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
    }()

    /// Serves a folder with one file, `file`, while `body` runs.
    static func serve(
        _ byteCount: Int, on host: String = "127.0.0.1",
        configure: (inout TFTPServer.Configuration) -> Void = { _ in },
        get: TFTPServer.GetHandler? = nil,
        body: (Endpoint) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "bootstorm-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var random = SplitMix64(seed: 5)
        let content = (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try Data(content).write(to: folder.appending(path: "file"))
        var configuration = TFTPServer.Configuration(root: folder.path)
        configuration.listen = [try TFTPServer.ListenAddress("\(host):0")]
        configuration.shards = 1
        configuration.cacheSize = 64 << 20
        configure(&configuration)
        let server = TFTPServer(
            configuration, logger: Logger(label: "relay") { _ in SwiftLogNoOpLogHandler() },
            get: get)
        let running = Task { try await server.run() }
        let text = try await server.waitUntilListening()[0]
        let result: Result<Void, any Error>
        do {
            let port = try #require(UInt16(text.split(separator: ":").last ?? ""))
            let address =
                host.hasPrefix("[") ? Address(high: 0, low: 1) : Address(ipv4: 0x7F00_0001)
            result = .success(try await body(Endpoint(address: address, port: port)))
        } catch {
            result = .failure(error)
        }
        server.stop(drain: .zero)
        try await running.value
        try result.get()
    }

    /// Storms through `relay`; what is checked against comes from the server itself.
    static func storm(
        through relay: Relay, to server: Endpoint, machines: Int, transfers: Int,
        blksize: UInt16 = 1468, windowsize: UInt16? = nil
    ) async throws -> StormReport {
        var configuration = StormConfiguration(server: server)
        configuration.files = [.init(name: "file", weight: 1, reference: nil)]
        configuration.clients = [.init(kind: .plain, share: 1)]
        configuration.plain.blksize = blksize
        configuration.plain.windowsize = windowsize
        configuration.machineCount = machines
        configuration.ending = .transfers(transfers)
        configuration.coalesces = true
        configuration.referenceServer = server
        configuration.server = relay.listening
        let storm = Storm(configuration)
        return try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try storm.run() }) }
        }
    }
}
