extension Options {
    /// Reads the option bytes of a request or an OACK: names and values in turn, each with a NUL
    /// (RFC 2347).
    ///
    /// Total and lenient, as clients need it; what cannot be read is left out:
    ///
    /// - NULs before a name are skipped. A value may be empty, and the token after it is a name.
    /// - An unknown name is ignored together with its value.
    /// - A value that is not a plain decimal number below 2⁶⁴ of at most 20 digits (so one that is
    ///   empty or has a sign or a space) means that the option is ignored. Leading zeros are fine.
    /// - Of duplicates the first that can be read wins.
    /// - A tail without its NUL is ignored, and with it the name it would have been the value of:
    ///   HP PA-RISC fills its request up to 516 bytes with garbage.
    package init(parsing bytes: RawSpan) {
        self.init()
        var offset = 0
        while let (name, value) = Options.next(in: bytes, from: offset) {
            add(name: bytes.extracting(name), value: bytes.extracting(value))
            offset = value.upperBound + 1
        }
    }

    /// Where the value of the first option `seal` stands in the option bytes of a packet; nil when
    /// there is none.
    package static func sealValue(in bytes: RawSpan) -> Range<Int>? {
        var offset = 0
        while let (name, value) = next(in: bytes, from: offset) {
            if bytes.extracting(name).equalsIgnoringCase("seal") { return value }
            offset = value.upperBound + 1
        }
        return nil
    }

    /// Where the next name from `offset` on and its value stand, each without its NUL.
    @inline(__always)
    private static func next(
        in bytes: RawSpan, from offset: Int
    ) -> (name: Range<Int>, value: Range<Int>)? {
        var start = offset
        while start < bytes.byteCount, bytes.byte(at: start) == 0 { start += 1 }
        guard let nameEnd = bytes.offsetOfNUL(from: start),
            let valueEnd = bytes.offsetOfNUL(from: nameEnd + 1)
        else { return nil }
        return (start..<nameEnd, (nameEnd + 1)..<valueEnd)
    }

    private mutating func add(name bytes: RawSpan, value: RawSpan) {
        guard let name = Name(named: bytes), self[name] == nil,
            let number = UInt64(decimal: value)
        else { return }
        set(name, to: number)
    }
}

extension UInt64 {
    /// The number that `digits` spell, or nil if there is none, another character or an overflow.
    init?(decimal digits: RawSpan) {
        guard digits.byteCount >= 1, digits.byteCount <= UInt64.decimalDigitCountMax else {
            return nil
        }
        self = 0
        for offset in digits.byteOffsets {
            let byte = digits.byte(at: offset)
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (tens, tensOverflow) = multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            if tensOverflow || sumOverflow { return nil }
            self = sum
        }
    }

    /// The digits of 2⁶⁴−1.
    static var decimalDigitCountMax: Int { 20 }
}
