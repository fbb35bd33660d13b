import TFTPCore
import TFTPWire

/// A server around one transfer table, which it drives as a shard does: the same questions in the same
/// order, with arrays for sockets, disk and store.
struct ServerWorld: ~Copyable {
    var table: TransferTable
    /// By slot.
    var transfers: [Transfer]
    var files: [ServedFile]
    let batchMax: Int
    private var nextSocket = 0

    /// Socket 0 listens; downloads speak from the next ones, uploads from the last ones.
    static let downloadSockets = 1...4
    static let uploadSockets = 5...6
    static let firstPort: UInt16 = 40_000

    enum Waiting {
        case nothing
        case queued
        case parked
    }

    /// What the shard keeps beside a slot.
    struct Transfer {
        var waiting = Waiting.nothing
        var opcode = Opcode.rrq
        var name = ""
        var asked = Options()
        var granted = Options()
        /// The number of the file that is sent, and what of it.
        var file = 0
        var part = 0..<0
        var received: [UInt8] = []
        var opening = Opening()
        var lastBlock = UInt64.max
    }

    /// A file, and which extents of it are in memory.
    struct ServedFile {
        static let extentByteCount = 256
        var content: [UInt8]
        var isPresent: [Bool]

        init(_ content: [UInt8], isPresent: Bool) {
            self.content = content
            let count = content.count / ServedFile.extentByteCount + 1
            self.isPresent = Array(repeating: isPresent, count: count)
        }
    }

    init(_ scenario: Scenario, now: UInt64) {
        table = TransferTable(capacity: scenario.serverCapacity, seed: scenario.seed, now: now)
        transfers = Array(repeating: Transfer(), count: scenario.serverCapacity)
        let isPresent = scenario.faults.diskNanoseconds == 0
        files = scenario.files.map { ServedFile($0, isPresent: isPresent) }
        batchMax = scenario.batchMax
    }

    func endpoint(ofSocket socket: UInt16) -> Endpoint {
        let port = socket == 0 ? Environment.requestPort : ServerWorld.firstPort + socket
        return Endpoint(address: Environment.serverAddress, port: port)
    }

    // MARK: Datagrams in

    mutating func receive(_ datagram: Datagram, _ outside: inout Environment) {
        outside.checker.noteHeardByServer(datagram.source)
        let isListener = datagram.target.port == Environment.requestPort
        let socket = isListener ? 0 : datagram.target.port - ServerWorld.firstPort
        let flow = Flow(peer: datagram.source, local: Environment.serverAddress, socket: socket)
        let bytes = datagram.bytes
        guard let packet = try? Packet(parsing: bytes.span.bytes) else {
            outside.checker.fail("a malformed packet reached the server")
            return
        }
        switch packet {
        case .request(let request):
            guard isListener else { return answerStray(flow, &outside) }
            handle(request, of: bytes, flow, &outside)
        case .ack(let block):
            guard let slot = table.find(flow) else { return answerStray(flow, &outside) }
            handleAck(slot, block, &outside)
        case .data(let block, let payload):
            guard let slot = table.find(flow) else { return answerStray(flow, &outside) }
            handleData(slot, block, payload, &outside)
        case .error(let code, _):
            guard let slot = table.find(flow) else { return }
            let effect = table.stepError(slot, code: code, isWrongBlock: false)
            perform(effect, slot, &outside)
        case .oack:
            answerStray(flow, &outside)
        }
    }

    private mutating func handleAck(
        _ slot: Int, _ block: BlockNumber, _ outside: inout Environment
    ) {
        let effect = table.stepAck(slot, block: block, now: outside.now)
        if outside.sabotage == .eagerRewind && effect == .none && !table.isReceiver(slot) {
            perform(table.stepSendFailed(slot, now: outside.now), slot, &outside)
        }
        if outside.sabotage == .repeatedOACK { perform(.oack, slot, &outside) }
        performProgress(effect, slot, &outside)
    }

    private mutating func handleData(
        _ slot: Int, _ block: BlockNumber, _ payload: RawSpan, _ outside: inout Environment
    ) {
        guard table.isReceiver(slot), !table.isOpening(slot) else { return }
        // With no room the block is as good as lost.
        let isFull = outside.random.chance(perMille: outside.faults.poolFullPerMille)
        guard table.isDallying(slot) || !isFull else { return }
        let effect = table.stepData(
            slot, block: block, byteCount: payload.byteCount, now: outside.now)
        switch effect {
        case .take, .takeAndAck, .takeLast: transfers[slot].received += [UInt8](copying: payload)
        default: break
        }
        performProgress(effect, slot, &outside)
    }

    /// A packet for no transfer (RFC 1350 §4). An ERROR does not come here: it is never answered.
    private mutating func answerStray(_ flow: Flow, _ outside: inout Environment) {
        let error = [UInt8].error(.unknownTransferID, "Unknown transfer ID")
        outside.send(error, from: endpoint(ofSocket: flow.socket), to: flow.peer)
    }

    // MARK: Requests

    private mutating func handle(
        _ request: Request, of bytes: [UInt8], _ flow: Flow, _ outside: inout Environment
    ) {
        let hash = requestHash(bytes)
        var avoided: Int?
        var rival: Int?
        judging: while true {
            switch table.judge(flow, requestHash: hash) {
            case .new: break judging
            case .pending: return
            case .repeated(let slot):
                let effect = table.stepRepeatedRequest(slot, now: outside.now)
                perform(effect, slot, &outside)
                return
            case .rival(let slot):
                outside.checker.noteRival()
                rival = slot
                avoided = Int(table.flow(of: slot).socket)
                break judging
            case .replace(let slot):
                avoided = Int(table.flow(of: slot).socket)
                let isDone = table.isDallying(slot) || table.isLastBlockOut(slot)
                end(slot, isDone ? .doneUnacknowledged : .replaced, &outside)
            }
        }
        open(request, hash, flow, rival: rival, avoiding: avoided, &outside)
    }

    private mutating func open(
        _ request: Request, _ hash: UInt32, _ flow: Flow, rival: Int?, avoiding avoided: Int?,
        _ outside: inout Environment
    ) {
        let name = String(decoding: [UInt8](copying: request.filename), as: UTF8.self)
        guard request.opcode == .wrq || Int(name) != nil else {
            let error = [UInt8].error(.fileNotFound, "File not found")
            return outside.send(error, from: endpoint(ofSocket: 0), to: flow.peer)
        }
        let socket = takeSocket(isUpload: request.opcode == .wrq, avoiding: avoided)
        let spoken = Flow(peer: flow.peer, local: flow.local, socket: UInt16(socket))
        guard
            let slot = table.open(
                spoken, opcode: request.opcode, requestHash: hash, now: outside.now)
        else {
            let error = [UInt8].error(.notDefined, "Server busy")
            return outside.send(error, from: endpoint(ofSocket: 0), to: flow.peer)
        }
        if let rival { table.setRivals(slot, rival) }
        transfers[slot] = Transfer()
        transfers[slot].opcode = request.opcode
        transfers[slot].name = name
        transfers[slot].asked = Options(parsing: request.options)
        let delay = outside.random.below(outside.faults.diskNanoseconds)
        outside.schedule(
            .opened(slot: slot, generation: table.generation(of: slot)), in: delay)
    }

    /// The next socket in turn, but not the one that the same client was spoken to from a moment ago: what is
    /// still under way from there would pass for the new transfer's.
    private mutating func takeSocket(isUpload: Bool, avoiding avoided: Int?) -> Int {
        let pool = isUpload ? ServerWorld.uploadSockets : ServerWorld.downloadSockets
        nextSocket += 1
        let socket = pool.lowerBound + nextSocket % pool.count
        guard socket == avoided else { return socket }
        return pool.lowerBound + (nextSocket + 1) % pool.count
    }

    // MARK: The disk's answers

    mutating func handleOpened(_ slot: Int, _ generation: UInt32, _ outside: inout Environment) {
        guard table.isCurrent(slot, generation: generation), table.isOpening(slot) else { return }
        let opcode = transfers[slot].opcode
        let isUpload = opcode == .wrq
        if let number = Int(transfers[slot].name) { transfers[slot].file = number }
        let byteCount = isUpload ? 0 : files[transfers[slot].file].content.count
        let grant = transfers[slot].asked.grant(
            limits: GrantLimits(), byteCount: isUpload ? nil : UInt64(byteCount), mode: .octet,
            opcode: opcode)
        transfers[slot].granted = grant.options
        if isUpload {
            perform(table.startReceiving(slot, grant: grant, now: outside.now), slot, &outside)
        } else {
            let part = grant.part(of: UInt64(byteCount))
            transfers[slot].part = Int(part.lowerBound)..<Int(part.upperBound)
            transfers[slot].lastBlock = UInt64(part.count / Int(grant.blksize)) + 1
            let effect = table.startSending(
                slot, byteCount: UInt64(part.count), grant: grant, now: outside.now)
            perform(effect, slot, &outside)
        }
    }

    mutating func handleReady(_ slot: Int, _ generation: UInt32, _ outside: inout Environment) {
        guard table.isCurrent(slot, generation: generation) else { return }
        transfers[slot].waiting = .nothing
        sendDue(slot, &outside)
    }

    mutating func handleCommitted(
        _ slot: Int, _ generation: UInt32, _ outside: inout Environment
    ) {
        guard table.isCurrent(slot, generation: generation) else { return }
        outside.checker.noteCommit(transfers[slot].name, transfers[slot].received)
        let effect = table.didCommit(slot, now: outside.now)
        perform(effect, slot, &outside)
    }

    // MARK: Effects

    /// A step may have been the progress that settles which of two rivals is the client's.
    private mutating func performProgress(
        _ effect: TransferTable.Effect, _ slot: Int, _ outside: inout Environment
    ) {
        if let rival = table.takeOutlivedRival() {
            outside.checker.expect(rival != slot, "a transfer outlived itself")
            end(rival, table.isConfirmed(rival) ? .replaced : .ghost, &outside)
        }
        perform(effect, slot, &outside)
    }

    private mutating func perform(
        _ effect: TransferTable.Effect, _ slot: Int, _ outside: inout Environment
    ) {
        if case .end = effect {} else { table.checkInvariants(slot) }
        switch effect {
        case .none, .take: break
        case .send: sendDue(slot, &outside)
        case .ack(let block), .takeAndAck(let block): sendAck(slot, block, &outside)
        case .takeLast:
            let delay = outside.random.below(outside.faults.diskNanoseconds)
            outside.schedule(
                .committed(slot: slot, generation: table.generation(of: slot)), in: delay)
        case .oack:
            outside.checker.expect(!table.isConfirmed(slot), "an OACK went out after an ACK came")
            send(.oack(transfers[slot].granted), slot, &outside)
        case .fail(let code):
            send(.error(code, "Server busy"), slot, &outside)
            end(slot, .failed, &outside)
        case .end(let outcome): end(slot, outcome, &outside)
        case .request: outside.checker.fail("a server was to send a request")
        }
    }

    private mutating func end(_ slot: Int, _ outcome: Outcome, _ outside: inout Environment) {
        outside.trace("server slot \(slot) ends: \(outcome)")
        let summary = table.summary(of: slot, now: outside.now)
        if outcome == .done && !table.isReceiver(slot) {
            outside.checker.expect(summary.isLastAcked, "done before the last ACK")
        }
        outside.checker.noteEnd(outcome, isServer: true)
        if !table.isReceiver(slot) { outside.checker.noteNeeded(blocks: Int(summary.blocksAcked)) }
        if outside.sabotage == .strayPacket {
            let stranger = Endpoint(address: Address(ipv4: 0x0A09_0909), port: 9)
            outside.send(.ack(BlockNumber(rawValue: 0)), from: endpoint(ofSocket: 1), to: stranger)
        }
        table.release(slot)
        transfers[slot] = Transfer()
    }

    private mutating func sendAck(_ slot: Int, _ block: UInt64, _ outside: inout Environment) {
        send(.ack(BlockNumber(block, rollover: table.rollover(of: slot))), slot, &outside)
    }

    private func send(_ bytes: [UInt8], _ slot: Int, _ outside: inout Environment) {
        let flow = table.flow(of: slot)
        outside.send(bytes, from: endpoint(ofSocket: flow.socket), to: flow.peer)
    }

    mutating func expire(_ slot: Int, _ outside: inout Environment) {
        if outside.sabotage == .forgottenSlot && table.isDallying(slot) { return }
        perform(table.stepTimeout(slot, now: outside.now), slot, &outside)
    }

    // MARK: DATA out

    mutating func visit(_ slot: Int, _ generation: UInt32, _ outside: inout Environment) {
        guard table.isCurrent(slot, generation: generation) else { return }
        transfers[slot].waiting = .nothing
        sendDue(slot, &outside)
    }

    private mutating func sendDue(_ slot: Int, _ outside: inout Environment) {
        guard transfers[slot].waiting == .nothing else { return }
        let due = table.due(slot, now: outside.now)
        guard due.count > 0 else { return }
        let sent = sendBatch(slot, first: due.first, count: min(due.count, batchMax), &outside)
        if sent > 0 {
            check(slot, first: due.first, count: sent, &outside)
            table.didSend(slot, count: sent, now: outside.now)
        }
        guard transfers[slot].waiting == .nothing, table.due(slot, now: outside.now).count > 0
        else { return }
        transfers[slot].waiting = .queued
        outside.schedule(
            .visit(slot: slot, generation: table.generation(of: slot)), in: 1000)
    }

    /// Sends blocks as long as they are in memory. With none of them there the transfer is parked.
    private mutating func sendBatch(
        _ slot: Int, first: UInt64, count: Int, _ outside: inout Environment
    ) -> Int {
        let number = transfers[slot].file
        let blksize = table.blksize(of: slot)
        let rollover = table.rollover(of: slot)
        for sent in 0..<count {
            let block = first + UInt64(sent)
            let payload = files[number].content.payload(
                ofBlock: block, blksize: blksize, part: transfers[slot].part)
            if let absent = absentExtent(number, payload.indices) {
                if sent == 0 { park(slot, number, absent, &outside) }
                return sent
            }
            send(.data(BlockNumber(block, rollover: rollover), payload: payload), slot, &outside)
        }
        return count
    }

    private func absentExtent(_ file: Int, _ range: Range<Int>) -> Int? {
        guard !range.isEmpty else { return nil }
        let first = range.lowerBound / ServedFile.extentByteCount
        let last = (range.upperBound - 1) / ServedFile.extentByteCount
        for extent in first...last where !files[file].isPresent[extent] { return extent }
        return nil
    }

    /// The extent is read; another one may have to make room for it.
    private mutating func park(
        _ slot: Int, _ file: Int, _ extent: Int, _ outside: inout Environment
    ) {
        transfers[slot].waiting = .parked
        if outside.random.chance(perMille: outside.faults.evictionPerMille) {
            files[file].isPresent[outside.random.below(files[file].isPresent.count)] = false
        }
        files[file].isPresent[extent] = true
        let delay = outside.random.below(outside.faults.diskNanoseconds)
        outside.schedule(
            .ready(slot: slot, generation: table.generation(of: slot)), in: delay)
    }

    /// What every run of blocks must keep to.
    private mutating func check(
        _ slot: Int, first: UInt64, count: Int, _ outside: inout Environment
    ) {
        let acked = table.ackedBlock(of: slot)
        let last = first + UInt64(count) - 1
        let isConfirmed = table.isConfirmed(slot)
        outside.checker.noteBlocks(count)
        outside.checker.expect(last <= transfers[slot].lastBlock, "a block beyond the last one")
        let windowsize = UInt64(table.windowsize(of: slot))
        outside.checker.expect(last - acked <= max(windowsize, 2), "a window is overrun")
        outside.checker.expect(
            isConfirmed || (first == 1 && count == 1), "a window for a client that never answered")
        let (isRewind, isTooSoon) = transfers[slot].opening.note(
            first: first, last: last, acked: acked,
            roundTripNanoseconds: outside.faults.roundTripMinNanoseconds, now: outside.now)
        if isRewind { outside.checker.noteRewind() }
        outside.checker.expect(
            !isTooSoon || !isConfirmed, "a second rewind to block \(first) in one round trip")
    }
}

/// FNV-1a, as the shard tells a repeated request from another one by.
private func requestHash(_ bytes: [UInt8]) -> UInt32 {
    var hash: UInt32 = 0x811C_9DC5
    for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return hash
}
