import CLinux
import Testing

/// Ports that the kernel chooses.
struct FreePortTests {
    /// Sockets that share their port among shards get one that no other server has. Of so many the
    /// kernel would give two the same in 98 of 100 runs if it thought that they may share it.
    @Test func noTwoServersGetTheSame() {
        var options = clinux_udp_options()
        options.address = clinux_address(high: 0, low: 0xFFFF_7F00_0001)
        options.reuses_port = true
        let sockets = (0..<500).map { _ in unsafe clinux_udp_open(&options) }.filter { $0 >= 0 }
        defer { for socket in sockets { clinux_close(socket) } }
        let ports = sockets.map { clinux_udp_port($0) }
        #expect(sockets.count == 500)
        #expect(Set(ports).count == ports.count)
    }

    /// The other shards of the server share it all the same.
    @Test func shardsShareIt() {
        var options = clinux_udp_options()
        options.address = clinux_address(high: 0, low: 0xFFFF_7F00_0001)
        options.reuses_port = true
        let first = unsafe clinux_udp_open(&options)
        options.port = UInt16(clinux_udp_port(first))
        let second = unsafe clinux_udp_open(&options)
        defer { for socket in [first, second] { clinux_close(socket) } }
        #expect(second >= 0)
        #expect(clinux_udp_port(second) == clinux_udp_port(first))
        #expect(clinux_udp_steer(first, 2) == 0)
    }
}
