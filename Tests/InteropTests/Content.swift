import Foundation
import TFTPCore

/// What the files of these tests hold: the same bytes at every run, and none like another's.
enum Content {
    /// Around one block of 512 bytes, many blocks, and more than 65,535 blocks of 512.
    static let byteCounts = [0, 1, 511, 512, 513, 1 << 20, 40 << 20]

    /// Random bytes, drawn with the byte count as the seed.
    static func bytes(_ byteCount: Int) -> Data {
        byteCount == largest.count ? largest : make(byteCount)
    }

    /// Kept, because making it takes a second in a debug build.
    private static let largest = make(40 << 20)

    private static func make(_ byteCount: Int) -> Data {
        var random = SplitMix64(seed: UInt64(byteCount))
        var words = [UInt64](repeating: 0, count: (byteCount + 7) / 8)
        for index in words.indices { words[index] = random.next() }
        return words.withUnsafeBytes { Data($0.prefix(byteCount)) }
    }

    /// Text in which the bytes that netascii translates stand in every order, at block ends too.
    static func text(_ byteCount: Int) -> Data {
        var random = SplitMix64(seed: UInt64(byteCount))
        let alphabet = Array("\r\n\0a".utf8)
        return Data((0..<byteCount).map { _ in alphabet[Int(random.next() >> 62)] })
    }

    /// The same text as netascii has it on the wire (RFC 764): LF is CR LF, and CR is CR NUL.
    static func netascii(_ text: Data) -> Data {
        var wire = Data()
        for byte in text {
            switch byte {
            case UInt8(ascii: "\n"): wire += Array("\r\n".utf8)
            case UInt8(ascii: "\r"): wire += Array("\r\0".utf8)
            default: wire.append(byte)
            }
        }
        return wire
    }
}
