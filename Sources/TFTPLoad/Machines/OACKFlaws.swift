internal import TFTPWire

/// Oddities in the bytes of an OACK that its parsed `Options` no longer show.
package struct OACKFlaws: OptionSet, Sendable, BitwiseCopyable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The last byte is not NUL. EDK II refuses it.
    package static let unterminated = OACKFlaws(rawValue: 1 << 0)
    /// An option that no RFC names. PXELINUX and lwIP refuse it.
    package static let unknownName = OACKFlaws(rawValue: 1 << 1)
    /// A name in capital letters. GRUB does not see that option.
    package static let capitals = OACKFlaws(rawValue: 1 << 2)
    /// A name without its value. curl refuses it.
    package static let malformedPair = OACKFlaws(rawValue: 1 << 3)
    /// NULs where a name should be.
    package static let padding = OACKFlaws(rawValue: 1 << 4)

    /// Looks through the option bytes of an OACK.
    package init(scanning bytes: RawSpan) {
        self = []
        if bytes.byteCount > 0, bytes.byte(at: bytes.byteCount - 1) != 0 { insert(.unterminated) }
        var offset = 0
        while offset < bytes.byteCount {
            if bytes.byte(at: offset) == 0 {
                insert(.padding)
                offset += 1
                continue
            }
            guard let nameEnd = bytes.offsetOfNUL(from: offset) else {
                insert(.malformedPair)
                return
            }
            look(at: bytes.extracting(offset..<nameEnd))
            guard let valueEnd = bytes.offsetOfNUL(from: nameEnd + 1) else {
                insert(.malformedPair)
                return
            }
            offset = valueEnd + 1
        }
    }

    private mutating func look(at name: RawSpan) {
        if Options.Name(named: name) == nil { insert(.unknownName) }
        for offset in name.byteOffsets {
            let byte = name.byte(at: offset)
            if byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") { insert(.capitals) }
        }
    }
}
