import Foundation
import Glibc
import Logging
import TFTPCore
import TFTPServer
import Testing

@testable import TFTPLoad

/// A UDP socket on 127.0.0.1 whose every wait has an end.
final class LoopbackSocket {
    private let file: Int32
    let endpoint: Endpoint

    init() throws {
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        try #require(file >= 0)
        var name = sockaddr_in(Endpoint(address: Address(ipv4: 0x7F00_0001), port: 0))
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(file, $0, length) }
        }
        try #require(bound == 0)
        var limit = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(
            file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var room = length
        withUnsafeMutablePointer(to: &name) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(file, $0, &room)
            }
        }
        self.file = file
        endpoint = Endpoint(name)
    }

    deinit { close(file) }

    func send(_ bytes: [UInt8], to target: Endpoint) {
        var name = sockaddr_in(target)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(file, bytes, bytes.count, 0, $0, length)
            }
        }
        #expect(count == bytes.count)
    }

    /// The next datagram; a failed test when none comes within three seconds.
    func receive() throws -> (bytes: [UInt8], source: Endpoint) {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(file, &bytes, bytes.count, 0, $0, &length)
            }
        }
        try #require(count >= 0, "nothing came")
        return (Array(bytes[..<count]), Endpoint(name))
    }
}

extension sockaddr_in {
    init(_ endpoint: Endpoint) {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = endpoint.port.bigEndian
        sin_addr.s_addr = endpoint.address.ipv4.bigEndian
    }
}

extension Endpoint {
    init(_ name: sockaddr_in) {
        self.init(
            address: Address(ipv4: UInt32(bigEndian: name.sin_addr.s_addr)),
            port: UInt16(bigEndian: name.sin_port))
    }
}

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
        var random = LinkRandom(seed: 5)
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
