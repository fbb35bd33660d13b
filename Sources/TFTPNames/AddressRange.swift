internal import CLinux
package import TFTPCore

/// Addresses that begin alike, as a condition of a rule: `10.0.0.0/8`, `fd00::/8`, or one alone.
package struct AddressRange: Hashable, Sendable, BitwiseCopyable {
    private let first: Address
    private let mask: Address

    /// Reads `ADDRESS/BITS` or `ADDRESS`; nil for anything else.
    package init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let word = parts.first, parts.count <= 2, !word.contains("%"),
            let address = Address(numericText: String(word))
        else { return nil }
        let bitCountMax = address.isIPv4 ? 32 : 128
        var bitCount = bitCountMax
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...bitCountMax).contains(number) else { return nil }
            bitCount = number
        }
        mask = AddressRange.mask(bitCount: bitCount + 128 - bitCountMax)
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

extension Address {
    /// Reads a numeric address; nil for anything else. Names are not looked up.
    package init?(numericText text: String) {
        var address = clinux_address()
        guard unsafe clinux_address_read(text, &address) == 0 else { return nil }
        self.init(high: address.high, low: address.low)
    }

    /// As `inet_ntop(3)` writes it, without the interface of a link-local one.
    package var numericText: String {
        var text = InlineArray<64, CChar>(repeating: 0)
        var span = text.mutableSpan
        let word = unsafe span.withUnsafeMutableBufferPointer { buffer in
            // 64 bytes hold the longest address, an interface name and the NUL.
            unsafe clinux_address_write(
                clinux_address(high: high, low: low), buffer.baseAddress)
            return unsafe String(cString: buffer.baseAddress!)
        }
        return String(word.prefix { $0 != "%" })
    }
}
