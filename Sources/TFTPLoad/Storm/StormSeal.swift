internal import TFTPSeal
internal import TFTPWire

/// The seal between one machine and the server.
///
/// The machine knows nothing of it: what it writes goes out sealed, and what the server has sealed
/// comes to the machine as a plain packet with smaller blocks. Not for the packet path of a server:
/// it allocates.
struct StormSeal {
    private let key: SealKey
    private var request: SealedRequest?
    private var packets: PacketSeal?
    /// Whether the machine itself has asked for a blksize.
    private var asksForBlksize = false
    /// The block of the latest DATA, as the seal counts.
    private var block: UInt64 = 0

    init(_ key: SealKey) { self.key = key }

    /// What a sealed block has more than the machine's.
    static let blockByteCount = PacketSeal.byteCount

    /// A packet from the server.
    enum Opened {
        case plain([UInt8])
        /// An answer to the request that has no seal.
        case unsealed
        /// Not what the server has sealed for this machine.
        case foreign
    }

    // MARK: Packets out

    /// What goes out for `packet`; nil when there is nothing to send.
    ///
    /// - Parameter isNew: a request, which is not the repetition of another.
    mutating func seal(_ packet: RawSpan, isNew: Bool) -> [UInt8]? {
        guard let parsed = try? Packet(parsing: packet) else { return nil }
        switch parsed {
        case .request(let plain):
            if isNew || request == nil { begin(plain) }
            return request?.packet
        case .ack(let number):
            guard let packets else { return nil }
            let tag = packets.tag(ack: count(number))
            return [UInt8](packet) + tag.indices.map { tag[$0] }
        case .error(let code, let message):
            guard packets != nil else { return [UInt8](packet) }
            guard let sealed = packets?.errorMessage(code, message) else { return nil }
            return StormSeal.error(code, sealed)
        case .data, .oack: return nil
        }
    }

    private mutating func begin(_ plain: borrowing Request) {
        var options = Options(parsing: plain.options)
        asksForBlksize = options.blksize != nil
        // So that the machine's own blocks have the bytes that it expects without the option.
        if !asksForBlksize {
            options.blksize = UInt32(StormSeal.blksizeDefault + StormSeal.blockByteCount)
        }
        request = SealedRequest(
            plain.opcode, name: [UInt8](plain.filename), mode: plain.mode ?? .octet,
            options: options, key: key)
        packets = nil
        block = 0
    }

    private static let blksizeDefault = 512

    // MARK: Packets in

    /// What `packet` is under its seal.
    mutating func open(_ packet: RawSpan) -> Opened {
        guard let request, let parsed = try? Packet(parsing: packet) else { return .foreign }
        switch parsed {
        case .oack:
            guard let answer = try? request.read(oack: packet) else {
                return packets == nil ? .unsealed : .foreign
            }
            return take(answer)
        case .error(_, let message):
            if let packets {
                guard let (code, text) = packets.open(errorMessage: message) else {
                    return .foreign
                }
                return .plain(StormSeal.error(code, text))
            }
            // A server without the key, or without any, answers so.
            guard let answer = try? request.read(errorMessage: message) else { return .unsealed }
            return take(answer)
        case .data(let number, let payload):
            // Before there are keys, the end of a transfer that this one follows.
            return packets == nil ? .foreign : open(number, payload)
        case .ack, .request: return .foreign
        }
    }

    private mutating func take(_ answer: SealedRequest.Answer) -> Opened {
        switch answer {
        case .refused(let code, let text): return .plain(StormSeal.error(code, text))
        case .granted(var options, let granted):
            if let blksize = options.blksize {
                guard blksize > StormSeal.blockByteCount else { return .foreign }
                options.blksize =
                    asksForBlksize ? blksize - UInt32(StormSeal.blockByteCount) : nil
            }
            // Of an OACK that came before, these are the same keys.
            if packets == nil { packets = granted }
            return .plain(
                [UInt8](capacity: Packet.oackByteCountMax) { Packet.writeOACK(options, to: &$0) })
        }
    }

    private mutating func open(_ number: BlockNumber, _ payload: RawSpan) -> Opened {
        let block = count(number)
        var content = [UInt8](repeating: 0, count: payload.byteCount)
        // The room is as long as what is sealed, which is longer than its content.
        let count = unsafe content.withUnsafeMutableBytes { room in
            unsafe packets?.open(payload, block: block, into: room)
        }
        guard let count else { return .foreign }
        self.block = max(self.block, block)
        let header = [UInt8](capacity: Packet.headerByteCount) {
            Packet.writeDataHeader(block: number, to: &$0)
        }
        return .plain(header + content[..<count])
    }

    /// The block that `number` stands for: the one nearest to the latest.
    private func count(_ number: BlockNumber) -> UInt64 {
        let step = Int16(truncatingIfNeeded: Int(number.rawValue) - Int(block & 0xFFFF))
        return UInt64(max(0, Int64(block) + Int64(step)))
    }

    private static func error(_ code: ErrorCode, _ text: [UInt8]) -> [UInt8] {
        [UInt8](capacity: Packet.errorByteCountMin + text.count) {
            unsafe Packet.writeError(code: code, message: text.span.bytes, to: &$0)
        }
    }
}
