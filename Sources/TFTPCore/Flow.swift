/// An IP address in 16 bytes, network order; IPv4 is mapped into IPv6 (RFC 4291 §2.5.5.2).
///
/// A link-local IPv6 address carries its interface index in bytes 4 to 7, which are zero on the
/// wire (RFC 4291 §2.5.6): two links may hold the same address, and replies must leave by the right
/// one.
package struct Address: Hashable, BitwiseCopyable, Sendable {
    /// The first eight bytes.
    package var high: UInt64
    /// The last eight bytes.
    package var low: UInt64

    /// An address from its two halves.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address, most significant byte first.
    package init(ipv4: UInt32) {
        self.init(high: 0, low: 0x0000_FFFF_0000_0000 | UInt64(ipv4))
    }

    /// `::`, which is not the address of any machine.
    package static let unspecified = Address(high: 0, low: 0)

    /// Whether it is an IPv4 address, mapped into IPv6.
    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
    /// The IPv4 address, most significant byte first; meaningful when `isIPv4`.
    package var ipv4: UInt32 { UInt32(truncatingIfNeeded: low) }
    /// Whether it is in fe80::/10.
    package var isLinkLocal: Bool { high >> 54 == 0xFE80 >> 6 }
    /// Whether it is `::` or 0.0.0.0.
    package var isUnspecified: Bool { high == 0 && (low == 0 || low == 0x0000_FFFF_0000_0000) }

    /// Whether it is in 127.0.0.0/8 or is `::1`.
    package var isLoopback: Bool {
        isIPv4 ? ipv4 >> 24 == 127 : high == 0 && low == 1
    }

    /// Whether the address belongs to a group of hosts: each of them would get a reply.
    package var isMulticastOrBroadcast: Bool {
        isIPv4 ? ipv4 >> 28 == 0xE || ipv4 == .max : high >> 56 == 0xFF
    }
}

/// One end of a flow: an address and a UDP port, which TFTP calls a TID (RFC 1350 §4).
package struct Endpoint: Hashable, BitwiseCopyable, Sendable {
    /// The machine.
    package var address: Address
    /// The UDP port.
    package var port: UInt16

    /// The end at `port` of `address`.
    package init(address: Address, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// What tells the packets of one transfer from all others: both ends, and the socket between them.
package struct Flow: Equatable, BitwiseCopyable, Sendable {
    var peerAddress: Address
    /// The address that the peer asked, and that all replies come from.
    package var local: Address
    /// `generation` in 24 bits, and `kind`.
    private var generationAndKind: UInt32
    var peerPort: UInt16
    /// Which of the shard's sockets the transfer speaks through.
    package var socket: UInt16

    /// The packets between `peer` and `local` through one of the shard's sockets.
    package init(peer: Endpoint, local: Address, socket: UInt16) {
        peerAddress = peer.address
        peerPort = peer.port
        self.local = local
        self.socket = socket
        generationAndKind = 0
    }

    /// Tells one use of a slot from the next, in 24 bits, because that is what a completion's user
    /// data has room for.
    var generation: UInt32 {
        get { generationAndKind & 0xFF_FFFF }
        set { generationAndKind = generationAndKind & 0xFF00_0000 | newValue & 0xFF_FFFF }
    }

    /// Which client asked, as a `Fingerprint`.
    var kind: UInt8 {
        get { UInt8(generationAndKind >> 24) }
        set { generationAndKind = generationAndKind & 0xFF_FFFF | UInt32(newValue) << 24 }
    }

    /// The other end.
    package var peer: Endpoint { Endpoint(address: peerAddress, port: peerPort) }

    /// Whether both are between the same two parties, through whichever socket.
    func hasSameParties(as other: Flow) -> Bool {
        peerAddress == other.peerAddress && peerPort == other.peerPort && local == other.local
    }

    func isSame(as other: Flow) -> Bool {
        hasSameParties(as: other) && socket == other.socket
    }
}
