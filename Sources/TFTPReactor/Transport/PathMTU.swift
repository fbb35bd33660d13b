internal import CLinux
package import TFTPCore

/// Tells what passes to a peer in one piece: by the route that leads there now, and by what the
/// network has said of it.
///
/// Asks the kernel each time, since routes, links and paths change. Sends nothing.
struct PathMTU: ~Copyable {
    private let ipv4 = clinux_mtu_open(false)
    private let ipv6 = clinux_mtu_open(true)

    deinit {
        if ipv4 >= 0 { clinux_close(ipv4) }
        if ipv6 >= 0 { clinux_close(ipv6) }
    }

    /// Bytes of an IP packet; nil where no route leads there.
    func byteCount(to address: Address) -> Int? {
        let socket = address.isIPv4 ? ipv4 : ipv6
        guard socket >= 0 else { return nil }
        let result = clinux_mtu_to(socket, clinux_address(address))
        return result > 0 ? Int(result) : nil
    }
}

/// The largest IP packet that passes to `address` in one piece, as this host knows; nil if there is
/// no route.
package func pathMTU(to address: Address) -> Int? {
    let mtu = clinux_path_mtu(clinux_address(address))
    return mtu > 0 ? Int(mtu) : nil
}
