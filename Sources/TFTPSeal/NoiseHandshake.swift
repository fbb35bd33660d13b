internal import Crypto
internal import FoundationEssentials

// Noise_NNpsk0_25519_ChaChaPoly_SHA256 (Noise §7.5, §9):
//
//     -> psk, e
//     <- e, ee
//
// Two values, one for each end. A message that cannot be read does not change them.

/// The keys that a handshake ends with, as one end sees them.
package struct NoiseKeys: Sendable {
    package let outgoing: NoiseCipher
    package let incoming: NoiseCipher
}

/// A key pair of X25519 for one handshake.
package struct NoiseEphemeral: Sendable {
    private let key: Curve25519.KeyAgreement.PrivateKey

    /// A fresh one, from the system's random source.
    package init() { key = Curve25519.KeyAgreement.PrivateKey() }

    /// The one of test vectors.
    package init(privateKey: [UInt8]) throws {
        key = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: privateKey)
    }

    static let byteCount = 32

    var publicKey: [UInt8] { Array(key.publicKey.rawRepresentation) }

    /// The secret that only the two ends can compute.
    func shared(with publicKey: [UInt8]) throws(SealError) -> [UInt8] {
        let secret: [UInt8]
        do {
            let other = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: publicKey)
            let agreed = try key.sharedSecretFromKeyAgreement(with: other)
            secret = unsafe agreed.withUnsafeBytes { unsafe Array($0) }
        } catch {
            throw .notAuthentic
        }
        // Zeros come of a point of low order (RFC 7748 §6.1), and are no secret. Not every library
        // refuses them.
        guard secret.contains(where: { $0 != 0 }) else { throw .notAuthentic }
        return secret
    }
}

/// The end that sends the request.
package struct NoiseInitiator: Sendable {
    private var state: NoiseSymmetricState
    private let ephemeral: NoiseEphemeral

    package init(key: SealKey, prologue: [UInt8], ephemeral: NoiseEphemeral = NoiseEphemeral()) {
        state = NoiseSymmetricState(psk0: key, prologue: prologue)
        self.ephemeral = ephemeral
    }

    /// Message 1.
    package mutating func write(_ payload: [UInt8]) -> [UInt8] {
        state.mixEphemeral(ephemeral.publicKey)
        return ephemeral.publicKey + state.sealAndHash(payload)
    }

    /// What message 2 says, and the keys.
    package func read(_ message: [UInt8]) throws(SealError) -> (payload: [UInt8], keys: NoiseKeys) {
        var state = state
        let payload = try state.read(message) { (state, other) throws(SealError) in
            state.mixKey(try ephemeral.shared(with: other))
        }
        let (initiator, responder) = state.split()
        return (payload, NoiseKeys(outgoing: initiator, incoming: responder))
    }
}

/// The end that answers, once message 1 has been read.
package struct NoiseResponder: Sendable {
    private var state: NoiseSymmetricState
    /// The public key of message 1: another one in each handshake.
    package let initiatorKey: [UInt8]
    /// nil until message 2 is written: a message that cannot be read must not cost the making of a
    /// key.
    private let ephemeral: NoiseEphemeral?
    /// What message 1 said.
    package let payload: [UInt8]

    /// - Parameter ephemeral: nil for a fresh one.
    package init(
        reading message: [UInt8], key: SealKey, prologue: [UInt8], ephemeral: NoiseEphemeral? = nil
    ) throws(SealError) {
        state = NoiseSymmetricState(psk0: key, prologue: prologue)
        payload = try state.read(message) { (_, _) throws(SealError) in }
        initiatorKey = Array(message.prefix(NoiseEphemeral.byteCount))
        self.ephemeral = ephemeral
    }

    /// Message 2 and the keys. To be called once: another payload needs another handshake.
    package func write(
        _ payload: [UInt8]
    ) throws(SealError) -> (message: [UInt8], keys: NoiseKeys) {
        var state = state
        let ephemeral = ephemeral ?? NoiseEphemeral()
        state.mixEphemeral(ephemeral.publicKey)
        state.mixKey(try ephemeral.shared(with: initiatorKey))
        let message = ephemeral.publicKey + state.sealAndHash(payload)
        let (initiator, responder) = state.split()
        return (message, NoiseKeys(outgoing: responder, incoming: initiator))
    }
}

extension NoiseSymmetricState {
    fileprivate init(psk0 key: SealKey, prologue: [UInt8]) {
        self.init(protocolName: "Noise_NNpsk0_25519_ChaChaPoly_SHA256")
        mixHash(prologue)
        mixKeyAndHash(key.secret)
    }

    /// The token `e`, which where there is a pre-shared key is mixed into the key as well (§9.2).
    fileprivate mutating func mixEphemeral(_ publicKey: [UInt8]) {
        mixHash(publicKey)
        mixKey(publicKey)
    }

    /// Reads a message that begins with `e`; `agree` does the tokens after it.
    fileprivate mutating func read(
        _ message: [UInt8],
        agree: (inout NoiseSymmetricState, [UInt8]) throws(SealError) -> Void
    ) throws(SealError) -> [UInt8] {
        guard message.count >= NoiseEphemeral.byteCount + NoiseCipher.tagByteCount else {
            throw .malformed
        }
        let other = Array(message.prefix(NoiseEphemeral.byteCount))
        mixEphemeral(other)
        try agree(&self, other)
        return try openAndHash(Array(message.dropFirst(NoiseEphemeral.byteCount)))
    }
}
