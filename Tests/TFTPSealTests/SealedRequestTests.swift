import TFTPWire
import Testing

@testable import TFTPSeal

struct SealedRequestTests {
    private let key = SealKey.random(id: "k1")!
    private var options: Options {
        var options = Options()
        options.blksize = 1468
        options.windowsize = 64
        options.tsize = 0
        return options
    }

    private func request(_ name: String = "boot/initrd") throws -> SealedRequest {
        try #require(
            SealedRequest(
                .rrq, name: Array(name.utf8), mode: .netascii, options: options, key: key))
    }

    private func answer(_ request: SealedRequest, _ oack: [UInt8]) throws -> SealedRequest.Answer {
        try request.read(oack: oack.span.bytes)
    }

    private func tag(_ seal: PacketSeal, _ block: UInt64) -> [UInt8] {
        let tag = seal.tag(ack: block)
        return tag.indices.map { tag[$0] }
    }

    private func isAuthentic(_ seal: PacketSeal, _ block: UInt64, _ tag: [UInt8]) -> Bool {
        seal.isAuthentic(ack: block, tag: tag.span.bytes)
    }

    /// Nothing longer is decoded than what a server may have made.
    @Test func messagesHaveALength() throws {
        let opened = try OpenedRequest(try request().packet, keys: SealKeys(key))
        let reason = String(repeating: "x", count: 500)
        let (longest, _) = try opened.refuse(.notDefined, reason)
        #expect(longest.utf8.count <= 254)
        func isDecoded(byteCount: Int) -> Bool {
            let text = Array("sealed ".utf8)
            let sealed = [UInt8](repeating: UInt8(ascii: "A"), count: byteCount - text.count)
            let message = text + sealed
            return SealedText.decode(message.span.bytes) != nil
        }
        #expect(isDecoded(byteCount: 254))
        #expect(!isDecoded(byteCount: 257))
    }

    @Test func whatIsAskedArrives() throws {
        let request = try request()
        let opened = try OpenedRequest(request.packet, keys: SealKeys(key))
        #expect(opened.opcode == .rrq)
        #expect(opened.name == Array("boot/initrd".utf8))
        #expect(opened.mode == .netascii)
        #expect(opened.options == options)
        #expect(opened.keyID == "k1")
        // The unencrypted part has nothing of the name.
        #expect(!String(decoding: request.packet, as: UTF8.self).contains("initrd"))
    }

    /// Any byte of the request but one that says which key it is.
    @Test func noByteCanBeAnother() throws {
        let packet = try request().packet
        let keys = SealKeys(key)
        for index in packet.indices {
            var changed = packet
            changed[index] ^= 1
            #expect(throws: SealError.self, "byte \(index)") {
                try OpenedRequest(changed, keys: keys)
            }
        }
        #expect(throws: SealError.self) { try OpenedRequest(packet.dropLast(), keys: keys) }
        #expect(throws: SealError.self) {
            try OpenedRequest(packet + [0x61, 0, 0x62, 0], keys: keys)
        }
    }

    @Test func anotherKeyOpensNothing() throws {
        let packet = try request().packet
        let sameID = try #require(SealKey.random(id: "k1"))
        let other = try #require(SealKey.random(id: "k2"))
        #expect(throws: SealError.notAuthentic) {
            try OpenedRequest(packet, keys: SealKeys(sameID))
        }
        #expect(throws: SealError.unknownKey) { try OpenedRequest(packet, keys: SealKeys(other)) }
        #expect(throws: Never.self) { try OpenedRequest(packet, keys: SealKeys(other, [key])) }
    }

    @Test func theGrantIsWhatStandsInThePlain() throws {
        let request = try request()
        let asked = try OpenedRequest(request.packet, keys: SealKeys(key))
        var granted = options
        granted.tsize = 5
        let (oack, server) = try asked.grant(granted)
        guard case .granted(let told, var client) = try answer(request, oack) else {
            Issue.record("refused")
            return
        }
        #expect(told == granted)
        let tag = tag(client, 7)
        #expect(isAuthentic(server, 7, tag))
        #expect(!isAuthentic(server, 8, tag))
        #expect(!isAuthentic(client, 7, tag))
        let full: StaticString = "full"
        let sealed = client.errorMessage(.diskFull, full.rawSpan)
        let message = try #require(sealed)
        let opened = server.open(errorMessage: message.span.bytes)
        let error = try #require(opened)
        #expect(error.code == .diskFull)
        #expect(error.text == Array("full".utf8))
        let second = client.errorMessage(.diskFull, full.rawSpan)
        #expect(second == nil)
        for index in oack.indices {
            var changed = oack
            changed[index] ^= 1
            #expect(throws: SealError.self, "byte \(index)") { try answer(request, changed) }
        }
    }

    /// A refusal is believed only under the seal, and cannot be turned into a grant.
    @Test func aRefusal() throws {
        let request = try request()
        let opened = try OpenedRequest(request.packet, keys: SealKeys(key))
        let (message, _) = try opened.refuse(.fileNotFound, String(repeating: "no ", count: 50))
        #expect(message.utf8.count < 239)
        let text = Array(message.utf8)
        guard case .refused(let code, let reason) = try request.read(errorMessage: text.span.bytes)
        else {
            Issue.record("granted")
            return
        }
        #expect(code == .fileNotFound)
        #expect(reason.count == 100)
        #expect(throws: SealError.malformed) {
            let plain = Array("File not found".utf8)
            return try request.read(errorMessage: plain.span.bytes)
        }
        let decoded = SealedText.decode(text.span.bytes)
        let sealed = try #require(decoded)
        let oack = SealOption.append({ _ in Base64URL.encode(sealed) }, to: [0, 6])
        #expect(throws: SealError.notAuthentic) { try answer(request, oack) }
    }

    @Test func aRequestHasAnEnd() throws {
        let fits = String(repeating: "n", count: 220)
        #expect(try request(fits).packet.count <= 512)
        let tooLong = Array(String(repeating: "n", count: 400).utf8)
        #expect(
            SealedRequest(.rrq, name: tooLong, mode: .octet, options: options, key: key) == nil)
    }

    @Test func base64URL() {
        for count in 0...40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + count) }
            let text = Base64URL.encode(bytes)
            #expect(Base64URL.decode(text) == bytes)
            #expect(!text.contains { $0 == 0 || $0 == UInt8(ascii: ".") })
        }
        #expect(Base64URL.decode(Array("a+b/".utf8)) == nil)
        #expect(Base64URL.decode(Array("a".utf8)) == nil)
        #expect(Base64URL.decode(Array("a*aa".utf8)) == nil)
    }
}
