internal import CLinux
internal import Dispatch
internal import TFTPClient
internal import TFTPCore
internal import TFTPReactor

/// The servers behind a name: all addresses of a host (A, AAAA), or of all hosts of a service (SRV,
/// RFC 2782).
enum PeerLookup {
    private static let serversMax = 256

    /// nil for a numeric address, or if the look-up fails.
    static func servers(of server: TFTPClient.Server) async -> [TFTPClient.Server]? {
        guard Address(numeric: server.host) == nil else { return nil }
        // The resolver waits, which Swift's own threads must not.
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                let found =
                    server.host.hasPrefix("_")
                    ? services(server.host) : hosts(server.host, port: server.port)
                continuation.resume(returning: found)
            }
        }
    }

    private static func services(_ name: String) -> [TFTPClient.Server]? {
        var found = [clinux_service](repeating: clinux_service(), count: serversMax)
        let count = unsafe clinux_services_resolve(name, &found, UInt32(serversMax))
        guard count > 0 else { return nil }
        return found.prefix(Int(count)).flatMap { service in
            hosts(service.name, port: service.port) ?? []
        }
    }

    /// What a DNS answer says of the hosts of a service.
    static func services(in answer: [UInt8]) -> [TFTPClient.Server]? {
        var found = [clinux_service](repeating: clinux_service(), count: serversMax)
        let count = unsafe clinux_services_read(
            answer, UInt32(answer.count), &found, UInt32(serversMax))
        guard count >= 0 else { return nil }
        return found.prefix(Int(count)).map { TFTPClient.Server(host: $0.name, port: $0.port) }
    }

    private static func hosts(_ name: String, port: UInt16) -> [TFTPClient.Server]? {
        var found = [clinux_address](repeating: clinux_address(), count: serversMax)
        let count = unsafe clinux_addresses_resolve(name, &found, UInt32(serversMax))
        guard count > 0 else { return nil }
        return found.prefix(Int(count)).map {
            TFTPClient.Server(host: "\(Address(high: $0.high, low: $0.low))", port: port)
        }
    }
}

extension clinux_service {
    fileprivate var name: String {
        unsafe withUnsafeBytes(of: host) {
            unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
