package import TFTPCore

/// How the packets of one transfer reach the network.
package struct ClientTransport: Sendable {
    /// Send windows as segmented batches (UDP GSO) where the kernel can.
    package var usesSegmentation = true
    /// The only interface that packets leave and arrive by; 0: any.
    package var interfaceIndex: UInt32 = 0
    /// Is shown every packet, on the client's thread; for looking, not for speed.
    package var trace: (@Sendable (TracedPacket) -> Void)?

    /// Segmented batches by any interface.
    package init() {}
}

/// A packet as it passed the client, its beginning at least.
package struct TracedPacket: Sendable {
    /// The client sent it.
    package var isOutgoing: Bool
    /// The client's own port.
    package var port: UInt16
    /// The other end.
    package var peer: Endpoint
    /// Its beginning.
    package var bytes: [UInt8]
    /// Of the whole datagram.
    package var byteCount: Int

    /// How much of a packet is kept: any request, and the header of DATA.
    static let byteCountMax = 600
}
