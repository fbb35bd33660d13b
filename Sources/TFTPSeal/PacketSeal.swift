internal import FoundationEssentials
package import TFTPWire

/// Seals what one end of a transfer sends, and opens what the other end has sealed.
///
/// Each packet is a transport message of Noise (§5.3) whose nonce says what it is: the block number
/// in 64 bits for DATA and ACK, and one that no block has for the ERROR. Each direction has a key
/// of its own, and in one direction there go either DATA or ACKs. So a nonce has one message: DATA
/// that is sent again is the same bytes again, an ACK has no content at all, and of ERRORs there is
/// one.
package struct PacketSeal: Sendable {
    private let outgoing: NoiseCipher
    private let incoming: NoiseCipher
    private var hasError = false

    /// What a payload is longer than its content.
    package static let byteCount = NoiseCipher.tagByteCount
    private static let errorNonce: UInt64 = 1 << 63

    init(_ keys: NoiseKeys) {
        outgoing = keys.outgoing
        incoming = keys.incoming
    }

    /// What seals the content that this end sends.
    package func blockSealer(blksize: Int) -> BlockSealer {
        BlockSealer(outgoing, blksize: blksize)
    }

    // MARK: ACK

    /// What follows the header of the ACK of `block`.
    package func tag(ack block: UInt64) -> InlineArray<16, UInt8> {
        var tag = InlineArray<16, UInt8>(repeating: 0)
        var room = tag.mutableSpan
        // An ACK has no content, so the tag is all that is written.
        unsafe room.withUnsafeMutableBytes { room in
            unsafe outgoing.seal(
                UnsafeRawBufferPointer(start: nil, count: 0), nonce: block, into: room)
        }
        return tag
    }

    /// Whether the other end has acknowledged `block` with this tag.
    package func isAuthentic(ack block: UInt64, tag: RawSpan) -> Bool {
        guard tag.byteCount == PacketSeal.byteCount else { return false }
        return unsafe tag.withUnsafeBytes { unsafe incoming.open($0, nonce: block) } != nil
    }

    // MARK: DATA

    /// Opens the payload of DATA `block` into `room`, which has place for it. Returns how many
    /// bytes its content has; nil when the other end has not sealed it as that block.
    @unsafe
    package func open(
        _ payload: RawSpan, block: UInt64, into room: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let content = unsafe payload.withUnsafeBytes { unsafe incoming.open($0, nonce: block) }
        guard let content else { return nil }
        unsafe content.withUnsafeBytes { unsafe room.copyMemory(from: $0) }
        return content.count
    }

    // MARK: ERROR

    /// The message of this end's ERROR; nil when there has been one, and another may not follow.
    package mutating func errorMessage(_ code: ErrorCode, _ reason: RawSpan) -> [UInt8]? {
        guard !hasError else { return nil }
        hasError = true
        let words = SealedText.join(code, Array(reason))
        return SealedText.encode(outgoing.seal(words, nonce: PacketSeal.errorNonce))
    }

    /// What the other end's ERROR says; nil when it is not its own.
    package func open(errorMessage message: RawSpan) -> (code: ErrorCode, text: [UInt8])? {
        guard let sealed = SealedText.decode(message),
            let words = incoming.open(sealed, nonce: PacketSeal.errorNonce)
        else { return nil }
        return SealedText.split(words)
    }
}
