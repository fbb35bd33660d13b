internal import TFTPWire

/// The option `seal` of a request or an OACK (RFC 2347), and what precedes it in the packet.
///
/// It is the last option, so that everything else is in the unencrypted part. In a request its
/// value is the key's ID, a dot and message 1 of the handshake; in an OACK it is message 2.
struct SealOption {
    /// The packet up to where the value begins.
    let plain: [UInt8]
    let value: [UInt8]

    static let name: StaticString = "seal"

    /// Finds it in `packet`, whose options begin at `start`; nil when there is none, or something
    /// after it.
    init?(in packet: RawSpan, optionsAt start: Int) {
        let options = packet.extracting(droppingFirst: start)
        guard let place = Options.sealValue(in: options), place.upperBound + 1 == options.byteCount
        else { return nil }
        plain = Array(packet.extracting(first: start + place.lowerBound))
        value = Array(options.extracting(place))
    }

    /// `packet`, which ends with an option or has none, with `seal` and its value behind it.
    static func append(_ value: (_ plain: [UInt8]) -> [UInt8], to packet: [UInt8]) -> [UInt8] {
        let plain = packet + Array(name.rawSpan) + [0]
        return plain + value(plain) + [0]
    }
}
