internal import CLinux
package import SystemPackage
internal import TFTPCore

/// Sockets that ask instead of answering, for clients and for load.
///
/// On the wildcard address, telling the local address of each datagram: a thousand simulated machines on the loopback
/// network share one socket and still speak each from an address of its own.
package struct ClientSockets: ~Copyable {
    package let count: Int
    private let sockets: [ShardSocket]
    private let bell: Int32

    /// - Parameters:
    ///   - coalesces: takes coalesced datagrams (UDP_GRO).
    ///   - isIPv6: the family of the server.
    package init(count: Int, isIPv6: Bool, coalesces: Bool) throws(Errno) {
        var opened: [ShardSocket] = []
        for _ in 0..<count {
            var options = clinux_udp_options(
                address: clinux_address(.unspecified), port: 0, is_ipv6: isIPv6, is_dual: false,
                reuses_port: false, wants_local: true, coalesces: coalesces,
                buffer_bytes: Int32(ShardLimits.clientSocketBufferByteCount))
            let file = unsafe clinux_udp_open(&options)
            guard file >= 0 else {
                for socket in opened { clinux_close(socket.file) }
                throw Errno(rawValue: -file)
            }
            opened.append(
                ShardSocket(
                    file: file, port: UInt16(clinux_udp_port(file)),
                    role: coalesces ? .upload : .download, isIPv6: isIPv6, tellsLocal: true,
                    address: .unspecified))
        }
        sockets = opened
        self.count = count
        bell = clinux_eventfd()
    }

    /// Makes the port, on the thread that will use it.
    package func makePort() throws(Errno) -> DatagramPort {
        try DatagramPort(sockets: sockets, bell: bell, bufferCount: ShardLimits.buffersMax)
    }

    deinit {
        for socket in sockets { clinux_close(socket.file) }
        clinux_close(bell)
    }
}

/// The clock of all deadlines: nanoseconds that do not go back.
package func monotonicNow() -> UInt64 { clinux_now() }

/// A random word from the system.
package func systemRandom() -> UInt64 { clinux_random() }
