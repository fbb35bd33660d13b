internal import TFTPCore
internal import TFTPServing
internal import TFTPWire

/// Does what the client asks for.
extension ClientShard {
    /// Carries out everything that the latest step has ordered, and what follows from it.
    mutating func performEffects() {
        while let effect = client.effects.takeFirst() { perform(effect) }
    }

    private mutating func perform(_ effect: ClientEffect) {
        switch effect {
        case .send(let packet): send(packet)
        case .sendBlocks(let order): sendBlocks(order)
        case .keep(let order): keep(order)
        case .handOver(let slot, let byteCount): handOver(slot, byteCount)
        case .awaitContent(let slot): awaitContent(slot)
        case .begin(let slot, let capacity): begin(slot, capacity: capacity)
        case .announce(let slot, let byteCount): announce(slot, byteCount)
        case .end(let slot): end(slot)
        case .startAgain(let slot): startAgain(slot)
        case .release(let slot, let socket): release(slot, socket: Int(socket))
        }
    }

    // MARK: Content

    /// Tells the client how far the task has come.
    mutating func look(_ slot: Int) {
        guard let position = position(of: slot) else { return }
        client.noteContent(slot, position)
    }

    private func position(of slot: Int) -> ContentPosition? {
        guard let transfer = unsafe slots[slot].transfer else { return nil }
        return unsafe transfer._withUnsafeGuaranteedRef { $0.position }
    }

    private func keep(_ order: KeepOrder) {
        guard let transfer = unsafe slots[order.slot].transfer else { return }
        let payload = unsafe order.payload
        // A whole number of blocks fits the ring, so none lies across its end.
        let place = unsafe transfer._withUnsafeGuaranteedRef { transfer in
            unsafe transfer.piece(at: order.offset, count: payload.count)
        }
        unsafe place.copyMemory(from: payload)
    }

    private func handOver(_ slot: Int, _ byteCount: UInt64) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        let progress = client.progress(of: slot)
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            transfer.noteProgress(progress)
            transfer.publish(byteCount)
        }
    }

    func showProgress(_ slot: Int) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        let progress = client.progress(of: slot)
        unsafe transfer._withUnsafeGuaranteedRef { $0.noteProgress(progress) }
    }

    private mutating func awaitContent(_ slot: Int) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        unsafe transfer._withUnsafeGuaranteedRef { $0.leaveWord() }
        guard let position = position(of: slot) else { return }
        client.stepAwaited(slot, position)
    }

    // MARK: The beginning and the end

    @inline(never)
    private func begin(_ slot: Int, capacity: Int) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        let sealer = client.blockSealer(of: slot)
        unsafe transfer._withUnsafeGuaranteedRef { $0.begin(capacity: capacity, sealer) }
    }

    private func announce(_ slot: Int, _ byteCount: UInt64) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        unsafe transfer._withUnsafeGuaranteedRef { $0.noteAnnounced(byteCount) }
    }

    @inline(never)
    private mutating func end(_ slot: Int) {
        let result = client.takeResult()
        guard let transfer = takeTransfer(of: slot) else { return }
        transfer.finish(result)
        depart(transfer)
    }

    @inline(never)
    private mutating func startAgain(_ slot: Int) {
        guard let transfer = takeTransfer(of: slot) else { return }
        start(transfer, asking: Options())
    }

    private func takeTransfer(of slot: Int) -> ClientTransfer? {
        guard let transfer = unsafe slots[slot].transfer else { return nil }
        unsafe slots[slot].transfer = nil
        let owned = unsafe transfer.takeRetainedValue()
        owned.slot = -1
        return owned
    }

    private mutating func release(_ slot: Int, socket: Int) { port.detach(socket) }

    // MARK: Packets

    /// Queues one small packet. With no room it is lost, as on a network.
    private mutating func send(_ packet: PacketOrder) {
        let bytes = unsafe client.effects.bytes(of: packet)
        guard let room = unsafe port.makeRoom(byteCount: bytes.count) else { return }
        unsafe room.copyMemory(from: bytes)
        var tag = DatagramPort.untagged
        if let slot = packet.slot.map(Int.init) {
            tag = Tag.send(slot: slot, generation: packet.generation)
            if slots[slot].isTraced { traceDeparture(slot, unsafe bytes.bytes, packet.flow) }
        }
        _ = unsafe port.send(UnsafeRawBufferPointer(room), to: packet.flow, tag: tag)
    }

    /// Sends what the client has ordered, as far as one batch goes.
    private mutating func sendBlocks(_ order: ContentOrder) {
        let slot = order.slot
        let count = min(order.count, batchMax(slot))
        let messageCount = slots[slot].isUnsegmented ? count : 1
        guard port.outbox.hasRoom(messages: messageCount, segments: count) else {
            return client.didFindNoRoom(order)
        }
        sendBatch(order, count: count)
        client.didSend(order, count: count)
    }

    private func batchMax(_ slot: Int) -> Int {
        let blockByteCount = client.table.blksize(of: slot) + Packet.headerByteCount
        let fitting = ShardLimits.trainByteCountMax / blockByteCount
        return min(ShardLimits.segmentsMax, max(1, fitting))
    }

    private mutating func sendBatch(_ order: ContentOrder, count: Int) {
        let slot = order.slot
        guard let transfer = unsafe slots[slot].transfer else { return }
        let ring = unsafe transfer._withUnsafeGuaranteedRef { unsafe $0.ring }
        var gather = unsafe BlockGather(
            ring: ring, byteCount: order.end, blksize: client.table.blksize(of: slot),
            rollover: client.table.rollover(of: slot), headers: headers.start)
        let batch = GSOBatch(
            first: order.first, count: count, isSegmented: !slots[slot].isUnsegmented)
        let departure = port.send(
            batch, &gather, to: client.table.flow(of: slot), slot: slot,
            generation: client.table.generation(of: slot))
        assert(departure.blockCount == count, "what is ready is in the ring")
        if slots[slot].isTraced { traceBlocks(order, count: count) }
    }

    // MARK: Trace

    /// Shows a packet that has come, whatever its sender.
    @inline(never)
    func traceArrival(_ slot: Int, _ bytes: RawSpan, _ flow: Flow) {
        guard (try? Packet(parsing: bytes)) != nil else { return }
        trace(slot, bytes, bytes.byteCount, flow, isOutgoing: false)
    }

    @inline(never)
    private func traceDeparture(_ slot: Int, _ bytes: RawSpan, _ flow: Flow) {
        trace(slot, bytes, bytes.byteCount, flow, isOutgoing: true)
    }

    /// Shows the blocks of a batch, each of which is a packet on the network.
    @inline(never)
    private func traceBlocks(_ order: ContentOrder, count: Int) {
        let flow = client.table.flow(of: order.slot)
        let blksize = UInt64(client.table.blksize(of: order.slot))
        let rollover = client.table.rollover(of: order.slot)
        for block in order.first..<(order.first + UInt64(count)) {
            let payload = min(blksize, order.end - min((block - 1) * blksize, order.end))
            let wire = BlockNumber(block, rollover: rollover).rawValue
            let header: InlineArray<4, UInt8> = [
                0, UInt8(Opcode.data.rawValue), UInt8(wire >> 8), UInt8(wire & 0xFF),
            ]
            unsafe trace(
                order.slot, header.span.bytes, Packet.headerByteCount + Int(payload), flow,
                isOutgoing: true)
        }
    }

    private func trace(
        _ slot: Int, _ bytes: RawSpan, _ byteCount: Int, _ flow: Flow, isOutgoing: Bool
    ) {
        guard let transfer = unsafe slots[slot].transfer else { return }
        let kept = min(bytes.byteCount, TracedPacket.byteCountMax)
        let packet = TracedPacket(
            isOutgoing: isOutgoing, port: port.sockets[Int(flow.socket)].port, peer: flow.peer,
            bytes: (0..<kept).map { bytes.byte(at: $0) }, byteCount: byteCount)
        unsafe transfer._withUnsafeGuaranteedRef { $0.transport.trace?(packet) }
    }
}
