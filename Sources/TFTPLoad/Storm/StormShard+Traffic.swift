internal import Histogram
internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor
internal import TFTPWire

/// Packets in, packets out, and what is checked on the way.
extension StormShard {
    /// The cause when a file is larger than what is learned.
    static var tooLarge: String { "too large to check" }
    /// The cause when a sealed transfer gets an answer from a server without the key.
    static var unsealed: String { "an answer without a seal" }

    // MARK: Datagrams in

    @unsafe
    mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        guard let machine = machine(of: flow) else {
            report.strayCount += 1
            return
        }
        guard flow.peer.address == configuration.server.address else {
            perform(machines.stepForeigner(machine, now: now), machine, replyPort: nil)
            return
        }
        let bytes = unsafe arrival.payload.bytes
        var offset = 0
        repeat {
            let end = unsafe arrival.end(ofDatagramAt: offset)
            report.packetsIn += 1
            let datagram = bytes.extracting(offset..<end)
            if seals.isEmpty {
                handle(datagram, machine, flow.peer.port)
            } else {
                handleSealed(datagram, machine, flow.peer.port)
            }
            offset = end
        } while offset < bytes.byteCount
    }

    private mutating func handleSealed(_ bytes: RawSpan, _ machine: Int, _ peerPort: UInt16) {
        // What comes from elsewhere is answered as without a seal.
        guard machines.isActive(machine), machines.admits(machine, port: peerPort) else {
            return handle(bytes, machine, peerPort)
        }
        switch seals[machine].open(bytes) {
        case .plain(let packet): unsafe handle(packet.span.bytes, machine, peerPort)
        case .unsealed: fail(machine, StormShard.unsealed)
        case .foreign: report.malformedCount += 1
        }
    }

    /// Whose datagram it is; nil when the machine speaks through another socket by now.
    func machine(of flow: Flow) -> Int? {
        let machine =
            isOneToOne
            ? Int(flow.socket) / 2
            : Int(flow.local.ipv4 &- StormSockets.loopbackBase) - firstMachine
        guard machine >= 0, machine < machines.capacity, socketOf[machine] == flow.socket else {
            return nil
        }
        return machine
    }

    mutating func handle(_ bytes: RawSpan, _ machine: Int, _ peerPort: UInt16) {
        guard machines.isActive(machine) else { return }
        guard machines.admits(machine, port: peerPort) else {
            perform(machines.stepStranger(machine, now: now), machine, replyPort: peerPort)
            return
        }
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            report.malformedCount += 1
            return
        }
        switch packet {
        case .data(let block, let payload):
            let effect = machines.stepData(
                machine, block: block, byteCount: payload.byteCount, now: now)
            recordTurnaround(machine)
            guard check(effect, payload, machine) else { return }
            perform(effect, machine, replyPort: peerPort)
        case .oack(let options):
            let effect = machines.stepOACK(
                machine, options: Options(parsing: options), flaws: OACKFlaws(scanning: options),
                now: now)
            recordTurnaround(machine)
            if machines.phase(of: machine) == .receiving { noteGrant(machine) }
            perform(effect, machine, replyPort: peerPort)
        case .error(let code, _):
            report.errorsByCode[code.rawValue, default: 0] += 1
            perform(machines.stepError(machine, code: code, now: now), machine, replyPort: peerPort)
        case .ack, .request:
            report.malformedCount += 1
        }
    }

    private mutating func noteGrant(_ machine: Int) {
        report.noteGrant(
            blksize: machines.blksize(of: machine) + (seals.isEmpty ? 0 : StormSeal.blockByteCount),
            windowsize: machines.windowsize(of: machine))
    }

    mutating func recordTurnaround(_ machine: Int) {
        if let nanoseconds = machines.lastTurnaroundNanoseconds(machine) {
            _ = report.turnaround.record(nanoseconds)
        }
    }

    /// Checks a payload that is new. False when it is wrong, and the boot has ended by that.
    mutating func check(
        _ effect: MachineTable.Effect, _ payload: RawSpan, _ machine: Int
    ) -> Bool {
        guard let accepted = effect.accept else { return true }
        report.byteCount += UInt64(payload.byteCount)
        // Without an OACK, block 1 says that the defaults stand.
        if accepted.block == 1 { noteGrant(machine) }
        guard let reference = references[Int(fileOf[machine])] else { return true }
        let offset = Int(accepted.block - 1) * machines.blksize(of: machine)
        if purpose == .learning {
            if reference.learn(payload, at: offset) { return true }
            fail(machine, StormShard.tooLarge)
            return false
        }
        var wrong = reference.mismatch(payload, at: offset)
        if wrong == nil && accepted.isLast && offset + payload.byteCount != reference.byteCount {
            wrong = offset + payload.byteCount
        }
        guard let wrong else { return true }
        report.firstWrongByte =
            report.firstWrongByte
            ?? .init(
                name: configuration.files[Int(fileOf[machine])].name, block: accepted.block,
                offset: wrong)
        sendError(.illegalOperation, machine, machines.serverTID(of: machine))
        fail(machine, "wrong byte")
        return false
    }

    /// The network reports to the first machine that nothing listens. Full queues do not count.
    mutating func noteRefusal(_ errno: Errno) {
        guard purpose != .storming, errno != .resourceTemporarilyUnavailable,
            errno != .noBufferSpace
        else {
            return
        }
        report.unreachable = report.unreachable ?? errno
    }

    // MARK: Effects

    mutating func perform(
        _ effect: MachineTable.Effect, _ machine: Int, replyPort: UInt16?
    ) {
        let tid = replyPort ?? machines.serverTID(of: machine)
        if let block = effect.ack, let tid { sendAck(block, machine, tid) }
        if let reply = effect.error { sendError(reply, machine, tid) }
        if let request = effect.request { sendRequest(machine, isFromNewPort: request.fromNewPort) }
        if let result = effect.result { end(machine, result) }
    }

    mutating func end(_ machine: Int, _ result: BootResult) {
        guard case .failed(let failure) = result else {
            report.doneCount += 1
            _ = report.bootTime.record(now - dueAt[machine])
            idle.append(machine)
            return
        }
        fail(machine, failure.text)
    }

    mutating func fail(_ machine: Int, _ cause: String) {
        machines.stop(machine)
        report.failedCount += 1
        report.causes[cause, default: 0] += 1
        idle.append(machine)
    }

    func flow(_ machine: Int, _ port: UInt16) -> Flow {
        let local =
            isOneToOne
            ? Address.unspecified
            : StormSockets.address(ofMachine: firstMachine + machine)
        return Flow(
            peer: Endpoint(address: configuration.server.address, port: port), local: local,
            socket: socketOf[machine])
    }

    mutating func sendRequest(_ machine: Int, isFromNewPort: Bool) {
        if isFromNewPort { takeNextSocket(machine) }
        let name = names[Int(fileOf[machine])]
        let flow = flow(machine, configuration.server.port)
        let byteCount = MachineTable.packetByteCountMax
        send(machine, byteCount: byteCount, to: flow, isNew: isFromNewPort) { machines, output in
            unsafe machines.writeRequest(machine, name: name.span.bytes, into: &output)
        }
    }

    func takeNextSocket(_ machine: Int) {
        let current = Int(socketOf[machine])
        let next =
            isOneToOne ? 2 * machine + (current + 1) % 2 : (current + 1) % socketCount
        socketOf[machine] = UInt16(next)
    }

    mutating func sendAck(_ block: BlockNumber, _ machine: Int, _ tid: UInt16) {
        let byteCount = MachineTable.ackByteCountMax
        send(machine, byteCount: byteCount, to: flow(machine, tid)) { machines, output in
            machines.writeAck(machine, block: block, into: &output)
        }
    }

    mutating func sendError(_ reply: ErrorReply, _ machine: Int, _ tid: UInt16?) {
        guard let tid else { return }
        let byteCount = MachineTable.errorByteCountMax
        send(machine, byteCount: byteCount, to: flow(machine, tid)) { machines, output in
            machines.writeError(reply, into: &output)
        }
    }

    /// Queues one packet of a machine, sealed where it has to be.
    ///
    /// - Parameter isNew: a request that repeats no other.
    mutating func send(
        _ machine: Int, byteCount: Int, to flow: Flow, isNew: Bool = false,
        _ write: (borrowing MachineTable, inout OutputRawSpan) -> Void
    ) {
        guard !seals.isEmpty else {
            return queue(byteCount: byteCount, to: flow) { write($0, &$1) }
        }
        let plain = [UInt8](capacity: byteCount) { write(machines, &$0) }
        guard let sealed = unsafe seals[machine].seal(plain.span.bytes, isNew: isNew) else {
            return
        }
        queue(byteCount: sealed.count, to: flow) { _, output in
            for byte in sealed { output.append(byte) }
        }
    }

    /// A packet that finds no room is lost, as on a network, and the machine's own timer repeats
    /// it.
    private mutating func queue(
        byteCount: Int, to flow: Flow,
        _ write: (borrowing MachineTable, inout OutputRawSpan) -> Void
    ) {
        // The room is the port's own scratch and is sent from in this very turn.
        guard let room = unsafe port.makeRoom(byteCount: byteCount) else {
            report.unsentCount += 1
            return
        }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        write(machines, &output)
        let count = unsafe output.finalize(for: room)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
        if unsafe port.send(bytes, to: flow, tag: DatagramPort.untagged) {
            report.packetsOut += 1
        } else {
            report.unsentCount += 1
        }
    }
}
