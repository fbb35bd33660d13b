import TFTPCore
import TFTPMetrics
internal import TFTPServing
import TFTPStore
import TFTPWire

/// The product's own server, with arrays for sockets, disk and store.
struct ServerWorld: ~Copyable {
    var server: TransferServer
    var disk: SimulatedDisk
    private var watches: [Watch]
    private let memory: ServingMemory
    private let counters = Counters()
    private let own: OwnEndpoints
    private let scenario: Scenario
    private var isDraining = false
    /// Who was sent the latest ERROR.
    private var latestError: Endpoint?
    /// The latest request of a peer, until something else came from it.
    private var requests: [Endpoint: (bytes: [UInt8], flow: Flow, time: UInt64)] = [:]
    /// Peers that had been sent everything when the latest request came.
    private var completePeers: Set<Endpoint> = []

    /// Socket 0 listens; downloads speak from the next ones, uploads from the last ones.
    static let downloadSockets = 1...4
    static let uploadSockets = 5...6
    static let firstPort: UInt16 = 40_000

    /// What the checker wants to know of a slot.
    private struct Watch {
        var opening = Opening()
        var generation: UInt32?
    }

    init(_ scenario: Scenario, now: UInt64) {
        memory = ServingMemory(pendingsMax: 64, chunksMax: 16)
        let all = 1 + ServerWorld.downloadSockets.count + ServerWorld.uploadSockets.count
        own = OwnEndpoints(
            (0..<all).map {
                OwnEndpoints.Entry(
                    port: ServerWorld.port(ofSocket: UInt16($0)), address: Environment.serverAddress
                )
            }, addresses: [])
        server = TransferServer(
            configuration: ServerWorld.configuration(scenario), sockets: ServerWorld.sockets(),
            own: own, memory: memory, counters: counters, seed: scenario.seed, now: now)
        server.plant(scenario.sabotage.serverMistake)
        disk = SimulatedDisk(scenario)
        watches = Array(repeating: Watch(), count: scenario.serverCapacity)
        self.scenario = scenario
    }

    deinit {
        memory.destroy()
        counters.destroy()
        own.destroy()
    }

    private static func configuration(_ scenario: Scenario) -> ServingConfiguration {
        var configuration = ServingConfiguration()
        configuration.transfersMax = scenario.serverCapacity
        var policy = RequestPolicy()
        policy.upload = .overwrite
        configuration.policies = PolicyTable(default: policy)
        configuration.isSinglePort = scenario.isSinglePort
        configuration.opensSeals = scenario.hostile.contains(.sealed)
        configuration.clientLimits.bytesPerSecond = scenario.clientBytesPerSecond
        configuration.networkLimits.bytesPerSecond = scenario.networkBytesPerSecond
        return configuration
    }

    private static func sockets() -> [ServingSocket] {
        var pools = SocketPools()
        pools.download = SocketPools.Pool(
            first: UInt16(downloadSockets.lowerBound), count: UInt16(downloadSockets.count))
        pools.upload = SocketPools.Pool(
            first: UInt16(uploadSockets.lowerBound), count: UInt16(uploadSockets.count))
        let transferSockets = downloadSockets.count + uploadSockets.count
        return [ServingSocket(isListener: true, pools: pools)]
            + Array(repeating: ServingSocket(isListener: false), count: transferSockets)
    }

    static func has(port: UInt16) -> Bool {
        (0...UInt16(uploadSockets.upperBound)).contains { port == Self.port(ofSocket: $0) }
    }

    private static func port(ofSocket socket: UInt16) -> UInt16 {
        socket == 0 ? Environment.requestPort : firstPort + socket
    }

    func sleepNanoseconds(now: UInt64) -> UInt64? { server.sleepNanoseconds(now: now) }

    // MARK: Events

    mutating func receive(_ datagram: Datagram, _ outside: inout Environment) {
        outside.checker.noteHeardByServer(datagram.source)
        let isListener = datagram.target.port == Environment.requestPort
        let socket = isListener ? 0 : datagram.target.port - ServerWorld.firstPort
        let flow = Flow(peer: datagram.source, local: Environment.serverAddress, socket: socket)
        // With no room for it a block is as good as lost.
        let isData = datagram.bytes.starts(with: [0, 3])
        guard !isData || !outside.random.chance(perMille: outside.faults.poolFullPerMille) else {
            return
        }
        let isRequest = datagram.bytes[1] <= 2
        if isRequest {
            noteComplete()
            let first = requests[datagram.source]
            let isSame = first?.bytes == datagram.bytes
            requests[datagram.source] = (
                datagram.bytes, flow, isSame ? first?.time ?? outside.now : outside.now
            )
        }
        step(datagram.bytes, from: flow, &outside)
        guard scenario.hasLateDuplicates, !isRequest,
            let request = requests.removeValue(forKey: datagram.source),
            outside.now - request.time < ServerWorld.lateNanoseconds
        else { return }
        step(request.bytes, from: request.flow, &outside)
    }

    /// A copy that is later may pass for a restart.
    private static let lateNanoseconds: UInt64 = 90_000_000

    private mutating func step(_ bytes: [UInt8], from flow: Flow, _ outside: inout Environment) {
        server.stepDatagram(bytes.span.bytes, from: flow, now: outside.now)
        performEffects(&outside)
    }

    /// An attacker has sent something to the listener.
    mutating func receive(_ act: HostileAct, _ outside: inout Environment) {
        outside.checker.hostile.note(act, now: outside.now)
        outside.checker.noteHeardByServer(act.source)
        let local = Environment.serverAddress
        step(act.bytes, from: Flow(peer: act.source, local: local, socket: 0), &outside)
    }

    /// The server is to end.
    mutating func drain(_ outside: inout Environment) {
        isDraining = true
        server.drain()
        restartIfDrained(&outside)
    }

    /// The next process takes over when the last transfer of a draining one has ended.
    private mutating func restartIfDrained(_ outside: inout Environment) {
        guard server.isDrained else { return }
        for slot in 0..<server.table.capacity {
            server.cutOff(slot, now: outside.now)
            while let effect = server.effects.takeFirst() { perform(effect, &outside) }
        }
        isDraining = false
        outside.checker.noteRestart()
        disk.epoch += 1
        watches = Array(repeating: Watch(), count: watches.count)
        server = TransferServer(
            configuration: ServerWorld.configuration(scenario), sockets: ServerWorld.sockets(),
            own: own, memory: memory, counters: counters, seed: scenario.seed, now: outside.now)
        server.plant(scenario.sabotage.serverMistake)
    }

    private mutating func noteComplete() {
        completePeers = []
        for slot in 0..<server.table.capacity where !server.table.isFree(slot) {
            if server.table.isLastBlockOut(slot) {
                completePeers.insert(server.table.flow(of: slot).peer)
            }
        }
    }

    /// Steps every transfer whose deadline has passed.
    mutating func expireDeadlines(_ outside: inout Environment) {
        while server.stepNextTimeout(now: outside.now) { performEffects(&outside) }
    }

    /// Visits the transfers that have more due than one visit sent.
    mutating func visit(_ outside: inout Environment) {
        disk.isVisitScheduled = false
        server.beginVisits(now: outside.now)
        while server.visitNext() { performEffects(&outside) }
    }

    /// An upload is safe.
    mutating func commit(_ upload: UInt32, epoch: Int, _ outside: inout Environment) {
        guard let reply = disk.commit(upload, &outside), epoch == disk.epoch else { return }
        handle(reply, epoch: epoch, &outside)
    }

    /// The store answers.
    mutating func handle(_ reply: StoreReply, epoch: Int, _ outside: inout Environment) {
        guard epoch == disk.epoch else { return disk.forget(reply) }
        if case .opened(let slot, let generation, let pending, let image) = reply {
            let byteCount = UInt64(disk.files[Int(image.index)].content.count)
            server.stepOpened(
                slot, generation: generation, pending: pending, image, byteCount: byteCount,
                now: outside.now)
        } else {
            server.stepReply(reply, now: outside.now)
        }
        performEffects(&outside)
    }

    /// What must hold when all clients have left.
    func checkTheEnd(_ outside: inout Environment) {
        outside.checker.expect(server.table.activeCount == 0, "the server leaks a slot")
        outside.checker.expect(disk.openUploads.isEmpty, "the server leaks an upload")
        outside.checker.expect(
            disk.files.allSatisfy { $0.useCount == 0 }, "the server leaks an image")
        outside.checker.expect(
            server.leak == nil, "the server leaks \(server.leak ?? "nothing")")
        let isSealAsked =
            scenario.hostile.contains(.sealed) && !scenario.hostile.contains(.flood)
            && !scenario.drains && !scenario.isSinglePort && scenario.serverCapacity >= 64
        outside.checker.expect(
            !isSealAsked || outside.checker.hostile.sealedAskedCount == 2,
            "a recorded request kept out the client")
    }

    // MARK: Effects

    mutating func performEffects(_ outside: inout Environment) {
        while let effect = server.effects.takeFirst() { perform(effect, &outside) }
        restartIfDrained(&outside)
        let sleeps = server.sleepNanoseconds(now: outside.now) != 0
        guard !sleeps, !disk.isVisitScheduled else { return }
        disk.isVisitScheduled = true
        outside.schedule(.visit, in: 1000)
    }

    private mutating func perform(_ effect: ServerEffect, _ outside: inout Environment) {
        switch effect {
        case .send(let number): send(number, &outside)
        case .sendBlocks(let order): sendBlocks(order, &outside)
        case .look(let slot):
            noteOpening(slot, &outside)
            look(slot, &outside)
        case .ask(let request):
            if case .openUpload(let slot, _, _, _) = request { noteOpening(Int(slot), &outside) }
            disk.answer(request, memory, &outside)
        case .releaseImage(let image, _): disk.files[Int(image.index)].useCount -= 1
        case .record(let number):
            noteEnd(server.effects.records[Int(number)], &outside)
        case .noteStart: break
        }
    }

    private func noteOpening(_ slot: Int, _ outside: inout Environment) {
        if server.table.isRivalled(slot) { outside.checker.noteRival() }
        outside.checker.expect(!isDraining, "a transfer began while the server drains")
    }

    private mutating func send(_ number: UInt32, _ outside: inout Environment) {
        let packet = server.effects.packets[Int(number)]
        let bytes = [UInt8](server.effects.bytes(ofPacket: number))
        if bytes.starts(with: [0, 5]) { latestError = packet.flow.peer }
        if let slot = packet.slot, bytes.starts(with: [0, 6]) {
            let isCurrent = server.table.isCurrent(Int(slot), generation: packet.generation)
            outside.checker.expect(
                !isCurrent || !server.table.isConfirmed(Int(slot)),
                "an OACK went out after an ACK came")
        }
        send(bytes, to: packet.flow, &outside)
    }

    private func send(_ bytes: [UInt8], to flow: Flow, _ outside: inout Environment) {
        guard !outside.meets(perMille: outside.faults.sendDroppedPerMille) else {
            return outside.checker.noteLost()
        }
        let port = ServerWorld.port(ofSocket: flow.socket)
        let source = Endpoint(address: Environment.serverAddress, port: port)
        outside.send(bytes, from: source, to: flow.peer)
    }

    /// Names are in memory where files are.
    private mutating func look(_ slot: Int, _ outside: inout Environment) {
        let isCached = outside.faults.diskNanoseconds == 0
        guard isCached else { return server.stepUnknown(slot) }
        guard let number = disk.number(of: server.looked.name) else {
            return server.stepNotFound(slot)
        }
        disk.files[number].useCount += 1
        server.stepFound(
            slot, ImageID(index: UInt32(number), generation: 0),
            byteCount: UInt64(disk.files[number].content.count))
    }

    // MARK: DATA out

    /// Sends blocks as long as they are in memory. With none of them there the transfer is parked.
    private mutating func sendBlocks(_ order: BlockOrder, _ outside: inout Environment) {
        let slot = order.slot
        server.table.checkInvariants(slot)
        guard !outside.meets(perMille: outside.faults.noRoomPerMille) else {
            return server.didFindNoRoom(order)
        }
        guard !isRefused(order, &outside) else { return }
        let content = server.contents[server.table.subject(of: slot)]
        let number = Int(content.image.index)
        let part = Int(content.part.lowerBound)..<Int(content.part.upperBound)
        let blksize = server.table.blksize(of: slot)
        let rollover = server.table.rollover(of: slot)
        var sent = 0
        while sent < min(order.count, scenario.batchMax) {
            let block = order.first + UInt64(sent)
            let payload = disk.files[number].content.payload(
                ofBlock: block, blksize: blksize, part: part)
            if let absent = disk.absentExtent(number, payload.indices) {
                if sent == 0 {
                    server.park(slot, extent: absent, imageByteCount: content.partEnd)
                }
                break
            }
            let data = [UInt8].data(BlockNumber(block, rollover: rollover), payload: payload)
            send(data, to: server.table.flow(of: slot), &outside)
            sent += 1
        }
        if sent > 0 {
            let last = UInt64(part.count / blksize) + 1
            check(slot, first: order.first, count: sent, lastBlock: last, &outside)
        }
        server.didSend(order, count: sent)
    }

    /// What every run of blocks must keep to.
    private mutating func check(
        _ slot: Int, first: UInt64, count: Int, lastBlock: UInt64, _ outside: inout Environment
    ) {
        let acked = server.table.ackedBlock(of: slot)
        let last = first + UInt64(count) - 1
        let isConfirmed = server.table.isConfirmed(slot)
        // What forged requests get is bounded by itself.
        let client = server.table.flow(of: slot).peer.address
        let isForged = client.ipv4 >> 16 == 0x0A08
        if !isForged { outside.checker.noteBlocks(count) }
        let byteCount = count * server.table.blksize(of: slot)
        outside.checker.noteBytes(byteCount, to: client, now: outside.now)
        outside.checker.expect(last <= lastBlock, "a block beyond the last one")
        let windowsize = UInt64(server.table.windowsize(of: slot))
        outside.checker.expect(last - acked <= max(windowsize, 2), "a window is overrun")
        outside.checker.expect(
            isConfirmed || (first == 1 && count == 1), "a window for a client that never answered")
        let generation = server.table.generation(of: slot)
        if watches[slot].generation != generation {
            watches[slot] = Watch(generation: generation)
        }
        let (isRewind, isTooSoon) = watches[slot].opening.note(
            first: first, last: last, acked: acked,
            roundTripNanoseconds: outside.faults.roundTripMinNanoseconds, now: outside.now)
        if isRewind && !isForged { outside.checker.noteRewind() }
        // What the kernel refuses brings the window back at once.
        outside.checker.expect(
            !isTooSoon || !isConfirmed || outside.faults.sendRefusedPerMille > 0,
            "a second rewind to block \(first) in one round trip")
    }

    // MARK: The end of a transfer

    private mutating func noteEnd(_ record: TransferRecord, _ outside: inout Environment) {
        outside.trace("server ends \(record.peer.port): \(record.outcome)")
        outside.checker.noteEnd(record.outcome, isServer: true)
        checkEnd(record, &outside)
        guard !record.isUpload, record.outcome != .refused else { return }
        let blksize = UInt64(record.blksize)
        let isDone = record.outcome == .done
        outside.checker.noteNeeded(
            blocks: Int(record.byteCount / blksize) + (isDone ? 1 : 0))
    }

    private func checkEnd(_ record: TransferRecord, _ outside: inout Environment) {
        let isHostile = record.peer == HostileAct.sealedSource
        // Before the store was asked about one, the plain request in between is what was there.
        let isSealed = isHostile && outside.checker.hostile.sealedAskedCount > 0
        outside.checker.expect(
            !isSealed || record.outcome != .replaced, "a sealed request made way for a plain one")
        outside.checker.expect(
            record.outcome != .replaced || !completePeers.contains(record.peer),
            "a transfer was replaced that had been sent")
        outside.checker.expect(
            record.outcome != .replaced || scenario.mayReplace || isHostile
                || outside.checker.hasAskedAnew(record.peer),
            "a transfer was replaced whose client goes on")
        outside.checker.expect(
            record.outcome != .failed || outside.faults.breaksTransfers,
            "a transfer failed without a cause")
        outside.checker.expect(
            record.outcome != .failed || record.byteCount == 0 || latestError == record.peer,
            "a client was left silent about the disk")
        let isBusy = record.outcome == .refused && record.reason == .busy
        let sinceFlood = outside.now - (outside.checker.hostile.floodedAt ?? outside.now)
        outside.checker.expect(
            !isBusy || sinceFlood < 2_500_000_000, "forged requests keep clients out")
    }
}
