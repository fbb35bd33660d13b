internal import FoundationEssentials

/// Base64 in the alphabet for URLs and without padding (RFC 4648 §5): no byte of it has a meaning
/// in TFTP.
enum Base64URL {
    static func encode(_ bytes: some DataProtocol) -> [UInt8] {
        Data(bytes).base64EncodedString().utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
    }

    /// nil for anything that `encode` does not make.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var standard = Data()
        for byte in text {
            switch byte {
            case UInt8(ascii: "-"): standard.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): standard.append(UInt8(ascii: "/"))
            case UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="): return nil
            default: standard.append(byte)
            }
        }
        while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
        return Data(base64Encoded: standard).map { Array($0) }
    }

    static func byteCount(of count: Int) -> Int { (4 * count + 2) / 3 }
}
