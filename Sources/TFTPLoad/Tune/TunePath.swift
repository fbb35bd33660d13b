/// What is known of the way between server and clients: the largest IP packet that passes in one
/// piece.
package struct TunePath: Equatable, Codable, Sendable {
    package var mtu: Int
    package var isIPv4: Bool

    package init(mtu: Int, isIPv4: Bool) {
        self.mtu = mtu
        self.isIPv4 = isIPv4
    }

    package static let ethernet = TunePath(mtu: 1500, isIPv4: true)

    private static let udpHeaderByteCount = 8
    private static let dataHeaderByteCount = 4
    private static let blksizeMax = 65464
    /// IPv6 puts what it needs for fragments into a header of its own.
    private static let fragmentHeaderByteCount = 8

    private var ipHeaderByteCount: Int { isIPv4 ? 20 : 40 }

    /// The largest blksize whose DATA travels in one packet.
    package var blksizeFitting: Int {
        let headers =
            ipHeaderByteCount + TunePath.udpHeaderByteCount + TunePath.dataHeaderByteCount
        return min(TunePath.blksizeMax, max(8, mtu - headers))
    }

    /// How many IP packets a full DATA travels in.
    package func packetCount(blksize: Int) -> Int {
        guard blksize > blksizeFitting else { return 1 }
        let room = mtu - ipHeaderByteCount - (isIPv4 ? 0 : TunePath.fragmentHeaderByteCount)
        // A fragment's place is told in units of eight bytes.
        let step = max(8, room & ~7)
        let byteCount = blksize + TunePath.dataHeaderByteCount + TunePath.udpHeaderByteCount
        return (byteCount + step - 1) / step
    }
}
