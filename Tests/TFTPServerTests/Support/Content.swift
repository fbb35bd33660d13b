import TFTPCore

extension SplitMix64 {
    /// True in one of `count` cases.
    mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

enum Content {
    /// Nothing repeats in it, so a block in the wrong place shows.
    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var random = SplitMix64(seed: seed)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            var index = 0
            while index < count {
                var word = random.next()
                for _ in 0..<min(8, count - index) {
                    buffer[index] = UInt8(truncatingIfNeeded: word)
                    word >>= 8
                    index += 1
                }
            }
            initializedCount = count
        }
    }

    /// Text with lines of many lengths, and a CR here and there.
    static func text(_ count: Int, seed: UInt64 = 2) -> [UInt8] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in
            switch random.next() % 16 {
            case 0: UInt8(ascii: "\n")
            case 1: UInt8(ascii: "\r")
            case let other: UInt8(ascii: "a") + UInt8(other)
            }
        }
    }

    /// As netascii has it on the wire (RFC 764): LF is CR LF, CR is CR NUL.
    static func netascii(_ text: [UInt8]) -> [UInt8] {
        text.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "\n"): [13, 10]
            case UInt8(ascii: "\r"): [13, 0]
            default: [byte]
            }
        }
    }
}
