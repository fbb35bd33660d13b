/// Addresses that begin alike: `10.0.0.0/8`, `fd00::/8`, one alone, or all.
package struct Network: Hashable, BitwiseCopyable, Sendable {
    private let first: Address
    private let mask: Address

    package static let all = Network(
        first: .unspecified, mask: Address(high: 0, low: 0))

    private init(first: Address, mask: Address) {
        self.first = first
        self.mask = mask
    }

    /// One address alone.
    package init(_ address: Address) {
        self.init(first: address, mask: Network.mask(bitCount: 128))
    }

    /// The addresses that have the first `bitCount` bits of `address`; nil when an address of its
    /// family has fewer.
    package init?(_ address: Address, bitCount: Int) {
        let bitCountMax = address.isIPv4 ? 32 : 128
        guard (0...bitCountMax).contains(bitCount) else { return nil }
        let mask = Network.mask(bitCount: bitCount + 128 - bitCountMax)
        self.init(
            first: Address(high: address.high & mask.high, low: address.low & mask.low),
            mask: mask)
    }

    /// The network of this prefix length that contains an address of either family. The length
    /// counts from the front of an IPv6 address: an IPv4 address has 96 bits before its own.
    package init(containing address: Address, prefixBitCount: Int) {
        let mask = Network.mask(bitCount: prefixBitCount)
        let high = address.isLinkLocal ? address.high & 0xFFFF_FFFF_0000_0000 : address.high
        self.init(
            first: Address(high: high & mask.high, low: address.low & mask.low), mask: mask)
    }

    /// How many bits have to be alike, of 128.
    package var prefixBitCount: Int { mask.high.nonzeroBitCount + mask.low.nonzeroBitCount }

    /// The order of networks by their first address.
    package func precedes(_ other: Network) -> Bool {
        (first.high, first.low) < (other.first.high, other.first.low)
    }

    package func contains(_ address: Address) -> Bool {
        // A link-local address tells its interface where the wire has zeros.
        let high = address.isLinkLocal ? address.high & 0xFFFF_FFFF_0000_0000 : address.high
        return high & mask.high == first.high && address.low & mask.low == first.low
    }

    private static func mask(bitCount: Int) -> Address {
        let high = min(64, bitCount)
        let low = bitCount - high
        return Address(
            high: high == 0 ? 0 : .max << UInt64(64 - high),
            low: low == 0 ? 0 : .max << UInt64(64 - low))
    }
}
