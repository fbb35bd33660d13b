/// How the bytes of a file stand on the wire (RFC 1350 §1). The mode `mail` is obsolete.
package enum TransferMode: UInt8, Sendable, BitwiseCopyable {
    /// As they stand in the file.
    case octet
    /// With line ends as CR LF (RFC 764, "netascii").
    case netascii
}

extension TransferMode {
    /// The mode of this name, in whatever mix of cases (RFC 1350 §5), or nil for any other.
    @inlinable
    package init?(named name: RawSpan) {
        if name.equalsIgnoringCase("octet") {
            self = .octet
        } else if name.equalsIgnoringCase("netascii") {
            self = .netascii
        } else {
            return nil
        }
    }

    /// The name for a request, in lower case and without its NUL.
    package var wireName: StaticString {
        switch self {
        case .octet: "octet"
        case .netascii: "netascii"
        }
    }
}
