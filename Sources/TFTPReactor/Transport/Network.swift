package import TFTPCore

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

    /// Reads `ADDRESS/BITS`, `ADDRESS` or `all`; nil for anything else, and so for an address that names its interface.
    package init?(text: String) {
        if text == "all" {
            self = .all
            return
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        // Where requests come from is compared without the interface, so `fe80::1%eth0` would contain nobody.
        guard let word = parts.first, parts.count <= 2, !word.contains("%"),
            let address = Address(numeric: String(word))
        else { return nil }
        let bitCountMax = address.isIPv4 ? 32 : 128
        var bitCount = bitCountMax
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...bitCountMax).contains(number) else { return nil }
            bitCount = number
        }
        mask = Network.mask(bitCount: bitCount + 128 - bitCountMax)
        first = Address(high: address.high & mask.high, low: address.low & mask.low)
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
