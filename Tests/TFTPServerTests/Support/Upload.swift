/// The client's end of a WRQ, without a socket: datagrams in, datagrams out.
struct Upload: Sendable {
    let request: [UInt8]
    let asked: [Option]
    let bytes: [UInt8]
    private(set) var state = Download.State.running
    private(set) var granted: [Option]?
    private(set) var ackCount = 0
    private var isAnswered = false
    private var blksize = 512
    private var windowsize = 1
    /// Blocks that the server has.
    private(set) var acked: UInt64 = 0

    init(_ name: String, _ bytes: [UInt8], _ options: [Option] = [], mode: String = "octet") {
        request = Message.write(name, options, mode: mode)
        asked = options
        self.bytes = bytes
    }

    private var blockCount: UInt64 { UInt64(bytes.count / blksize + 1) }

    /// Takes what came from the server. Returns what to send.
    mutating func step(_ datagram: [UInt8]) -> [[UInt8]] {
        guard state == .running else { return [] }
        guard let message = Message(datagram) else {
            state = .broken("no packet for a client: \(datagram.prefix(32))")
            return []
        }
        switch message {
        case .oack(let options):
            guard acked == 0 else { return [] }
            if let problem = Download.problem(options, asked: asked) {
                state = .broken(problem)
                return [Message.error(8, problem).bytes]
            }
            granted = options
            blksize = options.number("blksize") ?? 512
            windowsize = options.number("windowsize") ?? 1
            isAnswered = true
            return window
        case .ack(let block): return take(block)
        case .error(let code, let text): state = .refused(code, text)
        case .data: state = .broken("DATA to a WRQ")
        }
        return []
    }

    private mutating func take(_ block: UInt16) -> [[UInt8]] {
        ackCount += 1
        let wasAnswered = isAnswered
        isAnswered = true
        let advance = UInt64(block &- UInt16(truncatingIfNeeded: acked))
        guard advance <= UInt64(windowsize), acked + advance <= blockCount else { return [] }
        // In lockstep nothing is sent because of an ACK that was there before.
        guard advance > 0 || windowsize > 1 || !wasAnswered else { return [] }
        acked += advance
        if acked == blockCount { state = .done }
        return state == .done ? [] : window
    }

    /// The blocks after the last acknowledged one.
    private var window: [[UInt8]] {
        let last = min(acked + UInt64(windowsize), blockCount)
        return ((acked + 1)...last).map(data)
    }

    func data(_ block: UInt64) -> [UInt8] {
        let begin = Int(block - 1) * blksize
        let payload = bytes[begin..<min(begin + blksize, bytes.count)]
        return Message.data(UInt16(truncatingIfNeeded: block), Array(payload)).bytes
    }

    /// What to send when nothing has come for a while.
    var repeated: [[UInt8]] { isAnswered ? window : [request] }

    var lastData: [UInt8] { data(blockCount) }
}
