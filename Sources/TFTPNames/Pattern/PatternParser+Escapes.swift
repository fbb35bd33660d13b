extension PatternParser {
    /// Behind a backslash.
    mutating func parseEscape() throws(PatternError) -> PatternNode? {
        let begin = position - 1
        guard let byte = next else { throw .syntax("trailing backslash", at: begin) }
        position += 1
        if let node = commonEscape(byte) { return node }
        switch byte {
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            position -= 1
            return try parseReference(from: begin)
        default: break
        }
        guard syntax == .perl else { return posixEscape(byte) }
        return try parsePerlEscape(byte, from: begin)
    }

    /// What both syntaxes have.
    private func commonEscape(_ byte: UInt8) -> PatternNode? {
        switch byte {
        case UInt8(ascii: "w"): .byte(.word)
        case UInt8(ascii: "W"): .byte(ByteSet.word.inverted)
        case UInt8(ascii: "s"): .byte(.space)
        case UInt8(ascii: "S"): .byte(ByteSet.space.inverted)
        case UInt8(ascii: "b"): .assertion(.wordBoundary)
        case UInt8(ascii: "B"): .assertion(.noWordBoundary)
        default: nil
        }
    }

    /// GNU's additions to POSIX; everything else stands for itself.
    private func posixEscape(_ byte: UInt8) -> PatternNode {
        switch byte {
        case UInt8(ascii: "<"): .assertion(.wordBegin)
        case UInt8(ascii: ">"): .assertion(.wordEnd)
        case UInt8(ascii: "`"): .assertion(.begin)
        case UInt8(ascii: "'"): .assertion(.end)
        default: .byte(folded(ByteSet(byte)))
        }
    }

    private mutating func parsePerlEscape(
        _ byte: UInt8, from begin: Int
    ) throws(PatternError) -> PatternNode? {
        switch byte {
        case UInt8(ascii: "A"): return .assertion(.begin)
        case UInt8(ascii: "z"): return .assertion(.end)
        case UInt8(ascii: "Z"): return .assertion(.endOrLastNewline)
        case UInt8(ascii: "N"): return .byte(ByteSet.newline.inverted)
        case UInt8(ascii: "R"): return lineBreak
        case UInt8(ascii: "K"):
            // As PCRE has it since 10.38: a match would end before it begins.
            guard lookAroundDepth == 0 else {
                throw .unsupported("\\K within a look-around", at: begin)
            }
            return .begin
        case UInt8(ascii: "Q"):
            isQuoting = true
            return nil
        case UInt8(ascii: "E"): return nil
        case UInt8(ascii: "g"): return try parseReference(from: begin)
        case UInt8(ascii: "k"): return try parseNamed(from: begin)
        default: break
        }
        position -= 1
        return .byte(folded(try parseByteEscape(from: begin)))
    }

    private var lineBreak: PatternNode {
        let pair = PatternNode.sequence([.byte(ByteSet(0x0D)), .byte(ByteSet(0x0A))])
        return .atomic(.alternation([pair, .byte(.verticalSpace)]))
    }

    private mutating func parseNamed(from begin: Int) throws(PatternError) -> PatternNode {
        if skip("<") { return try parseNamedReference(until: ">", from: begin) }
        if skip("{") { return try parseNamedReference(until: "}", from: begin) }
        if skip("'") { return try parseNamedReference(until: "'", from: begin) }
        throw .syntax("\\k without a name", at: begin)
    }

    /// `\1`, `\g1`, `\g{1}`, `\g{-1}`.
    private mutating func parseReference(from begin: Int) throws(PatternError) -> PatternNode {
        let isBraced = bytes[begin + 1] == UInt8(ascii: "g") && skip("{")
        let isRelative = isBraced && skip("-")
        var number = 0
        if syntax == .posixExtended, let byte = next {
            // POSIX has nine, and a digit behind one stands for itself.
            number = Int(byte - 0x30)
            position += 1
        } else if let value = parseNumber() {
            number = isRelative ? groupCount + 1 - value : value
        }
        guard number >= 1, !isBraced || skip("}") else {
            throw .syntax("invalid reference to a group", at: begin)
        }
        references.append((number, begin))
        return .backreference(number: number, ignoresCase: flags.ignoresCase)
    }

    // MARK: Bytes

    /// An escape that stands for bytes, in a class or outside. The letter is next.
    mutating func parseByteEscape(from begin: Int) throws(PatternError) -> ByteSet {
        guard let byte = next else { throw .syntax("trailing backslash", at: begin) }
        position += 1
        switch byte {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "D"): return ByteSet.digits.inverted
        case UInt8(ascii: "w"): return .word
        case UInt8(ascii: "W"): return ByteSet.word.inverted
        case UInt8(ascii: "s"): return .space
        case UInt8(ascii: "S"): return ByteSet.space.inverted
        case UInt8(ascii: "h"): return .horizontalSpace
        case UInt8(ascii: "H"): return ByteSet.horizontalSpace.inverted
        case UInt8(ascii: "v"): return .verticalSpace
        case UInt8(ascii: "V"): return ByteSet.verticalSpace.inverted
        case UInt8(ascii: "x"): return ByteSet(try parseHexadecimal(from: begin))
        case UInt8(ascii: "0")...UInt8(ascii: "7"): return ByteSet(parseOctal(byte))
        default: break
        }
        if let control = PatternParser.control(byte) { return ByteSet(control) }
        // A letter without a meaning is kept for one that may come; a mark stands for itself.
        if ByteSet.word.contains(byte), byte != UInt8(ascii: "_") {
            throw .unsupported("\\\(Character(UnicodeScalar(byte)))", at: begin)
        }
        return ByteSet(byte)
    }

    private static func control(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "e"): 0x1B
        case UInt8(ascii: "a"): 0x07
        default: nil
        }
    }

    private mutating func parseHexadecimal(from begin: Int) throws(PatternError) -> UInt8 {
        let isBraced = skip("{")
        var value = 0
        var count = 0
        while let byte = next, count < 2, let digit = Character(UnicodeScalar(byte)).hexDigitValue {
            value = value * 16 + digit
            count += 1
            position += 1
        }
        if isBraced && !skip("}") { throw .syntax("invalid hexadecimal number", at: begin) }
        return UInt8(truncatingIfNeeded: value)
    }

    /// Up to three digits, the first of which has been read.
    private mutating func parseOctal(_ first: UInt8) -> UInt8 {
        var value = Int(first - 0x30)
        var count = 1
        while let byte = next, count < 3, (0x30...0x37).contains(byte) {
            value = value * 8 + Int(byte - 0x30)
            count += 1
            position += 1
        }
        return UInt8(truncatingIfNeeded: value)
    }

    // MARK: Classes

    /// Behind a `[`.
    mutating func parseClass() throws(PatternError) -> ByteSet {
        let begin = position - 1
        let isNegative = skip("^")
        var set = ByteSet()
        var isFirst = true
        while let byte = next {
            if byte == UInt8(ascii: "]") && !isFirst {
                position += 1
                // Folded before it is turned round: neither case of a letter that is excluded
                // matches.
                let folded = folded(set)
                return isNegative ? folded.inverted : folded
            }
            isFirst = false
            if let named = try parseNamedClass() {
                set.formUnion(named)
                continue
            }
            try parseRange(into: &set, from: begin)
        }
        throw .syntax("missing ']'", at: begin)
    }

    /// One byte, or two with a hyphen between them.
    private mutating func parseRange(
        into set: inout ByteSet, from begin: Int
    ) throws(PatternError) {
        let first = try parseClassPart(from: begin)
        guard next == UInt8(ascii: "-"), let behind = peek(1), behind != UInt8(ascii: "]"),
            let low = first.single
        else {
            set.formUnion(first)
            return
        }
        position += 1
        let last = try parseClassPart(from: begin)
        guard let high = last.single else {
            // `[a-\d]`: the hyphen stands for itself.
            set.formUnion(first)
            set.insert(UInt8(ascii: "-"))
            set.formUnion(last)
            return
        }
        guard low <= high else { throw .syntax("range out of order", at: begin) }
        set.insert(low...high)
    }

    private mutating func parseClassPart(from begin: Int) throws(PatternError) -> ByteSet {
        guard let byte = next else { throw .syntax("missing ']'", at: begin) }
        position += 1
        guard byte == UInt8(ascii: "\\"), syntax == .perl else { return ByteSet(byte) }
        if skip("b") { return ByteSet(0x08) }
        if skip("E") || skip("Q") { return ByteSet() }
        return try parseByteEscape(from: position - 1)
    }

    /// `[:alpha:]`, and in POSIX `[=a=]` and `[.a.]` for one byte.
    private mutating func parseNamedClass() throws(PatternError) -> ByteSet? {
        guard next == UInt8(ascii: "["), let kind = peek(1) else { return nil }
        let isElement = kind == UInt8(ascii: "=") || kind == UInt8(ascii: ".")
        guard kind == UInt8(ascii: ":") || (isElement && syntax == .posixExtended) else {
            return nil
        }
        let begin = position
        var end = position + 2
        while end + 1 < bytes.count, bytes[end] != kind || bytes[end + 1] != UInt8(ascii: "]") {
            if bytes[end] == UInt8(ascii: "]") && !isElement { return nil }
            end += 1
        }
        guard end + 1 < bytes.count else { return nil }
        let name = bytes[begin + 2..<end]
        position = end + 2
        if isElement {
            guard name.count == 1, let byte = name.first else {
                throw .syntax("invalid class", at: begin)
            }
            // The C library takes such a range for one of its own order.
            if next == UInt8(ascii: "-"), let behind = peek(1), behind != UInt8(ascii: "]") {
                throw .unsupported("a range from a collating element", at: begin)
            }
            return ByteSet(byte)
        }
        let isNegative = syntax == .perl && name.first == UInt8(ascii: "^")
        let text = String(decoding: isNegative ? name.dropFirst() : name, as: UTF8.self)
        guard let set = ByteSet(named: text) else {
            throw .syntax("no class named '\(text)'", at: begin)
        }
        return isNegative ? set.inverted : set
    }
}
