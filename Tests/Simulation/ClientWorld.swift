import TFTPCore
internal import TFTPServing
import TFTPWire

/// All clients of one run: the product's own client, with arrays for sockets and content.
struct ClientWorld: ~Copyable {
    var client: TransferClient
    private var machines: [Machine]
    /// Every attempt there was; a transfer's socket is its number here.
    var sessions: [Session] = []
    /// The session that a slot belongs to.
    var owners: [Int]
    /// The session that has a port.
    var open: [Endpoint: Int] = [:]
    var isVisitScheduled = false
    let batchMax: Int

    static let attemptsMax = 8
    private static let socketsMax = 4096
    private static let patienceMilliseconds: UInt32 = 30_000

    /// What sends requests, one after the other.
    private struct Machine {
        var tasks: [ClientTask]
        /// The task it is at; the count of tasks when it has done them all.
        var position = 0
        var address: Address
        var lastPort: UInt16
        var keepsPort = false
        var attempts = 0
    }

    struct Session {
        var machine: Int
        var task: ClientTask
        var endpoint: Endpoint
        /// The port had another transfer before, and packets for that one may be under way.
        var inheritsPort: Bool
        var options: Options
        /// The latest request that was sent.
        var request: [UInt8]?
        var content: ClientContent
        /// nil once the socket is closed.
        var slot: Int?
        var packetCount = 0
        /// The server has answered.
        var hasBegun = false
        /// The task is done; what remains is to answer repeats.
        var isDone = false
        /// The machine is switched off: it sends nothing any more.
        var isGone = false
    }

    init(_ scenario: Scenario, now: UInt64) {
        let capacity = 4 * scenario.clients.count + 4
        client = TransferClient(
            transfersMax: capacity, socketsMax: ClientWorld.socketsMax, seed: ~scenario.seed,
            now: now)
        client.plant(scenario.sabotage.clientMistake)
        owners = Array(repeating: -1, count: capacity)
        batchMax = scenario.batchMax
        machines = scenario.clients.enumerated().map { number, tasks in
            // Two machines behind each address.
            Machine(
                tasks: tasks, address: Address(ipv4: 0x0A00_0100 + UInt32(number / 2)),
                lastPort: UInt16(2000 + 1000 * (number % 2)))
        }
    }

    var isDone: Bool { machines.allSatisfy { $0.position == $0.tasks.count } }

    func sleepNanoseconds(now: UInt64) -> UInt64? { client.sleepNanoseconds(now: now) }

    /// What must hold when all tasks are done.
    func checkTheEnd(_ outside: inout Environment) {
        outside.checker.expect(isDone, "a client was forgotten")
        outside.checker.expect(client.table.activeCount == 0, "the clients leak a slot")
        outside.checker.expect(open.isEmpty, "the clients leak a socket")
    }

    // MARK: Tasks

    /// The machine sends the request of the task that it is at.
    mutating func start(_ number: Int, _ outside: inout Environment) {
        let machine = machines[number]
        guard machine.position < machine.tasks.count else { return }
        begin(number, asking: machine.tasks[machine.position].options, &outside)
        performEffects(&outside)
    }

    mutating func begin(
        _ number: Int, asking options: Options, _ outside: inout Environment
    ) {
        let task = machines[number].tasks[machines[number].position]
        let inheritsPort = machines[number].keepsPort
        if !inheritsPort { machines[number].lastPort += 1 }
        machines[number].keepsPort = false
        let endpoint = Endpoint(
            address: machines[number].address, port: machines[number].lastPort)
        if let before = open[endpoint] { switchOff(before, &outside) }
        var request = ClientRequest(
            server: Environment.serverEndpoint, opcode: task.opcode, name: Array(task.name.utf8))
        request.options = task.options
        request.patienceMilliseconds = ClientWorld.patienceMilliseconds
        let session = sessions.count
        open[endpoint] = session
        sessions.append(
            Session(
                machine: number, task: task, endpoint: endpoint, inheritsPort: inheritsPort,
                options: options, content: ClientContent(task)))
        let slot = client.start(
            request, asking: options, through: UInt16(session),
            ringByteCount: max(1024, 2 * request.windowByteCountMax), now: outside.now)
        guard let slot else { return outside.checker.fail("no slot for a client") }
        sessions[session].slot = slot
        owners[slot] = session
    }

    /// The task is done. The next one may take the same port, once all that was under way has
    /// arrived.
    mutating func finish(_ number: Int, _ outside: inout Environment) {
        sessions[number].isDone = true
        let machine = sessions[number].machine
        machines[machine].position += 1
        machines[machine].attempts = 0
        let position = machines[machine].position
        guard position < machines[machine].tasks.count else { return }
        machines[machine].keepsPort = machines[machine].tasks[position].reusesPort
        outside.schedule(.start(client: machine), in: outside.faults.delayMaxNanoseconds)
    }

    mutating func retry(
        _ number: Int, after nanoseconds: UInt64, _ outside: inout Environment
    ) {
        let machine = sessions[number].machine
        outside.trace("client \(machine) tries again")
        outside.schedule(.start(client: machine), in: nanoseconds)
    }

    /// The attempt failed without the client's doing: again, from another port.
    mutating func retryAfterFailure(_ number: Int, _ outside: inout Environment) {
        let machine = sessions[number].machine
        outside.checker.attemptsRepeated += 1
        machines[machine].attempts += 1
        outside.checker.expect(
            machines[machine].attempts < ClientWorld.attemptsMax,
            "client \(machine) does not get \(sessions[number].task.name)")
        retry(number, after: 1_000_000_000, &outside)
    }

    /// The machine says nothing more through this port.
    private mutating func switchOff(_ number: Int, _ outside: inout Environment) {
        guard let slot = sessions[number].slot else { return }
        sessions[number].isGone = true
        client.cutOff(slot, .closed, now: outside.now)
        performEffects(&outside)
    }

    private mutating func departs(_ number: Int, _ outside: inout Environment) -> Bool {
        sessions[number].packetCount += 1
        guard let departure = sessions[number].task.departure, !sessions[number].isDone,
            sessions[number].packetCount == departure.packetCount,
            let slot = sessions[number].slot
        else { return false }
        let machine = sessions[number].machine
        outside.trace("client \(machine) leaves: \(departure.kind)")
        switch departure.kind {
        case .restart:
            machines[machine].tasks[machines[machine].position].departure = nil
            machines[machine].keepsPort = true
            switchOff(number, &outside)
            retry(number, after: outside.faults.delayMaxNanoseconds, &outside)
        case .vanish:
            switchOff(number, &outside)
            finish(number, &outside)
        case .abort:
            client.cancel(slot, .notDefined, now: outside.now)
            performEffects(&outside)
            finish(number, &outside)
        }
        return true
    }

    // MARK: Events

    mutating func receive(_ datagram: Datagram, _ outside: inout Environment) {
        // A closed port.
        guard let number = open[datagram.target] else { return }
        guard let packet = try? Packet(parsing: datagram.bytes.span.bytes) else {
            return outside.checker.fail("a malformed packet reached a client")
        }
        guard !isLate(packet, number) else { return }
        if datagram.source.address == Environment.serverAddress {
            check(packet, &outside)
            guard !departs(number, &outside) else { return }
        }
        let flow = Flow(
            peer: datagram.source, local: .unspecified, socket: UInt16(number))
        look(number)
        client.stepDatagram(datagram.bytes.span.bytes, from: flow, now: outside.now)
        performEffects(&outside)
        guard let slot = sessions[number].slot else { return }
        client.stepArrivalEnd(slot)
        performEffects(&outside)
        client.table.checkInvariants(slot)
    }

    private func check(_ packet: borrowing Packet, _ outside: inout Environment) {
        switch copy packet {
        case .request: outside.checker.fail("a client was sent a request")
        case .error(let code, _):
            outside.checker.expect(
                code != .illegalOperation, "a client was told that its packets are wrong")
        case .data, .ack, .oack: break
        }
    }

    /// Whether this may be for the transfer that the port had before. A client of the product has a
    /// port for each, and a boot client that has not knows no better. The size tells; an empty file
    /// has none for clients like curl.
    private func isLate(_ packet: borrowing Packet, _ number: Int) -> Bool {
        let session = sessions[number]
        guard session.inheritsPort, let slot = session.slot, client.table.isRequesting(slot) else {
            return false
        }
        switch copy packet {
        case .oack(let bytes):
            guard session.task.reusesPort else { return session.options.isEmpty }
            let oack = Options(parsing: bytes)
            let isPossible = (try? Options.accept(oack: oack, asked: session.options)) != nil
            return !isPossible || oack.tsize ?? 0 != UInt64(session.task.content.count)
        case .data, .ack: return !session.options.isEmpty
        case .error(let code, _): return code == .unknownTransferID
        case .request: return false
        }
    }

    /// The task of a transfer takes what is there, or writes more.
    mutating func moveContent(_ number: Int, _ outside: inout Environment) {
        sessions[number].content.isScheduled = false
        guard let slot = sessions[number].slot, !sessions[number].isDone else { return }
        let movable = sessions[number].content.movable
        guard movable > 0 || sessions[number].content.isAwaited else { return }
        let isSlow = outside.faults.taskNanoseconds > 0 && movable > 0
        sessions[number].content.move(isSlow ? 1 + outside.random.below(movable) : movable)
        scheduleMove(number, &outside)
        guard sessions[number].content.isAwaited else { return }
        sessions[number].content.isAwaited = false
        client.stepContent(slot, sessions[number].content.position, now: outside.now)
        performEffects(&outside)
    }

    mutating func scheduleMove(_ number: Int, _ outside: inout Environment) {
        guard !sessions[number].content.isScheduled, sessions[number].content.movable > 0 else {
            return
        }
        sessions[number].content.isScheduled = true
        let most = outside.faults.taskNanoseconds
        let delay = most > 0 ? outside.random.below(most) : 0
        outside.schedule(.moveContent(session: number), in: delay)
    }

    private mutating func look(_ number: Int) {
        guard let slot = sessions[number].slot, !sessions[number].isDone else { return }
        client.noteContent(slot, sessions[number].content.position)
    }

    mutating func expireDeadlines(_ outside: inout Environment) {
        while let slot = client.nextTimeout(now: outside.now) {
            look(owners[slot])
            client.stepTimeout(slot, now: outside.now)
            performEffects(&outside)
        }
    }

    mutating func visit(_ outside: inout Environment) {
        isVisitScheduled = false
        for _ in 0..<client.visitCount {
            guard let slot = client.nextVisit() else { return }
            look(owners[slot])
            client.visit(slot, now: outside.now)
            performEffects(&outside)
        }
    }
}
