internal import Crypto
internal import FoundationEssentials

/// A key of ChaCha20-Poly1305 and how Noise uses it: `ENCRYPT` and `DECRYPT` of the Noise
/// specification (§5.1, §12.3).
///
/// The caller chooses the nonce of a message; a nonce must not be used twice for different
/// messages.
///
/// Blocks go through here one by one. The cost in addition to the cipher is what the library
/// allocates around each message, so it is given plain memory, which it neither retains nor copies
/// again.
package struct NoiseCipher: Sendable {
    private let key: SymmetricKey

    /// What a message is longer than its plaintext.
    package static let tagByteCount = 16
    static let keyByteCount = 32
    private static let nonceByteCount = 12

    init(_ key: [UInt8]) {
        precondition(key.count == NoiseCipher.keyByteCount)
        self.key = SymmetricKey(data: key)
    }

    // MARK: Messages

    /// The ciphertext and its tag.
    func seal(
        _ plaintext: [UInt8], nonce: UInt64, authenticating data: [UInt8] = []
    ) -> [UInt8] {
        let byteCount = plaintext.count + NoiseCipher.tagByteCount
        return unsafe Array(unsafeUninitializedCapacity: byteCount) { room, count in
            unsafe plaintext.withUnsafeBytes { plaintext in
                unsafe data.withUnsafeBytes { data in
                    unsafe seal(
                        plaintext, nonce: nonce, authenticating: data,
                        into: UnsafeMutableRawBufferPointer(room))
                }
            }
            count = byteCount
        }
    }

    /// The plaintext of a ciphertext and its tag; nil when this key, nonce and data have not made
    /// it.
    func open(
        _ message: [UInt8], nonce: UInt64, authenticating data: [UInt8] = []
    ) -> [UInt8]? {
        unsafe message.withUnsafeBytes { message in
            unsafe data.withUnsafeBytes { data in
                unsafe open(message, nonce: nonce, authenticating: data).map { Array($0) }
            }
        }
    }

    // MARK: Memory

    /// Writes the ciphertext and its tag to `room`, which has place for them.
    func seal(
        _ plaintext: UnsafeRawBufferPointer, nonce: UInt64,
        authenticating data: UnsafeRawBufferPointer? = nil,
        into room: UnsafeMutableRawBufferPointer
    ) {
        let data = unsafe data ?? UnsafeRawBufferPointer(start: nil, count: 0)
        let sealed = unsafe withNonce(nonce) { nonce in
            try? unsafe ChaChaPoly.seal(
                plaintext, using: key, nonce: ChaChaPoly.Nonce(data: nonce), authenticating: data)
        }
        guard let sealed else { preconditionFailure("a key of 32 bytes seals anything") }
        // In bounds: the message begins behind the nonce.
        unsafe sealed.combined.withUnsafeBytes { combined in
            unsafe room.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: combined[NoiseCipher.nonceByteCount...]))
        }
    }

    /// The plaintext of a ciphertext and its tag; nil when this key, nonce and data have not made
    /// it.
    func open(
        _ message: UnsafeRawBufferPointer, nonce: UInt64,
        authenticating data: UnsafeRawBufferPointer? = nil
    ) -> Data? {
        guard message.count >= NoiseCipher.tagByteCount else { return nil }
        let data = unsafe data ?? UnsafeRawBufferPointer(start: nil, count: 0)
        let byteCount = NoiseCipher.nonceByteCount + message.count
        // All of `combined` is written before it is read: first the nonce, then the message.
        return unsafe withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) {
            combined in
            unsafe withNonce(nonce) { unsafe combined.copyMemory(from: $0) }
            unsafe UnsafeMutableRawBufferPointer(
                rebasing: combined[NoiseCipher.nonceByteCount...]
            ).copyMemory(from: message)
            guard
                let box = try? unsafe ChaChaPoly.SealedBox(
                    combined: UnsafeRawBufferPointer(combined))
            else { return nil }
            return try? unsafe ChaChaPoly.open(box, using: key, authenticating: data)
        }
    }

    /// Four zeros and the number, the lowest byte first (§12.3).
    private func withNonce<Result>(
        _ number: UInt64, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        let low = UInt32(truncatingIfNeeded: number).littleEndian
        let high = UInt32(truncatingIfNeeded: number >> 32).littleEndian
        let words: InlineArray<3, UInt32> = [0, low, high]
        return unsafe words.span.withUnsafeBytes { unsafe body($0) }
    }
}
