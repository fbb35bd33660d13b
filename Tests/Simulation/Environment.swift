import TFTPCore
import TFTPWire

/// What the two worlds share: the clock, the network between them, and the checker.
struct Environment {
    var now: UInt64
    var agenda = Agenda()
    var random: SimulationRandom
    let faults: Faults
    /// The fates of the next datagrams, last first.
    var fates: [Fate]
    var sabotage: Sabotage
    var checker: Checker
    /// Until when the server receives nothing.
    var deafUntil: UInt64 = 0
    /// Whether each packet is printed.
    let isTracing: Bool

    static let serverAddress = Address(ipv4: 0x0A00_0001)
    static let requestPort: UInt16 = 69
    static let serverEndpoint = Endpoint(address: serverAddress, port: requestPort)

    mutating func schedule(_ event: Event, in nanoseconds: UInt64) {
        agenda.add(event, at: now + nanoseconds)
    }

    /// Whether a fault of this rate happens now. One that is switched off draws no number.
    mutating func meets(perMille: Int) -> Bool {
        perMille > 0 && random.chance(perMille: perMille)
    }

    /// Whether the server does not receive now, but later.
    mutating func isDeaf(to datagram: Datagram) -> Bool {
        if now >= deafUntil && meets(perMille: faults.deafPerMille) {
            deafUntil = now + 1 + random.below(2 * faults.delayNanoseconds)
        }
        guard now < deafUntil else { return false }
        agenda.add(.arrival(datagram), at: deafUntil)
        return true
    }

    /// Puts `bytes` on the network, which may lose them, repeat them and hold them back.
    mutating func send(_ bytes: [UInt8], from source: Endpoint, to target: Endpoint) {
        var datagram = Datagram(source: source, target: target, bytes: bytes)
        let isServer = source.address == Environment.serverAddress
        checker.noteSent(datagram, isServer: isServer)
        if sabotage == .flippedByte && isServer && bytes.count > 4 && bytes[1] == 3 {
            datagram.bytes[bytes.count - 1] ^= 0x10
            sabotage = .none
        }
        guard !meetsFate(datagram) else { return }
        let copies = random.chance(perMille: faults.duplicationPerMille) ? 2 : 1
        for _ in 0..<copies {
            guard !random.chance(perMille: faults.lossPerMille) else {
                checker.noteLost()
                trace(datagram, "lost")
                continue
            }
            trace(datagram, "sent")
            agenda.add(.arrival(datagram), at: now + drawDelay())
        }
    }

    private mutating func meetsFate(_ datagram: Datagram) -> Bool {
        guard let fate = fates.popLast() else { return false }
        trace(datagram, "\(fate)")
        let delay = faults.delayNanoseconds
        switch fate {
        case .arrives: agenda.add(.arrival(datagram), at: now + delay)
        case .isLost: checker.noteLost()
        case .isLate: agenda.add(.arrival(datagram), at: now + 5 * delay + 1)
        case .arrivesTwice:
            agenda.add(.arrival(datagram), at: now + delay)
            agenda.add(.arrival(datagram), at: now + delay)
        }
        return true
    }

    private mutating func drawDelay() -> UInt64 {
        var delay = faults.delayNanoseconds
        if faults.jitterNanoseconds > 0 { delay += random.below(faults.jitterNanoseconds) }
        if random.chance(perMille: faults.reorderingPerMille) {
            delay += random.below(faults.reorderingNanoseconds)
        }
        return delay
    }

    func trace(_ datagram: Datagram, _ fate: String) {
        guard isTracing else { return }
        let isServer = datagram.source.address == Environment.serverAddress
        let ports = "\(datagram.source.port) → \(datagram.target.port)"
        let words = describe(datagram.bytes)
        print("\(now / 1000) µs", isServer ? "server" : "client", ports, words, fate)
    }

    func trace(_ words: @autoclosure () -> String) {
        if isTracing { print("\(now / 1000) µs", words()) }
    }
}

private func describe(_ bytes: [UInt8]) -> String {
    guard let packet = try? Packet(parsing: bytes.span.bytes) else { return "malformed" }
    switch packet {
    case .request(let request): return "\(request.opcode) \(request.filename.byteCount)"
    case .data(let block, let payload): return "DATA \(block.rawValue) +\(payload.byteCount)"
    case .ack(let block): return "ACK \(block.rawValue)"
    case .error(let code, _): return "ERROR \(code.rawValue)"
    case .oack: return "OACK"
    }
}

extension [UInt8] {
    static func data(_ block: BlockNumber, payload: ArraySlice<UInt8>) -> [UInt8] {
        var bytes = [UInt8](capacity: Packet.headerByteCount) {
            Packet.writeDataHeader(block: block, to: &$0)
        }
        bytes += payload
        return bytes
    }

    static func ack(_ block: BlockNumber) -> [UInt8] {
        [UInt8](capacity: Packet.ackByteCount) { Packet.writeAck(block: block, to: &$0) }
    }

    static func error(_ code: ErrorCode, _ message: StaticString) -> [UInt8] {
        [UInt8](capacity: 64) { Packet.writeError(code: code, message: message, to: &$0) }
    }

    static func oack(_ options: Options) -> [UInt8] {
        [UInt8](capacity: Packet.oackByteCountMax) { Packet.writeOACK(options, to: &$0) }
    }

    static func request(_ task: ClientTask) -> [UInt8] {
        let name = Array(task.name.utf8)
        let capacity = Packet.requestByteCountMax(filenameByteCount: name.count)
        return [UInt8](capacity: capacity) {
            Packet.writeRequest(
                task.opcode, filename: name.span.bytes, mode: .octet, options: task.options,
                to: &$0)
        }
    }

    /// The bytes of `block` in blocks of `blksize`, of all or of a part.
    func payload(
        ofBlock block: UInt64, blksize: Int, part: Range<Int>? = nil
    ) -> ArraySlice<UInt8> {
        let part = part ?? indices
        let start = Swift.min(part.upperBound, part.lowerBound + Int(block - 1) * blksize)
        return self[start..<Swift.min(part.upperBound, start + blksize)]
    }
}
