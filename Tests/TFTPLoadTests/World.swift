import TFTPCore
import TFTPLoad
import TFTPWire

extension SplitMix64 {
    mutating func chance(perMille: UInt64) -> Bool { next() % 1000 < perMille }
}

/// What the network does to packets on their way.
struct Weather {
    var lossPerMille: UInt64 = 0
    var duplicationPerMille: UInt64 = 0
    var jitterMilliseconds: UInt64 = 0
}

/// One machine, one server and a network between them, in virtual time.
///
/// The server is as simple as can be: it serves one file, knows all options, goes back to the block
/// after a repeated ACK once, and repeats its window after 400 ms of silence.
struct World: ~Copyable {
    static let millisecond: UInt64 = 1_000_000
    static let serverTimeout = 400 * millisecond

    var table: MachineTable
    var server: ScriptedServer
    var dice: SplitMix64
    let weather: Weather
    let file: [UInt8]
    /// How often each block's payload was accepted.
    var acceptCounts: [UInt64: Int] = [:]
    var acceptedByteCount = 0
    var mistakes: [String] = []
    var result: BootResult?
    var now: UInt64 = 1_000_000_000
    var clientPort: UInt16 = 1023
    private var order = 0
    private var flights: [Flight] = []

    private struct Flight {
        var arrival: UInt64
        var order: Int
        var toServer: Bool
        var clientPort: UInt16
        var serverPort: UInt16
        var bytes: [UInt8]
    }

    init(
        _ profile: ClientProfile, fileByteCount: Int, weather: Weather = Weather(), seed: UInt64 = 0
    ) {
        table = MachineTable(capacity: 1, now: now)
        dice = SplitMix64(seed: seed)
        self.weather = weather
        // No byte that netascii changes.
        file = (0..<fileByteCount).map { offset in
            let mixed = offset * 7 + offset / 251
            return UInt8(20 + mixed % 200)
        }
        server = ScriptedServer(file: file)
        let index = table.addProfile(profile)
        perform(table.start(0, profile: index, now: now), replyTo: 69)
    }

    /// Runs until the boot is over.
    mutating func run() {
        let end = now + 1_000_000 * World.millisecond
        while result == nil, now < end {
            let deadline = table.nanosecondsUntilDeadline(now: now).map { now + $0 } ?? end
            let arrival = flights.map(\.arrival).min() ?? end
            now = max(now, min(deadline, arrival, server.deadline, end))
            deliverDue()
            while result == nil, let machine = table.popExpired(now: now) {
                perform(table.stepTimeout(machine, now: now), replyTo: server.port)
            }
            if server.deadline <= now { send(server.timeOut(now: now)) }
        }
    }

    /// All that is wrong with what was accepted, once the boot is over.
    var faults: [String] {
        let isWhole = acceptedByteCount == file.count
        return mistakes + (isWhole ? [] : ["\(acceptedByteCount) bytes of \(file.count)"])
    }

    private mutating func deliverDue() {
        while let index = nextDue() {
            let flight = flights.remove(at: index)
            if flight.toServer {
                send(
                    server.receive(
                        flight.bytes, from: flight.clientPort, to: flight.serverPort, now: now))
            } else if flight.clientPort == clientPort, result == nil {
                receive(flight)
            }
        }
    }

    private func nextDue() -> Int? {
        let due = flights.indices.filter { flights[$0].arrival <= now }
        return due.min {
            (flights[$0].arrival, flights[$0].order) < (flights[$1].arrival, flights[$1].order)
        }
    }

    private mutating func receive(_ flight: Flight) {
        guard table.admits(0, port: flight.serverPort) else {
            perform(table.stepStranger(0, now: now), replyTo: flight.serverPort)
            return
        }
        guard let packet = try? Packet(parsing: flight.bytes.span.bytes) else { return }
        switch packet {
        case .oack(let options):
            let effect = table.stepOACK(
                0, options: Options(parsing: options), flaws: OACKFlaws(scanning: options), now: now
            )
            perform(effect, replyTo: flight.serverPort)
        case .data(let block, let payload):
            let blksize = table.blksize(of: 0)
            let effect = table.stepData(0, block: block, byteCount: payload.byteCount, now: now)
            if let accept = effect.accept { check(accept, [UInt8](payload), blksize: blksize) }
            perform(effect, replyTo: flight.serverPort)
        case .error(let code, _):
            perform(table.stepError(0, code: code, now: now), replyTo: flight.serverPort)
        case .ack, .request:
            mistakes.append("the server sent \(flight.bytes)")
        }
    }

    private mutating func check(
        _ accept: MachineTable.Accepted, _ payload: [UInt8], blksize: Int
    ) {
        let start = Int(accept.block - 1) * blksize
        acceptCounts[accept.block, default: 0] += 1
        if acceptCounts[accept.block] == 1 { acceptedByteCount += payload.count }
        let end = start + payload.count
        if end > file.count || payload != Array(file[start..<end]) {
            mistakes.append("block \(accept.block) has other bytes")
        }
        if accept.isLast != (payload.count < blksize) { mistakes.append("\(accept) is not last") }
    }

    private mutating func perform(_ effect: MachineTable.Effect, replyTo port: UInt16) {
        if let ack = effect.ack {
            post(
                [UInt8](capacity: MachineTable.packetByteCountMax) {
                    table.writeAck(0, block: ack, into: &$0)
                }, to: port)
        }
        if let error = effect.error {
            post(
                [UInt8](capacity: MachineTable.packetByteCountMax) {
                    table.writeError(error, into: &$0)
                }, to: port)
        }
        if let request = effect.request {
            if request.fromNewPort { clientPort += 1 }
            let name = Array("f".utf8)
            post(
                [UInt8](capacity: MachineTable.packetByteCountMax) {
                    table.writeRequest(0, name: name.span.bytes, into: &$0)
                }, to: 69)
        }
        if let result = effect.result { self.result = result }
    }

    private mutating func post(_ bytes: [UInt8], to port: UInt16) {
        launch(toServer: true, clientPort: clientPort, serverPort: port, bytes)
    }

    private mutating func send(_ packets: [[UInt8]]) {
        for bytes in packets {
            launch(toServer: false, clientPort: server.client, serverPort: server.port, bytes)
        }
    }

    private mutating func launch(
        toServer: Bool, clientPort: UInt16, serverPort: UInt16, _ bytes: [UInt8]
    ) {
        let copies = dice.chance(perMille: weather.duplicationPerMille) ? 2 : 1
        for _ in 0..<copies where !dice.chance(perMille: weather.lossPerMille) {
            let jitter =
                weather.jitterMilliseconds == 0 ? 0 : dice.next() % weather.jitterMilliseconds
            order += 1
            flights.append(
                Flight(
                    arrival: now + (1 + jitter) * World.millisecond, order: order,
                    toServer: toServer,
                    clientPort: clientPort, serverPort: serverPort, bytes: bytes))
        }
    }
}

/// A server for one client at a time.
struct ScriptedServer {
    let file: [UInt8]
    /// Its port in this transfer; each request from another port gets a new one.
    private(set) var port: UInt16 = 30_000
    private(set) var client: UInt16 = 0
    private(set) var deadline = UInt64.max
    private var grant = Grant()
    private var acked: UInt64 = 0
    private var sent: UInt64 = 0
    private var isConfirmed = false
    private var rewoundTo: UInt64?
    private var retries = 0

    init(file: [UInt8]) { self.file = file }

    private var last: UInt64 { UInt64(file.count / Int(grant.blksize)) + 1 }

    mutating func receive(
        _ bytes: [UInt8], from client: UInt16, to port: UInt16, now: UInt64
    ) -> [[UInt8]] {
        guard let packet = try? Packet(parsing: bytes.span.bytes) else { return [] }
        switch packet {
        case .request(let request):
            return open(request, from: client, now: now)
        case .ack(let block):
            guard client == self.client, port == self.port else { return [] }
            return acknowledge(block, now: now)
        case .error(let code, _):
            // lwIP reports a late duplicate so and continues.
            if client == self.client, port == self.port, code != .unknownTransferID {
                deadline = .max
            }
            return []
        case .data, .oack:
            return []
        }
    }

    private mutating func open(
        _ request: borrowing Request, from client: UInt16, now: UInt64
    ) -> [[UInt8]] {
        if client == self.client { return isConfirmed ? [] : repeatFirst(now: now) }
        self.client = client
        port += 1
        isConfirmed = false
        (acked, sent, retries) = (0, 0, 0)
        rewoundTo = nil
        let name = [UInt8](request.filename)
        let asked = Options(parsing: request.options)
        let policy = ClientPolicies()[Fingerprint(asked)]
        grant = asked.grant(
            limits: GrantLimits(tellsEmptySize: policy.tellsEmptySize),
            byteCount: UInt64(file.count), mode: .octet, opcode: .rrq)
        guard !name.contains(UInt8(ascii: "0")) else {
            deadline = .max
            return [
                [UInt8](capacity: 64) {
                    Packet.writeError(code: .fileNotFound, message: "no", to: &$0)
                }
            ]
        }
        return repeatFirst(now: now)
    }

    /// The OACK, or the first window where there is none.
    private mutating func repeatFirst(now: UInt64) -> [[UInt8]] {
        deadline = now + World.serverTimeout
        if grant.options.isEmpty {
            sent = 0
            return window(now: now)
        }
        let options = grant.options
        return [[UInt8](capacity: Packet.oackByteCountMax) { Packet.writeOACK(options, to: &$0) }]
    }

    private mutating func acknowledge(_ block: BlockNumber, now: UInt64) -> [[UInt8]] {
        let distance = block.distance(after: acked, rollover: .toZero)
        if distance == 0 {
            if !isConfirmed && acked == 0 {
                isConfirmed = true
                sent = 0
                return window(now: now)
            }
            // A gap, or our window is lost: back once, and in lockstep not at all.
            guard grant.windowsize > 1, rewoundTo != acked, sent > acked else { return [] }
            rewoundTo = acked
            sent = acked
            return window(now: now)
        }
        guard distance <= sent - acked else { return [] }
        isConfirmed = true
        acked += distance
        retries = 0
        rewoundTo = acked == sent ? nil : acked
        if acked == last {
            deadline = .max
            return []
        }
        sent = acked
        return window(now: now)
    }

    private mutating func window(now: UInt64) -> [[UInt8]] {
        deadline = now + World.serverTimeout
        var packets: [[UInt8]] = []
        while sent < min(last, acked + UInt64(grant.windowsize)) {
            sent += 1
            packets.append(data(sent))
        }
        return packets
    }

    private func data(_ block: UInt64) -> [UInt8] {
        let start = Int(block - 1) * Int(grant.blksize)
        let end = min(file.count, start + Int(grant.blksize))
        let header = [UInt8](capacity: 4) {
            Packet.writeDataHeader(block: BlockNumber(block, rollover: .toZero), to: &$0)
        }
        return header + file[start..<end]
    }

    mutating func timeOut(now: UInt64) -> [[UInt8]] {
        retries += 1
        guard retries < 50 else {
            deadline = .max
            return []
        }
        guard isConfirmed || grant.options.isEmpty else { return repeatFirst(now: now) }
        rewoundTo = nil
        sent = acked
        return window(now: now)
    }
}
