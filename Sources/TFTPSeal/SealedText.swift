internal import TFTPWire

/// The message of an ERROR that says what it has to say inside a seal: `sealed ` and then text that
/// anybody may print.
enum SealedText {
    private static let prefix = Array("sealed ".utf8)
    /// What the reason is cut to, so that a log and a packet hold the message.
    private static let reasonByteCountMax = 100
    /// More than any message that `encode` makes: the longest is message 2 of a handshake, with a
    /// reason inside.
    static let byteCountMax = 256

    static func encode(_ sealed: [UInt8]) -> [UInt8] { prefix + Base64URL.encode(sealed) }

    /// nil for an unencrypted message, or one that is too long for a sealed one.
    static func decode(_ message: RawSpan) -> [UInt8]? {
        guard message.byteCount <= byteCountMax else { return nil }
        let message = Array(message)
        guard message.starts(with: prefix) else { return nil }
        return Base64URL.decode(message.dropFirst(prefix.count))
    }

    static func join(_ code: ErrorCode, _ reason: [UInt8]) -> [UInt8] {
        [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)] + reason.prefix(reasonByteCountMax)
    }

    static func split(_ words: some Collection<UInt8>) -> (ErrorCode, text: [UInt8])? {
        guard words.count >= 2 else { return nil }
        let number = words.prefix(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
        return (ErrorCode(rawValue: number), Array(words.dropFirst(2)))
    }
}
