internal import Crypto
internal import FoundationEssentials

/// Ed25519 (RFC 8032) under a text: the last line says it.
enum Signature {
    private static let word = "\nsignature "

    /// `text`, which ends a line, with its signature.
    static func sign(_ text: String, with key: PeerNode.SigningKey) throws -> String {
        let signature = try key.key.signature(for: Data(text.utf8))
        return "\(text)signature \(signature.base64EncodedString())\n"
    }

    /// Whether one of `keys` has signed all that stands before the signature.
    static func isSigned(_ text: String, by keys: [PeerNode.TrustedKey]) -> Bool {
        guard let word = text.lastRange(of: word),
            let line = text[word.upperBound...].split(separator: "\n").first,
            text[word.upperBound...].dropFirst(line.count) == "\n",
            let signature = Data(base64Encoded: String(line))
        else { return false }
        let content = Data(text[..<text.index(after: word.lowerBound)].utf8)
        return keys.contains { $0.key.isValidSignature(signature, for: content) }
    }
}

extension PeerNode {
    /// What a node signs its catalogue with (Ed25519).
    public struct SigningKey: Sendable {
        let key: Curve25519.Signing.PrivateKey

        /// A new one, drawn at random.
        public init() { key = Curve25519.Signing.PrivateKey() }

        /// Reads what `text` has written. White space at the ends does not matter.
        public init(_ text: String) throws(InvalidKey) {
            let trimmed = text.trimmingWhitespace()
            guard let data = Data(base64Encoded: trimmed),
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: data)
            else { throw InvalidKey() }
            self.key = key
        }

        /// 32 bytes in Base64. A secret: its owner can sign.
        public var text: String { key.rawRepresentation.base64EncodedString() }

        /// What others trust it by.
        public var trusted: TrustedKey { TrustedKey(key: key.publicKey) }
    }

    /// Whose catalogue is believed: the public half of a `SigningKey`.
    public struct TrustedKey: Sendable {
        let key: Curve25519.Signing.PublicKey

        init(key: Curve25519.Signing.PublicKey) { self.key = key }

        /// Reads what `text` has written.
        public init(_ text: String) throws(InvalidKey) {
            let trimmed = text.trimmingWhitespace()
            guard let data = Data(base64Encoded: trimmed),
                let key = try? Curve25519.Signing.PublicKey(rawRepresentation: data)
            else { throw InvalidKey() }
            self.key = key
        }

        /// 32 bytes in Base64.
        public var text: String { key.rawRepresentation.base64EncodedString() }
    }

    /// The text is not a valid key.
    public struct InvalidKey: Error, CustomStringConvertible {
        /// One line that says what to give instead.
        public var description: String {
            "that is no Ed25519 key: 32 bytes in Base64, as 'bootstorm sign-key' makes them"
        }
    }
}
