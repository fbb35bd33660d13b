extension String {
    /// The text with everything that a terminal or a log reader would act on written as the bytes
    /// `\xNN` of its UTF-8: control characters (C0, DEL, C1), line separators, and marks that turn
    /// the direction of text or cannot be seen.
    package var printable: String { escaped { !$0.isPrintable } }

    /// `printable`, and quotes and backslashes with a backslash before them: between quotes it ends
    /// no quotation.
    package var quotable: String {
        escaped { !$0.isPrintable || $0 == "\"" || $0 == "\\" }
    }

    private func escaped(where mustEscape: (Unicode.Scalar) -> Bool) -> String {
        guard unicodeScalars.contains(where: mustEscape) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            guard mustEscape(scalar) else {
                text.unicodeScalars.append(scalar)
                continue
            }
            if scalar.isPrintable {
                text += "\\\(Character(scalar))"
            } else {
                for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                    text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
                }
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    /// Whether it stands for itself in a line of text and nothing else happens.
    package var isPrintable: Bool {
        if isASCII { return (0x20..<0x7F).contains(value) }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned,
            .privateUse:
            false
        default: true
        }
    }
}
