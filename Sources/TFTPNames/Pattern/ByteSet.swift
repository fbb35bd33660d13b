/// A set of bytes: what one place of an expression matches.
struct ByteSet: Equatable, Sendable, BitwiseCopyable {
    private var low: UInt64 = 0
    private var middle: UInt64 = 0
    private var high: UInt64 = 0
    private var top: UInt64 = 0

    static var all: ByteSet { ByteSet().inverted }

    func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: return low & bit != 0
        case 1: return middle & bit != 0
        case 2: return high & bit != 0
        default: return top & bit != 0
        }
    }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: low |= bit
        case 1: middle |= bit
        case 2: high |= bit
        default: top |= bit
        }
    }

    mutating func insert(_ range: ClosedRange<UInt8>) { for byte in range { insert(byte) } }

    mutating func remove(_ byte: UInt8) { self = intersection(ByteSet(byte).inverted) }

    mutating func formUnion(_ other: ByteSet) {
        low |= other.low
        middle |= other.middle
        high |= other.high
        top |= other.top
    }

    func intersection(_ other: ByteSet) -> ByteSet {
        var result = self
        result.low &= other.low
        result.middle &= other.middle
        result.high &= other.high
        result.top &= other.top
        return result
    }

    var inverted: ByteSet {
        var result = ByteSet()
        result.low = ~low
        result.middle = ~middle
        result.high = ~high
        result.top = ~top
        return result
    }

    /// With both cases of each ASCII letter.
    var ignoringCase: ByteSet {
        var result = self
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            guard contains(letter) || contains(letter & 0xDF) else { continue }
            result.insert(letter)
            result.insert(letter & 0xDF)
        }
        return result
    }

    var count: Int {
        low.nonzeroBitCount + middle.nonzeroBitCount + high.nonzeroBitCount + top.nonzeroBitCount
    }

    /// The only byte; nil for none or several.
    var single: UInt8? {
        guard count == 1 else { return nil }
        return (0...255).first(where: contains)
    }
}

extension ByteSet {
    init(_ byte: UInt8) { insert(byte) }

    init(_ range: ClosedRange<UInt8>) { insert(range) }

    private init(of text: StaticString) {
        for byte in text.description.utf8 { insert(byte) }
    }

    static let digits = ByteSet(0x30...0x39)
    static let newline = ByteSet(0x0A)
    /// `\w`: letters of ASCII, digits and the underscore.
    static let word: ByteSet = {
        var set = digits
        set.insert(0x41...0x5A)
        set.insert(0x61...0x7A)
        set.insert(UInt8(ascii: "_"))
        return set
    }()
    /// `\s`: space, and what stands from tab to carriage return.
    static let space: ByteSet = {
        var set = ByteSet(0x09...0x0D)
        set.insert(0x20)
        return set
    }()
    static let horizontalSpace = ByteSet(of: "\t ")
    static let verticalSpace = ByteSet(0x0A...0x0D)

    /// A class by its POSIX name (`[:alpha:]`), in the C locale; nil for no such name.
    init?(named name: String) {
        switch name {
        case "alpha": self = ByteSet.word.intersection(ByteSet.digits.inverted)
        case "digit": self = .digits
        case "alnum": self = .word
        case "upper": self = ByteSet(0x41...0x5A)
        case "lower": self = ByteSet(0x61...0x7A)
        case "space": self = .space
        case "blank": self = .horizontalSpace
        case "punct":
            self = ByteSet(0x21...0x7E).intersection(ByteSet.word.inverted)
            insert(UInt8(ascii: "_"))
        case "cntrl":
            self = ByteSet(0x00...0x1F)
            insert(0x7F)
        case "graph": self = ByteSet(0x21...0x7E)
        case "print": self = ByteSet(0x20...0x7E)
        case "xdigit":
            self = .digits
            insert(0x41...0x46)
            insert(0x61...0x66)
        case "word": self = .word
        default: return nil
        }
        if name == "alpha" || name == "alnum" { remove(UInt8(ascii: "_")) }
    }
}
