/// Names as a log line shows them, whatever bytes a client sent: anything else than printable ASCII
/// stands as `\xNN`, so that a name can neither end its quotes nor change a terminal.
package enum PrintableName {
    /// What stands between the quotes.
    package static func text(of bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text += "\\"
                text.unicodeScalars.append(Unicode.Scalar(byte))
            case 0x20..<0x7F: text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += (byte < 16 ? "\\x0" : "\\x") + String(byte, radix: 16)
            }
        }
        return text
    }

    /// A name with its quotes.
    package static func quoted(_ name: String) -> String { "\"\(text(of: name.utf8))\"" }
}
