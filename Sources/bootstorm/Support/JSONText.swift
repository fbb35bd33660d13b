internal import TFTPWire

extension String {
    /// A JSON string (RFC 8259 §7). What a terminal would act on is escaped too.
    var quotedAsJSON: String {
        var text = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case _ where scalar.isPrintable: text.unicodeScalars.append(scalar)
            default:
                for unit in Character(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return text + "\""
    }
}
