import Testing

@testable import TFTPSeal

struct NoiseTests {
    private func ends() throws -> (NoiseInitiator, [UInt8], SealKey) {
        let key = try #require(SealKey(id: "k", secret: NoiseVector.psk))
        let ephemeral = try NoiseEphemeral(privateKey: NoiseVector.initiatorEphemeral)
        let initiator = NoiseInitiator(
            key: key, prologue: NoiseVector.prologue, ephemeral: ephemeral)
        return (initiator, NoiseVector.prologue, key)
    }

    /// Both ends make the published messages, and read each other's, in the handshake and after it.
    @Test func thePublishedVector() throws {
        var (initiator, prologue, key) = try ends()
        let messages = NoiseVector.messages
        #expect(initiator.write(messages[0].payload) == messages[0].message)
        let responder = try NoiseResponder(
            reading: messages[0].message, key: key, prologue: prologue,
            ephemeral: NoiseEphemeral(privateKey: NoiseVector.responderEphemeral))
        #expect(responder.payload == messages[0].payload)
        let (reply, responderKeys) = try responder.write(messages[1].payload)
        #expect(reply == messages[1].message)
        let (payload, initiatorKeys) = try initiator.read(reply)
        #expect(payload == messages[1].payload)
        for (index, (payload, message)) in messages.enumerated().dropFirst(2) {
            let nonce = UInt64(index / 2 - 1)
            let (from, to) =
                index.isMultiple(of: 2)
                ? (initiatorKeys, responderKeys) : (responderKeys, initiatorKeys)
            #expect(Array(from.outgoing.seal(payload, nonce: nonce)) == message)
            #expect(to.incoming.open(message, nonce: nonce).map { Array($0) } == payload)
        }
    }

    /// No bit of message 1 or of the prologue can be another, and nothing can be missing.
    @Test func aChangedMessageIsNotRead() throws {
        var (initiator, prologue, key) = try ends()
        let message = initiator.write([1, 2, 3])
        func read(_ message: [UInt8], _ prologue: [UInt8]) -> SealError? {
            do {
                _ = try NoiseResponder(reading: message, key: key, prologue: prologue)
                return nil
            } catch {
                return error
            }
        }
        #expect(read(message, prologue) == nil)
        for index in message.indices {
            var changed = message
            changed[index] ^= 1
            #expect(read(changed, prologue) == .notAuthentic, "byte \(index)")
            #expect(read(Array(message[..<index]), prologue) != nil, "cut at \(index)")
        }
        #expect(read(message, prologue + [0]) == .notAuthentic)
    }

    /// A reply that does not fit leaves the initiator as it was, for the one that does.
    @Test func aForgedReplySpoilsNothing() throws {
        var (initiator, prologue, key) = try ends()
        let responder = try NoiseResponder(
            reading: initiator.write([]), key: key, prologue: prologue)
        let (reply, _) = try responder.write([7])
        for index in reply.indices {
            var changed = reply
            changed[index] ^= 0x80
            // The highest bit of the public key is none of its bits (RFC 7748 §5), but is hashed
            // like the others.
            #expect(throws: SealError.notAuthentic) { try initiator.read(changed) }
        }
        #expect(try initiator.read(reply).payload == [7])
    }

    /// The reply of an end that has the shared key, and whose point makes the secret a known one.
    /// Its tag is right.
    @Test func aPointOfLowOrderIsRefused() throws {
        var (initiator, prologue, key) = try ends()
        let zeros = [UInt8](repeating: 0, count: 32)
        let asked = initiator.write([])
        var state = NoiseSymmetricState(protocolName: "Noise_NNpsk0_25519_ChaChaPoly_SHA256")
        state.mixHash(prologue)
        state.mixKeyAndHash(key.secret)
        state.mixHash(Array(asked[..<32]))
        state.mixKey(Array(asked[..<32]))
        #expect(state.sealAndHash([]) == Array(asked[32...]), "else the test cannot fail")
        state.mixHash(zeros)
        state.mixKey(zeros)
        state.mixKey(zeros)
        let reply = zeros + state.sealAndHash([7])
        #expect(throws: SealError.notAuthentic) { try initiator.read(reply) }
    }
}
