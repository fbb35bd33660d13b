internal import Crypto
internal import FoundationEssentials

/// A secret that two ends share beforehand, and the name by which they speak of it.
package struct SealKey: Equatable, Sendable {
    /// Sent unencrypted in a request.
    package let id: String
    /// 32 random bytes.
    package let secret: [UInt8]

    /// nil when `id` is none, or `secret` has not 32 bytes.
    package init?(id: String, secret: [UInt8]) {
        let isID = (1...SealKey.idByteCountMax).contains(id.utf8.count)
        guard isID, id.utf8.allSatisfy(SealKey.isIDByte), secret.count == SealKey.byteCount else {
            return nil
        }
        self.id = id
        self.secret = secret
    }

    package static let idByteCountMax = 32
    package static let byteCount = 32

    /// A fresh one; nil when `id` is none.
    package static func random(id: String) -> SealKey? {
        let secret = SymmetricKey(size: .bits256)
        return unsafe SealKey(id: id, secret: secret.withUnsafeBytes { unsafe Array($0) })
    }

    /// As a line of a key file.
    package var line: String { "\(id) \(Data(secret).base64EncodedString())" }

    /// Letters, digits, `-` and `_`: nothing that ends a word in a file, an option or a log.
    private static func isIDByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Keys that ends of sealed transfers share beforehand. A client seals its requests with the first;
/// a server opens requests of all of them.
public struct SealKeys: Equatable, Sendable {
    package let first: SealKey
    private let all: [SealKey]

    package init(_ first: SealKey, _ others: [SealKey] = []) {
        self.first = first
        all = [first] + others
    }

    package subscript(id: String) -> SealKey? { all.first { $0.id == id } }

    /// Of all keys, the first one's first. What is made of them for another purpose than a
    /// handshake has a label of its own.
    package var secrets: [[UInt8]] { all.map(\.secret) }

    static let countMax = 64

    /// Reads a key file: one key per line, its ID (1 to 32 letters, digits, `-` and `_`) and then
    /// 32 bytes in base64 or 64 hexadecimal digits. Empty lines and text after a `#` are ignored.
    /// Keep the file readable by its user only.
    ///
    /// - Throws: if there is anything else in it, no key or more than 64, or two of one ID.
    public init(_ text: String) throws(SealKeyError) {
        var keys: [SealKey] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)
            guard !words.isEmpty else { continue }
            guard words.count == 2, let secret = SealKeys.secret(words[1]),
                let key = SealKey(id: String(words[0]), secret: secret)
            else { throw .badLine(index + 1) }
            guard !keys.contains(where: { $0.id == key.id }) else { throw .twice(key.id) }
            keys.append(key)
            guard keys.count <= SealKeys.countMax else { throw .tooMany }
        }
        guard let first = keys.first else { throw .none }
        self.init(first, Array(keys.dropFirst()))
    }

    private static func secret(_ word: Substring) -> [UInt8]? {
        guard word.utf8.count == 2 * SealKey.byteCount else {
            return Data(base64Encoded: String(word)).map { Array($0) }
        }
        let digits = word.compactMap(\.hexDigitValue)
        guard digits.count == 2 * SealKey.byteCount else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}

/// What is wrong with the text of a key file.
public enum SealKeyError: Error, Equatable, CustomStringConvertible {
    /// The file has no key.
    case none
    /// This line, counted from 1, is none.
    case badLine(Int)
    /// Two keys have this ID.
    case twice(String)
    /// There are more than 64.
    case tooMany

    /// One line that says what to do.
    public var description: String {
        switch self {
        case .none: "it has no key; 'bootstorm seal-key ID' makes one"
        case .badLine(let number):
            "line \(number) is not a key: give an ID of letters, digits, - and _, then 32 bytes in base64"
        case .twice(let id): "there are two keys \(id). Give each an ID of its own"
        case .tooMany: "there are more than \(SealKeys.countMax) keys in it"
        }
    }
}

/// Why a sealed message cannot be opened. The other end is not told more than that.
package enum SealError: Error, Equatable {
    /// It does not have the required form.
    case malformed
    /// No key here has that ID.
    case unknownKey
    /// It was made with another key, or changed on the way.
    case notAuthentic
}
