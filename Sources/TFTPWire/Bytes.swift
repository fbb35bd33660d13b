// What the standard library does not offer yet for reading and writing single bytes of raw spans.

extension RawSpan {
    /// The byte at `offset`. Traps beyond the end.
    @inlinable
    package func byte(at offset: Int) -> UInt8 {
        // In bounds since `unsafeLoad` checks that, and each bit pattern is a UInt8.
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The 16 bits in network order at `offset`. Traps beyond the end.
    @inlinable
    @inline(__always)
    package func bigEndianUInt16(at offset: Int) -> UInt16 {
        UInt16(byte(at: offset)) << 8 | UInt16(byte(at: offset + 1))
    }

    /// Where the first NUL at or after `start` is.
    @inlinable
    package func offsetOfNUL(from start: Int) -> Int? {
        var offset = start
        while offset < byteCount {
            if byte(at: offset) == 0 { return offset }
            offset += 1
        }
        return nil
    }

    /// Whether both have the same bytes.
    package func isEqual(to other: RawSpan) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for offset in byteOffsets where byte(at: offset) != other.byte(at: offset) { return false }
        return true
    }

    /// Whether these bytes spell `word`, in whatever mix of cases.
    ///
    /// - Parameter word: ASCII letters in lower case, and digits behind the first letter.
    @inlinable
    package func equalsIgnoringCase(_ word: StaticString) -> Bool {
        let word = word.rawSpan
        guard byteCount == word.byteCount else { return false }
        for offset in byteOffsets {
            let letter = word.byte(at: offset)
            assert(letter >= UInt8(ascii: "0") && letter <= UInt8(ascii: "z"))
            // Clearing this bit makes a letter upper case, and makes no other byte a letter. A
            // digit has no cases.
            let caseBit: UInt8 = letter >= UInt8(ascii: "a") ? 0x20 : 0
            if byte(at: offset) & ~caseBit != letter & ~caseBit { return false }
        }
        return true
    }
}

extension StaticString {
    /// The UTF-8 bytes of the literal, without the NUL.
    @inlinable
    package var rawSpan: RawSpan {
        @_lifetime(immortal)
        get {
            // The pointer and its count belong together, and a literal lives for ever.
            let bytes = unsafe RawSpan(_unsafeStart: utf8Start, byteCount: utf8CodeUnitCount)
            // As above: nothing ends the life of a literal.
            return unsafe _overrideLifetime(bytes, copying: ())
        }
    }
}

extension OutputRawSpan {
    /// Appends 16 bits in network order. Traps if there is no room.
    @_lifetime(self: copy self)
    mutating func append(bigEndian value: UInt16) {
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    /// Appends `bytes`. Traps if there is no room.
    @_lifetime(self: copy self)
    mutating func append(contentsOf bytes: RawSpan) {
        for offset in bytes.byteOffsets { append(bytes.byte(at: offset)) }
    }

    /// Appends `word` and a NUL. Traps if there is no room.
    @_lifetime(self: copy self)
    mutating func append(terminated word: StaticString) {
        append(contentsOf: word.rawSpan)
        append(0)
    }

    /// Appends `value` in plain decimal, without leading zeros, and a NUL.
    @_lifetime(self: copy self)
    mutating func append(terminatedDecimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
        append(0)
    }
}
