import Glibc

/// One end of a UDP conversation; IPv4 in the last four of the sixteen bytes.
struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var port: UInt16 = 0
    var isIPv6 = false

    /// - Parameter host: numeric, `127.0.0.1` or `::1`.
    init(_ host: String, port: UInt16) {
        var v4 = in_addr()
        var v6 = in6_addr()
        self.port = port
        if inet_pton(AF_INET, host, &v4) == 1 {
            low = UInt64(UInt32(bigEndian: v4.s_addr))
        } else if inet_pton(AF_INET6, host, &v6) == 1 {
            isIPv6 = true
            (high, low) = withUnsafeBytes(of: &v6) {
                let high = $0.loadUnaligned(as: UInt64.self)
                return (
                    UInt64(bigEndian: high),
                    UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                )
            }
        } else {
            preconditionFailure("'\(host)' is not a numeric address")
        }
    }

    fileprivate init(_ name: sockaddr_in6) {
        var name = name
        isIPv6 = name.sin6_family == sa_family_t(AF_INET6)
        port = UInt16(bigEndian: name.sin6_port)
        withUnsafeBytes(of: &name) {
            if isIPv6 {
                let address = UnsafeRawBufferPointer(rebasing: $0[8..<24])
                high = UInt64(bigEndian: address.loadUnaligned(as: UInt64.self))
                low = UInt64(
                    bigEndian: address.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            } else {
                low = UInt64(
                    UInt32(bigEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            }
        }
    }

    /// Calls `body` with the name as the kernel has it.
    fileprivate func withName<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var name = sockaddr_in6()
        var byteCount = MemoryLayout<sockaddr_in6>.size
        withUnsafeMutableBytes(of: &name) {
            $0.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            if isIPv6 {
                $0.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
                $0.storeBytes(of: high.bigEndian, toByteOffset: 8, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
            } else {
                byteCount = MemoryLayout<sockaddr_in>.size
                $0.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
                $0.storeBytes(of: UInt32(low).bigEndian, toByteOffset: 4, as: UInt32.self)
            }
        }
        return withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(byteCount)) }
        }
    }

    /// The same host, another port.
    func at(_ port: UInt16) -> Endpoint {
        var other = self
        other.port = port
        return other
    }

    var description: String {
        isIPv6
            ? "[\(String(high, radix: 16))…\(String(low, radix: 16))]:\(port)"
            : "\(low >> 24).\(low >> 16 & 255).\(low >> 8 & 255).\(low & 255):\(port)"
    }
}

/// A received datagram and its sender.
struct Datagram: Sendable {
    var bytes: [UInt8]
    var source: Endpoint
}

struct SocketError: Error, CustomStringConvertible {
    var call: String
    var code: Int32 = errno
    var description: String { "\(call): \(String(cString: strerror(code)))" }
}

/// A UDP socket whose every wait has an end. For one thread at a time.
final class UDPSocket: @unchecked Sendable {
    let file: Int32
    /// What it is bound to.
    let endpoint: Endpoint
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)

    /// - Parameter port: 0 for any free one.
    init(_ host: String = "127.0.0.1", port: UInt16 = 0) throws {
        let wanted = Endpoint(host, port: port)
        let file = socket(
            wanted.isIPv6 ? AF_INET6 : AF_INET,
            Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard file >= 0 else { throw SocketError(call: "socket") }
        guard wanted.withName({ bind(file, $0, $1) }) == 0 else {
            let error = SocketError(call: "bind \(wanted)")
            close(file)
            throw error
        }
        // A window in flight must fit; more than the system's limit needs a privilege, and then it
        // is loss.
        var byteCount: Int32 = 8 << 20
        let size = socklen_t(MemoryLayout<Int32>.size)
        if setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &byteCount, size) != 0 {
            setsockopt(file, SOL_SOCKET, SO_RCVBUF, &byteCount, size)
        }
        var isOn: Int32 = 1
        setsockopt(file, SOL_SOCKET, SO_BROADCAST, &isOn, size)
        self.file = file
        var name = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        withUnsafeMutablePointer(to: &name) {
            _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(file, $0, &length)
            }
        }
        endpoint = Endpoint(name)
    }

    deinit {
        close(file)
        buffer.deallocate()
    }

    func send(_ bytes: [UInt8], to target: Endpoint) {
        // What does not go out is lost, as on a network.
        _ = bytes.withUnsafeBytes { bytes in
            target.withName { sendto(file, bytes.baseAddress, bytes.count, 0, $0, $1) }
        }
    }

    /// The next datagram, or nil when none has come in time.
    func receive(within limit: Duration = .seconds(5)) -> Datagram? {
        let end = ContinuousClock.now + limit
        while true {
            if let datagram = receiveNow() { return datagram }
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else { return nil }
            var poller = pollfd(file: file)
            poll(&poller, 1, left.milliseconds)
        }
    }

    /// A datagram that is already here.
    func receiveNow() -> Datagram? {
        var name = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let count = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(file, buffer.baseAddress, buffer.count, 0, $0, &length)
            }
        }
        guard count >= 0 else { return nil }
        return Datagram(
            bytes: Array(UnsafeRawBufferPointer(rebasing: buffer[..<count])), source: Endpoint(name)
        )
    }

    /// Everything that comes until there has been silence for `limit`.
    func receiveAll(silence limit: Duration = .milliseconds(200)) -> [Datagram] {
        var all: [Datagram] = []
        while let datagram = receive(within: limit) { all.append(datagram) }
        return all
    }
}

extension UDPSocket {
    /// Whether this process may write UDP headers of its own.
    static let canForge: Bool = {
        let file = socket(AF_INET, rawType, Int32(IPPROTO_UDP))
        if file >= 0 { close(file) }
        return file >= 0
    }()

    private static let rawType = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)

    /// Sends from port 0, which no socket can be bound to.
    static func sendFromPortZero(_ bytes: [UInt8], to target: Endpoint) {
        let file = socket(AF_INET, rawType, Int32(IPPROTO_UDP))
        defer { close(file) }
        let byteCount = UInt16(8 + bytes.count)
        // Ports, byte count, and no checksum.
        let header: [UInt8] = [
            0, 0, UInt8(target.port >> 8), UInt8(target.port & 0xFF), UInt8(byteCount >> 8),
            UInt8(byteCount & 0xFF), 0, 0,
        ]
        _ = (header + bytes).withUnsafeBytes { bytes in
            target.withName { sendto(file, bytes.baseAddress, bytes.count, 0, $0, $1) }
        }
    }
}

extension pollfd {
    init(file: Int32) { self.init(fd: file, events: Int16(POLLIN), revents: 0) }
}

extension Duration {
    /// Rounded up, for poll.
    var milliseconds: Int32 {
        let parts = components
        return Int32(
            clamping: parts.seconds * 1000 + (parts.attoseconds + 999_999_999_999_999)
                / 1_000_000_000_000_000)
    }
}
