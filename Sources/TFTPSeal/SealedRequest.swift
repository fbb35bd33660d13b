package import TFTPWire

/// An RRQ or WRQ that asks for a sealed transfer, at the end that asks.
package struct SealedRequest: Sendable {
    /// The packet, the same however often it goes out.
    package let packet: [UInt8]
    private let handshake: NoiseInitiator

    /// - Parameters:
    ///   - name: and `mode`: what is asked for; both travel inside the seal.
    ///   - options: sent unencrypted but authenticated.
    /// - Returns: nil when that is more than a request may be.
    package init?(
        _ opcode: Opcode, name: [UInt8], mode: TransferMode, options: Options, key: SealKey,
        ephemeral: NoiseEphemeral = NoiseEphemeral()
    ) {
        let inside = name + [0] + Array(mode.wireName.rawSpan) + [0]
        var handshake: NoiseInitiator?
        packet = SealOption.append(
            { plain in
                var initiator = NoiseInitiator(
                    key: key, prologue: SealedRequest.prologue(plain), ephemeral: ephemeral)
                defer { handshake = initiator }
                return Array("\(key.id).".utf8) + Base64URL.encode(initiator.write(inside))
            }, to: SealedRequest.plainRequest(opcode, options))
        guard let handshake, packet.count <= SealedRequest.byteCountMax else { return nil }
        self.handshake = handshake
    }

    /// File name in the unencrypted part of the request.
    package static let placeholder: StaticString = "sealed"
    /// The longest request (RFC 2347).
    package static let byteCountMax = 512
    /// The least blksize: what is sealed has a tag in each block.
    package static let blksizeMin = 32

    /// What both ends of the handshake have to have seen alike: the whole request but the seal's
    /// value.
    static func prologue(_ plain: [UInt8]) -> [UInt8] { Array("bootstorm seal 1".utf8) + plain }

    private static func plainRequest(_ opcode: Opcode, _ options: Options) -> [UInt8] {
        let name = placeholder.rawSpan
        let capacity = Packet.requestByteCountMax(filenameByteCount: name.byteCount)
        return [UInt8](capacity: capacity) { output in
            Packet.writeRequest(opcode, filename: name, mode: .octet, options: options, to: &output)
        }
    }

    // MARK: Answers

    /// What the answer of a server says that has opened the request.
    package enum Answer: Sendable {
        /// These options, and what packets are sealed with from now on.
        case granted(Options, PacketSeal)
        case refused(ErrorCode, text: [UInt8])
    }

    /// Reads an OACK.
    ///
    /// - Throws: `malformed` when it has no seal.
    package func read(oack packet: RawSpan) throws(SealError) -> Answer {
        guard let option = SealOption(in: packet, optionsAt: MemoryLayout<UInt16>.size),
            let message = Base64URL.decode(option.value)
        else { throw .malformed }
        let (payload, keys) = try handshake.read(message)
        // The unencrypted part must be what the server has written, or it is not the server's OACK.
        guard payload == [SealedAnswer.grants] + option.plain else { throw .notAuthentic }
        let options = unsafe Options(
            parsing: option.plain.span.bytes.extracting(droppingFirst: MemoryLayout<UInt16>.size))
        return .granted(options, PacketSeal(keys))
    }

    /// Reads the message of an ERROR that answers the request.
    ///
    /// - Throws: `malformed` when it has no seal.
    package func read(errorMessage message: RawSpan) throws(SealError) -> Answer {
        guard let sealed = SealedText.decode(message) else { throw .malformed }
        let (payload, _) = try handshake.read(sealed)
        guard payload.first == SealedAnswer.refuses,
            let (code, text) = SealedText.split(payload.dropFirst())
        else { throw .notAuthentic }
        return .refused(code, text: text)
    }
}

/// A request that asks for a sealed transfer, opened at the end that answers.
package struct OpenedRequest: Sendable {
    package let opcode: Opcode
    /// As the client spells it.
    package let name: [UInt8]
    package let mode: TransferMode
    package let options: Options
    /// By which key it is sealed.
    package let keyID: String
    private let handshake: NoiseResponder

    /// What tells this request from all others, and is the same in each copy of it.
    package var identity: [UInt8] { handshake.initiatorKey }

    /// Opens the packet of a request that has the option `seal`.
    package init(
        _ packet: [UInt8], keys: SealKeys, ephemeral: NoiseEphemeral? = nil
    ) throws(SealError) {
        guard packet.count <= SealedRequest.byteCountMax,
            let (opcode, optionsStart) = unsafe OpenedRequest.outside(packet.span.bytes),
            let option = unsafe SealOption(in: packet.span.bytes, optionsAt: optionsStart),
            let dot = option.value.firstIndex(of: UInt8(ascii: ".")),
            let message = Base64URL.decode(option.value[(dot + 1)...])
        else { throw .malformed }
        keyID = String(decoding: option.value[..<dot], as: UTF8.self)
        guard let key = keys[keyID] else { throw .unknownKey }
        handshake = try NoiseResponder(
            reading: message, key: key, prologue: SealedRequest.prologue(option.plain),
            ephemeral: ephemeral)
        self.opcode = opcode
        options = unsafe Options(
            parsing: option.plain.span.bytes.extracting(droppingFirst: optionsStart))
        let words = handshake.payload.split(separator: 0, omittingEmptySubsequences: false)
        guard words.count == 3, words[2].isEmpty,
            let mode = unsafe TransferMode(named: Array(words[1]).span.bytes)
        else { throw .malformed }
        name = Array(words[0])
        self.mode = mode
    }

    /// What the request is, and where its options begin.
    private static func outside(_ packet: RawSpan) -> (Opcode, Int)? {
        guard case .request(let request) = try? Packet(parsing: packet) else { return nil }
        return (request.opcode, packet.byteCount - request.options.byteCount)
    }

    /// The OACK that grants `options`, and what packets are sealed with from now on. Call one of
    /// this and `refuse`, once.
    package func grant(_ options: Options) throws(SealError) -> (oack: [UInt8], PacketSeal) {
        let plain = [UInt8](capacity: Packet.oackByteCountMax) { output in
            Packet.writeOACK(options, to: &output)
        }
        let inside = [SealedAnswer.grants] + plain + Array(SealOption.name.rawSpan) + [0]
        let (message, keys) = try handshake.write(inside)
        let oack = SealOption.append({ _ in Base64URL.encode(message) }, to: plain)
        return (oack, PacketSeal(keys))
    }

    /// The message of the ERROR that refuses the request, so that the client can tell it from a
    /// forged one.
    package func refuse(
        _ code: ErrorCode, _ text: String
    ) throws(SealError) -> (message: String, PacketSeal) {
        let words = SealedText.join(code, Array(text.utf8))
        let (message, keys) = try handshake.write([SealedAnswer.refuses] + words)
        return (String(decoding: SealedText.encode(message), as: UTF8.self), PacketSeal(keys))
    }
}

/// The first byte inside message 2, so that a refusal cannot be turned into a grant.
enum SealedAnswer {
    static let refuses: UInt8 = 0
    static let grants: UInt8 = 1
}
