import Glibc
package import TFTPCore

/// A UDP socket on the loopback network whose every wait has an end.
package final class LoopbackSocket: Sendable {
    let file: Int32
    package let endpoint: Endpoint

    package typealias Datagram = (bytes: [UInt8], source: Endpoint)

    /// What a socket could not do.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// - Parameter address: 127.0.0.1 or another that is this host's.
    package init(address: UInt32 = 0x7F00_0001) throws {
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { throw Failure(description: "socket: errno \(errno)") }
        var name = sockaddr_in(Endpoint(address: Address(ipv4: address), port: 0))
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 && getsockname(file, $0, &length) == 0
            }
        }
        guard isBound else {
            close(file)
            throw Failure(description: "bind: errno \(errno)")
        }
        self.file = file
        endpoint = Endpoint(name)
    }

    deinit { close(file) }

    /// Sends; false when the kernel does not take it.
    @discardableResult
    package func send(_ bytes: [UInt8], to target: Endpoint) -> Bool {
        var name = sockaddr_in(target)
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(file, bytes, bytes.count, 0, $0, length)
            }
        }
        return count == bytes.count
    }

    /// The next datagram; throws when none comes within three seconds.
    package func receive() throws -> Datagram {
        guard let datagram = receive(withinMilliseconds: 3000) else {
            throw Failure(description: "nothing came")
        }
        return datagram
    }

    /// The next datagram, or nil when none comes in time.
    package func receive(withinMilliseconds milliseconds: Int32) -> Datagram? {
        var poller = pollfd(file: file)
        guard poll(&poller, 1, milliseconds) > 0 else { return nil }
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(file, &bytes, bytes.count, Int32(MSG_DONTWAIT), $0, &length)
            }
        }
        return count < 0 ? nil : (Array(bytes[..<count]), Endpoint(name))
    }
}

extension pollfd {
    fileprivate init(file: Int32) {
        self.init(fd: file, events: Int16(POLLIN), revents: 0)
    }
}

extension sockaddr_in {
    fileprivate init(_ endpoint: Endpoint) {
        self.init()
        sin_family = sa_family_t(AF_INET)
        sin_port = endpoint.port.bigEndian
        sin_addr.s_addr = endpoint.address.ipv4.bigEndian
    }
}

extension Endpoint {
    fileprivate init(_ name: sockaddr_in) {
        self.init(
            address: Address(ipv4: UInt32(bigEndian: name.sin_addr.s_addr)),
            port: UInt16(bigEndian: name.sin_port))
    }
}
