import TFTPCore
import TFTPWire

/// All clients of one run, around one transfer table that holds the client's roles.
struct ClientWorld: ~Copyable {
    var table: TransferTable
    private var clients: [Client]
    /// Every attempt there was; a slot's subject is its number here, and so is its socket.
    private var sessions: [Session] = []
    /// The session that has a port.
    private var open: [Endpoint: Int] = [:]

    static let attemptsMax = 8

    private struct Client {
        var tasks: [ClientTask]
        /// The task it is at; the count of tasks when it has done them all.
        var position = 0
        var address: Address
        var lastPort: UInt16
        var keepsPort = false
        var attempts = 0
    }

    private struct Session {
        var client: Int
        var task: ClientTask
        var endpoint: Endpoint
        var request: [UInt8]
        /// nil once the slot is given back.
        var slot: Int?
        var received: [UInt8] = []
        var packetCount = 0
        /// The task is done; what remains is to answer repeats.
        var isDone = false
    }

    init(_ scenario: Scenario, now: UInt64) {
        let capacity = 4 * scenario.clients.count + 4
        table = TransferTable(capacity: capacity, seed: ~scenario.seed, now: now)
        clients = scenario.clients.enumerated().map { number, tasks in
            // Two clients behind each address.
            Client(
                tasks: tasks, address: Address(ipv4: 0x0A00_0100 + UInt32(number / 2)),
                lastPort: UInt16(2000 + 1000 * (number % 2)))
        }
    }

    var isDone: Bool { clients.allSatisfy { $0.position == $0.tasks.count } }

    // MARK: Tasks

    /// The client sends the request of the task that it is at.
    mutating func start(_ number: Int, _ outside: inout Environment) {
        let client = clients[number]
        guard client.position < client.tasks.count else { return }
        let task = client.tasks[client.position]
        if !client.keepsPort { clients[number].lastPort += 1 }
        clients[number].keepsPort = false
        let endpoint = Endpoint(address: client.address, port: clients[number].lastPort)
        if let before = open[endpoint] { release(before) }
        let flow = Flow(
            peer: Environment.serverEndpoint, local: endpoint.address,
            socket: UInt16(sessions.count))
        guard
            let slot = table.request(
                flow, opcode: task.opcode, rollover: .toZero, now: outside.now)
        else { return outside.checker.fail("no slot for a client") }
        table.setSubject(of: slot, UInt32(sessions.count))
        open[endpoint] = sessions.count
        sessions.append(
            Session(
                client: number, task: task, endpoint: endpoint, request: .request(task),
                slot: slot))
        perform(.request, sessions.count - 1, &outside)
    }

    /// The task is done. The next one may take the same port, once all that was under way has
    /// arrived.
    private mutating func finish(_ number: Int, _ outside: inout Environment) {
        guard !sessions[number].isDone else { return }
        sessions[number].isDone = true
        let client = sessions[number].client
        clients[client].position += 1
        clients[client].attempts = 0
        let position = clients[client].position
        guard position < clients[client].tasks.count else { return }
        clients[client].keepsPort = clients[client].tasks[position].reusesPort
        outside.schedule(.start(client: client), in: outside.faults.delayMaxNanoseconds)
    }

    /// The attempt failed without the client's doing: again, from another port.
    private mutating func retry(
        _ number: Int, after nanoseconds: UInt64, _ outside: inout Environment
    ) {
        let client = sessions[number].client
        outside.trace("client \(client) tries again")
        release(number)
        outside.schedule(.start(client: client), in: nanoseconds)
    }

    private mutating func retryAfterFailure(_ number: Int, _ outside: inout Environment) {
        let client = sessions[number].client
        outside.checker.attemptsRepeated += 1
        clients[client].attempts += 1
        outside.checker.expect(
            clients[client].attempts < ClientWorld.attemptsMax,
            "client \(client) does not get \(sessions[number].task.name)")
        retry(number, after: 1_000_000_000, &outside)
    }

    private mutating func release(_ number: Int) {
        if let slot = sessions[number].slot { table.release(slot) }
        sessions[number].slot = nil
        if open[sessions[number].endpoint] == number { open[sessions[number].endpoint] = nil }
    }

    private mutating func depart(_ number: Int, _ slot: Int, _ outside: inout Environment) -> Bool {
        sessions[number].packetCount += 1
        guard let departure = sessions[number].task.departure, !sessions[number].isDone,
            sessions[number].packetCount == departure.packetCount
        else { return false }
        let client = sessions[number].client
        outside.trace("client \(client) leaves: \(departure.kind)")
        switch departure.kind {
        case .restart:
            clients[client].tasks[clients[client].position].departure = nil
            clients[client].keepsPort = true
            retry(number, after: outside.faults.delayMaxNanoseconds, &outside)
            return true
        case .vanish: break
        case .abort:
            let error = [UInt8].error(.notDefined, "User aborted the transfer")
            let peer = table.flow(of: slot).peer
            outside.send(error, from: sessions[number].endpoint, to: peer)
        }
        release(number)
        finish(number, &outside)
        return true
    }

    // MARK: Datagrams in

    mutating func receive(_ datagram: Datagram, _ outside: inout Environment) {
        // A closed port.
        guard let number = open[datagram.target] else { return }
        guard let packet = try? Packet(parsing: datagram.bytes.span.bytes) else {
            outside.checker.fail("a malformed packet reached a client")
            return
        }
        let flow = Flow(
            peer: datagram.source, local: datagram.target.address, socket: UInt16(number))
        if let slot = table.find(flow) {
            step(slot, number, packet, &outside)
        } else if isAnswer(packet, from: datagram.source, to: number),
            let slot = sessions[number].slot
        {
            table.adoptPeerPort(slot, datagram.source.port)
            step(slot, number, packet, &outside)
        } else {
            // A stranger's packet (RFC 1350 §4); an ERROR is never answered.
            if case .error = packet { return }
            let error = [UInt8].error(.unknownTransferID, "Unknown transfer ID")
            outside.send(error, from: datagram.target, to: datagram.source)
        }
    }

    /// Whether this may be the answer to the request of session `number`, from the TID that it will
    /// have.
    private func isAnswer(
        _ packet: borrowing Packet, from source: Endpoint, to number: Int
    ) -> Bool {
        guard source.address == Environment.serverAddress else { return false }
        guard let slot = sessions[number].slot, table.isRequesting(slot) else { return false }
        let task = sessions[number].task
        switch copy packet {
        case .oack(let bytes): return isPlausible(Options(parsing: bytes), task)
        case .data(let block, _):
            return block.rawValue == 1 && task.opcode == .rrq && task.options.isEmpty
        case .ack(let block):
            return block.rawValue == 0 && task.opcode == .wrq && task.options.isEmpty
        case .error(let code, _): return code != .unknownTransferID
        case .request: return false
        }
    }

    /// On a port that had another task before, an OACK may be the answer to that one's request,
    /// repeated by the network. Its size tells; an empty file has none for clients like curl.
    private func isPlausible(_ oack: Options, _ task: ClientTask) -> Bool {
        guard task.reusesPort else { return !task.options.isEmpty }
        guard (try? Options.accept(oack: oack, asked: task.options)) != nil else { return false }
        return oack.tsize ?? 0 == UInt64(task.content.count)
    }

    private mutating func step(
        _ slot: Int, _ number: Int, _ packet: borrowing Packet, _ outside: inout Environment
    ) {
        guard !depart(number, slot, &outside) else { return }
        let now = outside.now
        switch copy packet {
        case .oack(let bytes):
            stepOACK(slot, number, Options(parsing: bytes), &outside)
        case .data(let block, let payload):
            let effect = table.stepData(
                slot, block: block, byteCount: payload.byteCount, now: now)
            switch effect {
            case .take, .takeAndAck, .takeLast:
                sessions[number].received += [UInt8](copying: payload)
            default: break
            }
            perform(effect, number, &outside)
        case .ack(let block):
            let isAnswer = table.isRequesting(slot)
            let effect = table.stepAck(slot, block: block, now: now)
            if isAnswer && effect == .send {
                let byteCount = UInt64(sessions[number].task.content.count)
                table.setLastBlock(slot, byteCount / UInt64(table.blksize(of: slot)) + 1)
            }
            perform(effect, number, &outside)
        case .error(let code, _):
            handleError(slot, number, code, &outside)
        case .request:
            outside.checker.fail("a client was sent a request")
        }
    }

    private mutating func stepOACK(
        _ slot: Int, _ number: Int, _ oack: Options, _ outside: inout Environment
    ) {
        let task = sessions[number].task
        let grant: Grant
        do throws(NegotiationError) {
            grant = try Options.accept(oack: oack, asked: task.options)
        } catch {
            return outside.checker.fail("an unacceptable OACK: \(error)")
        }
        let byteCount =
            task.opcode == .wrq ? UInt64(task.content.count) : grant.partByteCount
        outside.checker.expect(
            byteCount.map { outside.checker.isPossible(byteCount: $0, of: task) } ?? true,
            "tsize is wrong")
        let effect = table.stepOACK(slot, grant: grant, byteCount: byteCount, now: outside.now)
        perform(effect, number, &outside)
    }

    private mutating func handleError(
        _ slot: Int, _ number: Int, _ code: ErrorCode, _ outside: inout Environment
    ) {
        let isRequesting = table.isRequesting(slot)
        // An answer to what the port's last owner sent.
        if isRequesting && code == .unknownTransferID { return }
        outside.checker.expect(
            code != .illegalOperation, "a client was told that its packets are wrong")
        let effect = table.stepError(slot, code: code, isWrongBlock: false)
        guard case .end = effect else {
            return outside.checker.fail("a client overlooked ERROR \(code.rawValue)")
        }
        if sessions[number].isDone { return release(number) }
        if isRequesting && code == .notDefined {
            return retry(number, after: 3_000_000_000, &outside)
        }
        guard sessions[number].task.isMissing else { return retryAfterFailure(number, &outside) }
        outside.checker.expect(code == .fileNotFound, "another ERROR than of a missing file")
        release(number)
        finish(number, &outside)
    }

    // MARK: Effects

    mutating func expire(_ slot: Int, _ outside: inout Environment) {
        let number = Int(table.subject(of: slot))
        perform(table.stepTimeout(slot, now: outside.now), number, &outside)
    }

    private mutating func perform(
        _ effect: TransferTable.Effect, _ number: Int, _ outside: inout Environment
    ) {
        guard let slot = sessions[number].slot else { return }
        if case .end = effect {} else { table.checkInvariants(slot) }
        switch effect {
        case .none, .take: break
        case .request: send(sessions[number].request, number, slot, &outside)
        case .send: sendDue(number, slot, &outside)
        case .ack(let block), .takeAndAck(let block): sendAck(block, number, slot, &outside)
        case .takeLast:
            outside.checker.noteDownload(sessions[number].received, of: sessions[number].task)
            perform(table.didCommit(slot, now: outside.now), number, &outside)
            finish(number, &outside)
        case .end(let outcome): end(number, outcome, &outside)
        case .oack, .fail: outside.checker.fail("a client was to do \(effect)")
        }
    }

    private mutating func end(
        _ number: Int, _ outcome: Outcome, _ outside: inout Environment
    ) {
        outside.checker.noteEnd(outcome, isServer: false)
        let task = sessions[number].task
        switch outcome {
        case .done where task.opcode == .wrq:
            outside.checker.noteUploadDone(task.name)
            release(number)
            finish(number, &outside)
        case .done, .doneUnacknowledged:
            release(number)
            finish(number, &outside)
        default: retryAfterFailure(number, &outside)
        }
    }

    private func sendAck(
        _ block: UInt64, _ number: Int, _ slot: Int, _ outside: inout Environment
    ) {
        let rollover = table.rollover(of: slot)
        send(.ack(BlockNumber(block, rollover: rollover)), number, slot, &outside)
    }

    private mutating func sendDue(_ number: Int, _ slot: Int, _ outside: inout Environment) {
        let due = table.due(slot, now: outside.now)
        guard due.count > 0 else { return }
        let blksize = table.blksize(of: slot)
        for block in due.first..<(due.first + UInt64(due.count)) {
            let payload = sessions[number].task.content.payload(ofBlock: block, blksize: blksize)
            let wire = BlockNumber(block, rollover: table.rollover(of: slot))
            send(.data(wire, payload: payload), number, slot, &outside)
        }
        table.didSend(slot, count: due.count, now: outside.now)
    }

    private func send(
        _ bytes: [UInt8], _ number: Int, _ slot: Int, _ outside: inout Environment
    ) {
        outside.send(bytes, from: sessions[number].endpoint, to: table.flow(of: slot).peer)
    }
}
