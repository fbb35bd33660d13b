internal import Dispatch
internal import TFTPCore
internal import TFTPReactor

extension TFTPClient {
    /// A server: a host, by name or address, and the port that takes requests.
    public struct Server: Hashable, Sendable, CustomStringConvertible {
        /// A name, or an address as digits.
        public let host: String
        /// The port of requests; answers come from another one.
        public let port: UInt16

        /// - Parameters:
        ///   - host: `tftp.example.net`, `10.0.0.1`, `fd00::1`, `fe80::1%eth0`.
        ///   - port: where it listens for requests.
        public init(host: String, port: UInt16 = 69) {
            self.host = host
            self.port = port
        }

        /// Reads `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`.
        ///
        /// - Throws: `Failure.invalidServer` for anything else. Names are looked up later, at each
        ///   transfer.
        public init(_ text: String) throws(Failure) {
            if let endpoint = Endpoint(text: text, defaultPort: 69) {
                guard !endpoint.address.isUnspecified, endpoint.port > 0 else {
                    throw .invalidServer(text)
                }
                self.init(host: endpoint.address.description, port: endpoint.port)
                return
            }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard let host = parts.first, !host.isEmpty, parts.count <= 2 else {
                throw .invalidServer(text)
            }
            guard parts.count == 2 else {
                self.init(host: String(host))
                return
            }
            guard let port = UInt16(parts[1]), port > 0 else { throw .invalidServer(text) }
            self.init(host: String(host), port: port)
        }

        public var description: String {
            host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }

        /// The address; a host name is looked up. nil if the look-up fails or takes longer than
        /// `patience`.
        func resolve(patience: Duration) async -> Endpoint? {
            if let address = Address(numeric: host) {
                return Endpoint(address: address, port: port)
            }
            // The resolver waits, which Swift's own threads must not; and a task that is cancelled
            // does not wait for it.
            let (answers, continuation) = AsyncStream<Endpoint?>.makeStream()
            let queue = DispatchQueue.global()
            let (host, port) = (host, port)
            queue.async {
                continuation.yield(Endpoint(resolving: host, defaultPort: port))
                continuation.finish()
            }
            queue.asyncAfter(deadline: .now() + patience / .seconds(1)) { continuation.finish() }
            return await answers.first { _ in true } ?? nil
        }
    }
}
