internal import CLinux
package import SystemPackage
package import TFTPCore

/// Sockets that ask instead of answering, for clients and for load.
///
/// On the wildcard address, telling the local address of each datagram: a thousand simulated
/// machines on the loopback network share one socket and still speak each from an address of its
/// own.
package struct ClientSockets: ~Copyable {
    private var sockets: [ShardSocket] = []
    private let wakeup: Int32

    /// None yet; `open` adds them.
    package init() { wakeup = clinux_eventfd() }

    /// - Parameters:
    ///   - coalesces: takes coalesced datagrams (UDP_GRO).
    ///   - isIPv6: the family of the server.
    ///   - takesLarge: expects datagrams of more than `smallPayloadByteCountMax` bytes.
    ///   - reportsErrors: reports ICMP port unreachable (`receiveFailed`).
    package init(
        count: Int, isIPv6: Bool, coalesces: Bool, takesLarge: Bool = false,
        reportsErrors: Bool = false
    ) throws(Errno) {
        self.init()
        let anywhere = Endpoint(address: .unspecified, port: 0)
        for _ in 0..<count {
            _ = try open(
                at: anywhere, isIPv6: isIPv6, coalesces: coalesces, takesLarge: takesLarge,
                reportsErrors: reportsErrors)
        }
    }

    package var count: Int { sockets.count }

    /// The most that one thread has.
    package static let countMax = ShardLimits.socketsMax

    /// Lifts this process's limit of open files as far as it may, and tells it.
    package static func raiseFileLimit() -> Int { Int(clinux_raise_file_limit()) }

    /// The largest blksize that fits a small buffer together with the kernel's header, the name and
    /// the control data.
    package static let smallPayloadByteCountMax = 1800

    /// Opens one more, the next in number. Without an address it is bound to every one and tells
    /// which a datagram was for.
    ///
    /// - Parameter isDual: an IPv6 socket that IPv4 reaches too.
    /// - Returns: its port.
    package mutating func open(
        at endpoint: Endpoint, isIPv6: Bool, isDual: Bool = false, coalesces: Bool,
        takesLarge: Bool = false, reportsErrors: Bool = false
    ) throws(Errno) -> UInt16 {
        let isWildcard = endpoint.address.isUnspecified
        var options = clinux_udp_options(
            address: clinux_address(endpoint.address), port: endpoint.port, is_ipv6: isIPv6,
            is_dual: isDual, reuses_port: false, wants_local: isWildcard, coalesces: coalesces,
            never_fragments: false, binds_freely: false, reports_errors: reportsErrors,
            interface_index: 0, buffer_bytes: Int32(ShardLimits.clientSocketBufferByteCount))
        let file = unsafe clinux_udp_open(&options)
        guard file >= 0 else { throw Errno(rawValue: -file) }
        let port = UInt16(clinux_udp_port(file))
        sockets.append(
            ShardSocket(
                file: file, port: port, role: coalesces || takesLarge ? .upload : .download,
                isIPv6: isIPv6,
                tellsLocal: isWildcard, address: endpoint.address))
        return port
    }

    /// Makes the port, on the thread that will use it.
    ///
    /// - Parameter largeBufferCount: buffers for coalesced datagrams, 64 KiB each, a power of two.
    package func makePort(largeBufferCount: Int? = nil) throws(Errno) -> DatagramPort {
        try DatagramPort(
            sockets: sockets, wakeup: wakeup, bufferCount: ShardLimits.buffersMax,
            largeBufferCount: largeBufferCount ?? ShardLimits.largeBuffersMax)
    }

    deinit {
        for socket in sockets { clinux_close(socket.file) }
        clinux_close(wakeup)
    }
}
