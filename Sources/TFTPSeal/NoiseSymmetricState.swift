internal import Crypto
internal import FoundationEssentials

/// What both ends of a handshake come to know alike, step by step (Noise §5.2).
struct NoiseSymmetricState {
    /// `ck`.
    private var chainingKey: [UInt8]
    /// `h`: everything that was sent so far, and the prologue.
    private(set) var hash: [UInt8]
    /// From the last `mixKey` on.
    private var cipher: NoiseCipher?
    private var nonce: UInt64 = 0

    /// `InitializeSymmetric`, for a name of more than 32 bytes.
    init(protocolName: StaticString) {
        precondition(protocolName.utf8CodeUnitCount > SHA256.byteCount)
        hash = Array(SHA256.hash(data: Array(protocolName.description.utf8)))
        chainingKey = hash
    }

    mutating func mixHash(_ data: [UInt8]) {
        hash = Array(SHA256.hash(data: hash + data))
    }

    mutating func mixKey(_ material: [UInt8]) {
        let outputs = derive(material, count: 2)
        chainingKey = outputs[0]
        begin(outputs[1])
    }

    mutating func mixKeyAndHash(_ material: [UInt8]) {
        let outputs = derive(material, count: 3)
        chainingKey = outputs[0]
        mixHash(outputs[1])
        begin(outputs[2])
    }

    /// `EncryptAndHash`, once there is a key.
    mutating func sealAndHash(_ plaintext: [UInt8]) -> [UInt8] {
        guard let cipher else { preconditionFailure("the pattern mixes a key first") }
        let message = cipher.seal(plaintext, nonce: nonce, authenticating: hash)
        nonce += 1
        mixHash(message)
        return message
    }

    /// `DecryptAndHash`, once there is a key.
    mutating func openAndHash(_ message: [UInt8]) throws(SealError) -> [UInt8] {
        guard let cipher else { preconditionFailure("the pattern mixes a key first") }
        guard let plaintext = cipher.open(message, nonce: nonce, authenticating: hash) else {
            throw .notAuthentic
        }
        nonce += 1
        mixHash(message)
        return plaintext
    }

    /// `Split`: what the initiator seals with, and what the responder does.
    func split() -> (initiator: NoiseCipher, responder: NoiseCipher) {
        let keys = derive([], count: 2)
        return (NoiseCipher(keys[0]), NoiseCipher(keys[1]))
    }

    private mutating func begin(_ key: [UInt8]) {
        cipher = NoiseCipher(key)
        nonce = 0
    }

    /// `HKDF` (§4.3).
    private func derive(_ material: [UInt8], count: Int) -> [[UInt8]] {
        let key = authenticate(material, by: chainingKey)
        var outputs: [[UInt8]] = []
        for number in 1...count {
            outputs.append(authenticate((outputs.last ?? []) + [UInt8(number)], by: key))
        }
        return outputs
    }

    private func authenticate(_ data: [UInt8], by key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: data, using: SymmetricKey(data: key)))
    }
}
