package import TFTPCore
package import TFTPWire

/// What is known of a request when its name is decided on.
package struct NameRequest: Sendable {
    /// The name as it came, without its NUL.
    package var name: [UInt8]
    /// `.rrq` or `.wrq`.
    package var direction: Opcode
    package var mode: TransferMode
    /// Where the request came from.
    package var client: Address
    /// The address that was asked.
    package var server: Address
    /// What kind of client it looks like.
    package var kind: Fingerprint
    /// From the neighbour table or the hosts file; nil while unknown.
    package var mac: MACAddress?
    /// From the hosts file.
    package var hostName: String?
    /// From the hosts file or the name itself (Raspberry Pi).
    package var serial: String?
    /// Other columns of the hosts file.
    package var hostFields: [String: String] = [:]

    package init(
        name: [UInt8], direction: Opcode = .rrq, mode: TransferMode = .octet,
        client: Address = .unspecified, server: Address = .unspecified, kind: Fingerprint = .other,
        mac: MACAddress? = nil, hostName: String? = nil, serial: String? = nil
    ) {
        self.name = name
        self.direction = direction
        self.mode = mode
        self.client = client
        self.server = server
        self.kind = kind
        self.mac = mac
        self.hostName = hostName
        self.serial = serial
    }
}

/// An Ethernet address.
package struct MACAddress: Hashable, Sendable, BitwiseCopyable {
    /// In the low 48 bits.
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value & 0xFFFF_FFFF_FFFF }

    /// Reads `b8:27:eb:01:02:03`, with colons, hyphens or dots, or twelve digits; nil for anything
    /// else. A hardware type in front (`01-b8-…`, as PXELINUX writes it) is dropped.
    package init?(text: String) {
        var digits = text.filter { $0 != ":" && $0 != "-" && $0 != "." }
        if digits.utf8.count == 14, text.hasPrefix("01-") || text.hasPrefix("01:") {
            digits.removeFirst(2)
        }
        guard digits.utf8.count == 12, let value = UInt64(digits, radix: 16) else { return nil }
        self.init(value)
    }

    private func joined(by separator: String) -> String {
        (0..<6).map { index in
            let byte = UInt8(truncatingIfNeeded: value >> UInt64(40 - 8 * index))
            return NameText.hexadecimal(byte, isUppercase: false)
        }.joined(separator: separator)
    }

    /// `b8-27-eb-01-02-03`, as dnsmasq names a client's folder.
    package var hyphenated: String { joined(by: "-") }
    /// `01-b8-27-eb-01-02-03`, as PXELINUX asks for its configuration: the hardware type (1,
    /// Ethernet) in front.
    package var pxe: String { "01-" + hyphenated }
}

extension MACAddress: CustomStringConvertible {
    /// `b8:27:eb:01:02:03`.
    package var description: String { joined(by: ":") }
}

/// How addresses and bytes are written into names.
enum NameText {
    static func hexadecimal(_ byte: UInt8, isUppercase: Bool) -> String {
        let digits = String(byte, radix: 16, uppercase: isUppercase)
        return byte < 16 ? "0" + digits : digits
    }

    /// All bytes of an address without separators, in upper case: `C000020A`.
    static func hexadecimal(_ address: Address) -> String {
        let bytes = address.isIPv4 ? 4 : 16
        return (0..<bytes).map { index in
            let shift = UInt64(8 * (bytes - 1 - index))
            let byte =
                shift >= 64
                ? UInt8(truncatingIfNeeded: address.high >> (shift - 64))
                : UInt8(truncatingIfNeeded: address.low >> shift)
            return hexadecimal(byte, isUppercase: true)
        }.joined()
    }
}
