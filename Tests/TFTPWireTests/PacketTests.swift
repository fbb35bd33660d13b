import TFTPWire
import Testing

@Suite struct PacketTests {
    @Test func anRRQIsTakenApart() {
        let datagram = [0, 1] + [UInt8](wire: "pxelinux.0|octet|tsize|0|blksize|1408|")
        let expected = Decoded.request(
            .rrq, filename: [UInt8](wire: "pxelinux.0"), mode: .octet,
            options: [UInt8](wire: "tsize|0|blksize|1408|"))
        #expect(Decoded(datagram) == expected)
    }

    @Test func aWRQWithAnEmptyNameDecodes() {
        let expected = Decoded.request(.wrq, filename: [], mode: .netascii, options: [])
        #expect(Decoded([0, 2] + [UInt8](wire: "|NetASCII|")) == expected)
    }

    @Test(
        arguments: [
            ("octet", .octet), ("OCTET", .octet), ("oCtEt", .octet), ("netascii", .netascii),
            ("NETASCII", .netascii), ("mail", nil), ("", nil), ("octets", nil), ("octe", nil),
            ("/ctet", nil), ("octet ", nil), ("\u{0F}ctet", nil),
        ] as [(String, TransferMode?)])
    func modesAreCaseInsensitive(name: String, mode: TransferMode?) {
        let expected = Decoded.request(.rrq, filename: [0x61], mode: mode, options: [])
        #expect(Decoded([0, 1] + [UInt8](wire: "a|\(name)|")) == expected)
    }

    @Test(arguments: ["", "a", "a|", "a|octet", "|", "|octet"])
    func aRequestWithoutBothNULsIsMalformed(body: String) {
        #expect(Decoded([0, 1] + [UInt8](wire: body)) == .failure(.unterminatedString))
    }

    @Test func dataMayBeEmpty() {
        #expect(Decoded([0, 3, 0x12, 0x34]) == .data(0x1234, payload: []))
        #expect(Decoded([0, 3, 0, 1, 9, 0, 9]) == .data(1, payload: [9, 0, 9]))
    }

    @Test func anACKMayBeLonger() {
        #expect(Decoded([0, 4, 0xFF, 0xFE]) == .ack(0xFFFE))
        #expect(Decoded([0, 4, 0, 7, 32]) == .ack(7))
    }

    @Test func anErrorEndsAtItsNULOrAtTheEnd() {
        #expect(Decoded([0, 5, 0, 0]) == .error(0, message: []))
        #expect(Decoded([0, 5, 0, 8, 0]) == .error(8, message: []))
        #expect(Decoded([0, 5, 0, 1, 0x6E, 0x6F]) == .error(1, message: [0x6E, 0x6F]))
        #expect(Decoded([0, 5, 0, 1, 0x6E, 0, 0x6F]) == .error(1, message: [0x6E]))
        #expect(Decoded([0, 5, 0xAB, 0xCD]) == .error(0xABCD, message: []))
    }

    @Test func anOACKMayBeEmpty() {
        #expect(Decoded([0, 6]) == .oack(options: []))
        #expect(Decoded([0, 6, 0x61]) == .oack(options: [0x61]))
    }

    @Test func shortDatagramsAreTruncated() {
        for datagram: [UInt8] in [[], [0], [9], [0, 3], [0, 4, 0], [0, 5], [0, 5, 1]] {
            #expect(Decoded(datagram) == .failure(.truncated))
        }
    }

    @Test func everyOtherOpcodeIsUnknown() {
        let wrong = (0...UInt16.max).filter { number in
            let decoded = Decoded([UInt8(number >> 8), UInt8(number & 0xFF), 0, 0, 0])
            let isUnknown = decoded == .failure(.unknownOpcode(number))
            return isUnknown == (1...6).contains(number)
        }
        #expect(wrong == [])
    }

    @Test func everyTruncationOfAValidPacketDecodesOrThrows() {
        let packets: [[UInt8]] = [
            [0, 1] + [UInt8](wire: "dir/file|octet|blksize|1432|tsize|0|"),
            [0, 2] + [UInt8](wire: "f|netascii|windowsize|8|timeout|1|"),
            [0, 3, 0, 1, 1, 2, 3], [0, 4, 0, 1], [0, 5, 0, 1] + [UInt8](wire: "why|"),
            [0, 6] + [UInt8](wire: "blksize|1432|tsize|123456789012|"),
        ]
        for packet in packets {
            for byteCount in 0...packet.count {
                let datagram = Array(packet[..<byteCount])
                #expect(Decoded(datagram) == modelDecode(datagram))
            }
        }
    }

    /// All that is short is tried, against a model that was written without spans.
    @Test func everyShortDatagramDecodesAsTheModelDoes() {
        var wrong: [[UInt8]] = []
        withEveryString(of: [0, 1, 2, 3, 4, 5, 6, 0x6F, 0xFF], countMax: 5) { datagram in
            if Decoded(datagram) != modelDecode(datagram) { wrong.append(datagram) }
        }
        #expect(wrong == [])
    }

    @Test func theCodesOfTheRFCsHaveTheirNumbers() {
        let codes: [ErrorCode] = [
            .notDefined, .fileNotFound, .accessViolation, .diskFull, .illegalOperation,
            .unknownTransferID, .fileAlreadyExists, .noSuchUser, .optionNegotiation,
        ]
        #expect(codes.map(\.rawValue) == Array(0...8))
    }
}

/// What a datagram should decode to, said a second time and in another way.
func modelDecode(_ datagram: [UInt8]) -> Decoded {
    guard datagram.count >= 2 else { return .failure(.truncated) }
    let number = UInt16(datagram[0]) * 256 + UInt16(datagram[1])
    let rest = Array(datagram.dropFirst(2))
    switch number {
    case 1, 2: return modelRequest(number == 1 ? .rrq : .wrq, rest)
    case 3...5: break
    case 6: return .oack(options: rest)
    default: return .failure(.unknownOpcode(number))
    }
    guard datagram.count >= 4 else { return .failure(.truncated) }
    let field = UInt16(rest[0]) * 256 + UInt16(rest[1])
    let body = Array(rest.dropFirst(2))
    switch number {
    case 3: return .data(field, payload: body)
    case 4: return .ack(field)
    default: return .error(field, message: Array(body.prefix { $0 != 0 }))
    }
}

private func modelRequest(_ opcode: Opcode, _ bytes: [UInt8]) -> Decoded {
    let parts = bytes.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3 else { return .failure(.unterminatedString) }
    let modes: [String: TransferMode] = ["octet": .octet, "netascii": .netascii]
    return .request(
        opcode, filename: Array(parts[0]),
        mode: modes[String(decoding: parts[1], as: UTF8.self).lowercased()],
        options: Array(parts[2]))
}
