/// The client's end of an RRQ, without a socket: datagrams in, datagrams out.
///
/// It takes blocks in order, acknowledges at the end of each window, and reports a gap once (RFC
/// 7440 §4).
struct Download: Sendable {
    enum State: Equatable, Sendable {
        case running
        case done
        case refused(UInt16, String)
        /// The server broke the protocol.
        case broken(String)
    }

    let request: [UInt8]
    let asked: [Option]
    private(set) var state = State.running
    /// What the OACK said; nil when there was none.
    private(set) var granted: [Option]?
    private(set) var bytes: [UInt8] = []
    private(set) var oackCount = 0
    private(set) var dataCount = 0
    private var blksize = 512
    private var windowsize = 1
    /// Blocks that are here, from the first on.
    private(set) var received: UInt64 = 0
    private var sinceAck = 0
    private var reportedGap = false

    init(_ name: String, _ options: [Option] = [], mode: String = "octet") {
        self.init(request: Message.read(name, options, mode: mode), asked: options)
    }

    init(request: [UInt8], asked: [Option] = []) {
        self.request = request
        self.asked = asked
    }

    /// Takes what came from the server. Returns what to answer.
    mutating func step(_ datagram: [UInt8]) -> [UInt8]? {
        guard state == .running else { return nil }
        guard let message = Message(datagram) else {
            state = .broken("no packet for a client: \(datagram.prefix(32))")
            return nil
        }
        switch message {
        case .oack(let options): return take(options)
        case .data(let block, let payload): return take(block, payload)
        case .error(let code, let text): state = .refused(code, text)
        case .ack: state = .broken("an ACK to an RRQ")
        }
        return nil
    }

    /// What to send when nothing has come for a while.
    var repeated: [UInt8] { isAnswered ? ack : request }

    private var isAnswered: Bool { granted != nil || received > 0 }
    private var ack: [UInt8] { Message.ack(lastNumber).bytes }

    /// The number of the last block that is here, as it stands on the wire.
    private var lastNumber: UInt16 {
        let cycle: UInt64 = granted?.number("rollover") == 1 ? 65535 : 65536
        let beyond = cycle == 65535 && received > 0 ? (received - 1) % cycle + 1 : received
        return UInt16(truncatingIfNeeded: beyond)
    }

    /// The number that follows `lastNumber` on the wire.
    private var nextNumber: UInt16 {
        lastNumber == .max && granted?.number("rollover") == 1 ? 1 : lastNumber &+ 1
    }

    private mutating func take(_ options: [Option]) -> [UInt8]? {
        oackCount += 1
        guard received == 0 else { return nil }
        if let problem = Download.problem(options, asked: asked) {
            state = .broken(problem)
            return Message.error(8, problem).bytes
        }
        granted = options
        blksize = options.number("blksize") ?? 512
        windowsize = options.number("windowsize") ?? 1
        return ack
    }

    /// What a careful boot client would not accept in an OACK (RFC 2347, 2348, 2349, 7440).
    static func problem(_ granted: [Option], asked: [Option]) -> String? {
        if granted.isEmpty { return "an OACK without options" }
        let places = granted.map { option in
            asked.firstIndex { $0.name.lowercased() == option.name } ?? -1
        }
        if places.contains(-1) { return "not asked for: \(granted)" }
        if places != places.sorted() || Set(places).count != places.count {
            return "not in the order of the request: \(granted)"
        }
        for (option, place) in zip(granted, places) {
            guard let value = Int(option.value), "\(value)" == option.value else {
                return "not a plain number: \(option)"
            }
            let wanted = Int(asked[place].value) ?? 0
            switch option.name {
            case "blksize" where value > wanted || value < 8: return "out of bounds: \(option)"
            case "windowsize" where value > wanted || value < 1: return "out of bounds: \(option)"
            case "timeout" where value != wanted: return "changed: \(option)"
            case "offset" where value != wanted: return "changed: \(option)"
            case "length" where value > wanted: return "out of bounds: \(option)"
            default: break
            }
        }
        return nil
    }

    private mutating func take(_ block: UInt16, _ payload: [UInt8]) -> [UInt8]? {
        dataCount += 1
        guard block == nextNumber else { return takeOutOfOrder(block &- lastNumber) }
        guard payload.count <= blksize else {
            state = .broken("\(payload.count) bytes in a block of \(blksize)")
            return nil
        }
        received += 1
        sinceAck += 1
        reportedGap = false
        bytes += payload
        if payload.count < blksize { state = .done }
        guard state == .done || sinceAck == windowsize else { return nil }
        sinceAck = 0
        return ack
    }

    private mutating func takeOutOfOrder(_ ahead: UInt16) -> [UInt8]? {
        // 0 is the last one again, and numbers from the upper half are the past.
        guard windowsize > 1, (2..<0x8000).contains(ahead), !reportedGap else { return nil }
        reportedGap = true
        sinceAck = 0
        return ack
    }
}
