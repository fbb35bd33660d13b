/// One TFTP packet, borrowed from the datagram it arrived in (RFC 1350 §5, RFC 2347).
///
/// Decoding copies nothing: each span is a view of the receive buffer and cannot outlive it. A
/// packet that decodes is well formed; whether it is *expected* is for the transfer to decide.
package enum Packet: ~Escapable {
    case request(Request)
    case data(block: BlockNumber, payload: RawSpan)
    case ack(block: BlockNumber)
    /// The message has no NUL any more, and may be empty.
    case error(code: ErrorCode, message: RawSpan)
    /// The option bytes as they came. `Options` makes sense of them.
    case oack(options: RawSpan)
}

/// What the first two bytes of a packet say it is (RFC 1350 §5, RFC 2347 for OACK).
package enum Opcode: UInt16, Sendable, BitwiseCopyable {
    case rrq = 1
    case wrq = 2
    case data = 3
    case ack = 4
    case error = 5
    case oack = 6
}

/// An RRQ or a WRQ: the file, its mode, and the requested options.
package struct Request: ~Escapable {
    /// Either `rrq` or `wrq`.
    package let opcode: Opcode
    /// The name as the client spelled it, without its NUL. It may be empty: policy comes later.
    package let filename: RawSpan
    /// Absent for `mail` and for a mode that no RFC names.
    package let mode: TransferMode?
    /// Everything after the NUL of the mode, with whatever garbage a client leaves there.
    package let options: RawSpan

    @inlinable
    @_lifetime(copy filename, copy options)
    package init(
        opcode: Opcode, filename: RawSpan, mode: TransferMode?, options: RawSpan
    ) {
        assert(opcode == .rrq || opcode == .wrq)
        self.opcode = opcode
        self.filename = filename
        self.mode = mode
        self.options = options
    }
}

/// Why a datagram is not a TFTP packet. The peer gets ERROR 4 for it, at most once.
package enum PacketError: Error, Equatable {
    case truncated
    case unknownOpcode(UInt16)
    case unterminatedString
}

extension Packet {
    /// The opcode and the block number or error code: what precedes a payload or a message.
    @inlinable package static var headerByteCount: Int { 4 }

    /// Decodes a datagram.
    ///
    /// Total: whatever the bytes are, this returns or throws. It reads each byte of a request's
    /// name and mode and of an ERROR's message once, and of the others only the header.
    ///
    /// - An ACK longer than four bytes is an ACK: Windows sends five when it asks for `msftwindow`.
    /// - An ERROR without a message, or whose message lacks its NUL, is an ERROR.
    /// - An OACK without options is an OACK.
    @inlinable
    @inline(__always)
    @_lifetime(copy bytes)
    package init(parsing bytes: RawSpan) throws(PacketError) {
        guard bytes.byteCount >= 2 else { throw .truncated }
        let number = bytes.bigEndianUInt16(at: 0)
        guard let opcode = Opcode(rawValue: number) else { throw .unknownOpcode(number) }
        switch opcode {
        case .rrq, .wrq:
            self = .request(try Request(opcode, parsing: bytes.extracting(droppingFirst: 2)))
        case .oack:
            self = .oack(options: bytes.extracting(droppingFirst: 2))
        case .data, .ack, .error:
            guard bytes.byteCount >= Packet.headerByteCount else { throw .truncated }
            let field = bytes.bigEndianUInt16(at: 2)
            let body = bytes.extracting(droppingFirst: Packet.headerByteCount)
            self = Packet(opcode, field: field, body: body)
        }
    }

    /// A packet of the three kinds that have a 16-bit field after the opcode.
    @inlinable
    @_lifetime(copy body)
    init(_ opcode: Opcode, field: UInt16, body: RawSpan) {
        switch opcode {
        case .data:
            self = .data(block: BlockNumber(rawValue: field), payload: body)
        case .ack:
            self = .ack(block: BlockNumber(rawValue: field))
        default:
            assert(opcode == .error)
            let message = body.extracting(first: body.offsetOfNUL(from: 0) ?? body.byteCount)
            self = .error(code: ErrorCode(rawValue: field), message: message)
        }
    }
}

extension Request {
    /// Decodes what follows the opcode: name, NUL, mode, NUL, options (RFC 1350 §5, RFC 2347).
    @inlinable
    @_lifetime(copy bytes)
    init(_ opcode: Opcode, parsing bytes: RawSpan) throws(PacketError) {
        guard let filenameEnd = bytes.offsetOfNUL(from: 0) else { throw .unterminatedString }
        guard let modeEnd = bytes.offsetOfNUL(from: filenameEnd + 1) else {
            throw .unterminatedString
        }
        self.init(
            opcode: opcode,
            filename: bytes.extracting(0..<filenameEnd),
            mode: TransferMode(named: bytes.extracting((filenameEnd + 1)..<modeEnd)),
            options: bytes.extracting(droppingFirst: modeEnd + 1))
    }
}

extension RawSpan {
    /// The opcode that a datagram begins with, whatever follows it; nil when it begins with none.
    package var leadingOpcode: Opcode? {
        byteCount >= 2 ? Opcode(rawValue: bigEndianUInt16(at: 0)) : nil
    }
}
