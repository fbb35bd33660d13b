internal import TFTPCore

/// Tells what a traced machine and the server say to each other: a value, fed with one datagram at
/// a time.
///
/// DATA and ACK are told only where something happens: the first block, a gap, a repeat, silence,
/// and once a second how far it is.
struct TraceNarrator {
    /// Whether every packet gets a line.
    let showsAll: Bool
    private var exchanges: [String: Exchange] = [:]
    /// Requests by client, to tell repeats.
    private var requests: [String: (line: String, count: Int)] = [:]

    private static let exchangesMax = 4096
    /// After this time without a packet, the next one reports the pause.
    private static let silenceSeconds = 0.5

    /// What is known of one pair of ports.
    private struct Exchange {
        var startedAt: Double
        var latestAt: Double
        var toldAt: Double
        var lastData: UInt16?
        var lastAck: UInt16?
        var byteCount = 0
    }

    init(showsAll: Bool) { self.showsAll = showsAll }

    /// The lines that `packet` is worth, often none.
    mutating func lines(for packet: TracedDatagram) -> [String] {
        let head = packet.headBytes
        guard head.count >= 2 else {
            return [line(packet, "a packet of \(packet.byteCount) bytes")]
        }
        switch head[1] {
        case 1, 2: return [tellRequest(packet, head)]
        case 3: return tellData(packet, head)
        case 4: return tellAck(packet, head)
        case 5: return [line(packet, TraceNarrator.error(head))]
        case 6: return [line(packet, "OACK\(TraceNarrator.options(head.dropFirst(2)))")]
        default: return [line(packet, "no TFTP packet, \(packet.byteCount) bytes")]
        }
    }

    // MARK: Requests

    private mutating func tellRequest(_ packet: TracedDatagram, _ head: [UInt8]) -> String {
        let fields = head.dropFirst(2).split(separator: 0, omittingEmptySubsequences: false)
        let name = PrintableName.text(of: fields.first ?? [])
        let mode = fields.count > 1 ? PrintableName.text(of: fields[1]) : "?"
        let rest = Array(fields.dropFirst(2).joined(separator: [0]))
        var text = "\(head[1] == 1 ? "RRQ" : "WRQ") \"\(name)\" \(mode)"
        text += TraceNarrator.options(rest)
        let before = requests[packet.client]
        let count = before?.line == text ? (before?.count ?? 0) + 1 : 1
        if requests.count >= TraceNarrator.exchangesMax { requests = [:] }
        requests[packet.client] = (text, count)
        return line(packet, count > 1 ? "\(text) (asked \(count) times)" : text)
    }

    private static func options(_ bytes: some Collection<UInt8>) -> String {
        let words = bytes.split(separator: 0).map { PrintableName.text(of: $0) }
        var text = ""
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            text += " \(words[index])=\(words[index + 1])"
        }
        return text
    }

    private static func error(_ head: [UInt8]) -> String {
        guard head.count >= 4 else { return "ERROR" }
        let code = UInt16(head[2]) << 8 | UInt16(head[3])
        let text = PrintableName.text(of: head.dropFirst(4).prefix { $0 != 0 })
        return "ERROR \(code) \(text)"
    }

    // MARK: Blocks

    private mutating func tellData(_ packet: TracedDatagram, _ head: [UInt8]) -> [String] {
        guard head.count >= 4 else { return [line(packet, "DATA without a number")] }
        let first = UInt16(head[2]) << 8 | UInt16(head[3])
        let count = max(1, packet.datagramCount)
        let last = first &+ UInt16(count - 1)
        var exchange = exchange(of: packet)
        defer { keep(exchange, packet) }
        let silence = silence(packet, exchange)
        let isAgain = exchange.lastData.map { Int16(bitPattern: first &- $0) <= 0 } ?? false
        let isFirst = exchange.lastData == nil
        if !isAgain { exchange.byteCount += packet.byteCount - 4 * count }
        exchange.lastData = isAgain ? exchange.lastData : last
        var text = count > 1 ? "DATA \(first)…\(last)" : "DATA \(first)"
        text += ", \(packet.byteCount - 4 * count) bytes"
        if isAgain { text += ", again" }
        if let silence { text += " after \(silence) of silence" }
        guard showsAll || isFirst || isAgain || silence != nil else {
            return progress(packet, &exchange)
        }
        return [line(packet, text)]
    }

    private mutating func tellAck(_ packet: TracedDatagram, _ head: [UInt8]) -> [String] {
        guard head.count >= 4 else { return [line(packet, "ACK without a number")] }
        let number = UInt16(head[2]) << 8 | UInt16(head[3])
        var exchange = exchange(of: packet)
        defer { keep(exchange, packet) }
        let silence = silence(packet, exchange)
        let isAgain = exchange.lastAck == number
        let isFirst = exchange.lastAck == nil
        // In a window: what comes behind this block was lost, or is under way.
        let isGap = exchange.lastData.map { Int16(bitPattern: $0 &- number) > 0 } ?? false
        exchange.lastAck = number
        var text = "ACK \(number)"
        if isAgain { text += ", again" }
        if isGap && isAgain { text += ": block \(number &+ 1) did not arrive" }
        if let silence { text += " after \(silence) of silence" }
        guard showsAll || isFirst || isAgain || silence != nil else { return [] }
        return [line(packet, text)]
    }

    /// Once a second how far it is.
    private func progress(_ packet: TracedDatagram, _ exchange: inout Exchange) -> [String] {
        guard packet.seconds - exchange.toldAt >= 1 else { return [] }
        exchange.toldAt = packet.seconds
        let age = max(0.001, packet.seconds - exchange.startedAt)
        let rate = UInt64(Double(exchange.byteCount) / age)
        return [
            line(
                packet,
                "… \(TraceText.bytes(exchange.byteCount)) at \(TraceText.bytes(Int(rate)))/s")
        ]
    }

    // MARK: Times

    private func exchange(of packet: TracedDatagram) -> Exchange {
        exchanges[key(packet)]
            ?? Exchange(
                startedAt: packet.seconds, latestAt: packet.seconds, toldAt: packet.seconds)
    }

    private mutating func keep(_ exchange: Exchange, _ packet: TracedDatagram) {
        var exchange = exchange
        exchange.latestAt = packet.seconds
        if exchanges.count >= TraceNarrator.exchangesMax { exchanges = [:] }
        exchanges[key(packet)] = exchange
    }

    private func key(_ packet: TracedDatagram) -> String { "\(packet.client) \(packet.server)" }

    private func silence(_ packet: TracedDatagram, _ exchange: Exchange) -> String? {
        let seconds = packet.seconds - exchange.latestAt
        return seconds >= TraceNarrator.silenceSeconds ? "\(TraceText.seconds(seconds)) s" : nil
    }

    private func line(_ packet: TracedDatagram, _ text: String) -> String {
        let arrow = packet.isOut ? "<" : ">"
        let ports = packet.server.split(separator: ":").last ?? ""
        return "\(TraceText.clock(packet.seconds)) \(packet.client) \(arrow) :\(ports) \(text)"
    }
}
