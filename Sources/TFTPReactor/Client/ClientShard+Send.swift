internal import TFTPCore
internal import TFTPWire

/// What goes out: requests, ACKs, ERRORs, and DATA from the ring.
extension ClientShard {
    mutating func perform(_ effect: TransferTable.Effect, _ slot: Int) {
        switch effect {
        case .none, .take: break
        case .request:
            transferStates[slot].repeatCount += 1
            sendRequest(slot)
        case .send: sendDue(slot)
        case .ack(let block): repeatACK(slot, block)
        case .end(let outcome): end(slot, outcome)
        // The pace spreads a window over more than the patience.
        case .fail: end(slot, .timedOut)
        case .oack, .takeAndAck, .takeLast:
            assertionFailure("a client grants no options, and payload is taken where it arrives")
        }
    }

    private mutating func end(_ slot: Int, _ outcome: Outcome) {
        if table.isDallying(slot) { return release(slot) }
        switch outcome {
        case .done: end(slot, .success(summary(slot)))
        case .doneUnacknowledged: end(slot, .failure(.unacknowledged))
        default:
            let milliseconds = patienceMilliseconds(slot)
            guard !table.isRequesting(slot) else {
                let doubt = transferStates[slot].isSealed ? doubt(slot) : nil
                return end(slot, .failure(doubt ?? .noAnswer(milliseconds: milliseconds)))
            }
            let failure = ClientFailure.silence(
                milliseconds: milliseconds, byteCount: progress(slot))
            fail(slot, .notDefined, "Timed out", failure)
        }
    }

    private func patienceMilliseconds(_ slot: Int) -> UInt64 {
        guard let transfer = unsafe transferStates[slot].transfer else { return 0 }
        return unsafe transfer._withUnsafeGuaranteedRef {
            UInt64($0.request.patienceMilliseconds)
        }
    }

    mutating func stepTimeout(_ slot: Int) {
        transferStates[slot].isRefused = false
        if transferStates[slot].isSealed, let doubt = doubt(slot) {
            return end(slot, .failure(doubt))
        }
        // The client waits for its source, not for the server.
        guard !transferStates[slot].isWaiting else {
            if let failure = stalledSource(slot) {
                return fail(slot, .notDefined, "No content came", failure)
            }
            return table.stepOwnDelay(slot, now: now)
        }
        doubtZero(slot)
        perform(table.stepTimeout(slot, now: now), slot)
    }

    /// What to fail with when the content has kept the server waiting for too long. The timers of
    /// the table look at it, so it may last one of their periods longer.
    private func stalledSource(_ slot: Int) -> ClientFailure? {
        guard !table.isReceiver(slot), let transfer = unsafe transferStates[slot].transfer,
            let patience = unsafe transfer._withUnsafeGuaranteedRef({
                $0.request.sourcePatienceMilliseconds
            })
        else { return nil }
        let milliseconds = (now - transferStates[slot].dryAt) / 1_000_000
        guard milliseconds >= UInt64(patience) else { return nil }
        return .sourceStalled(milliseconds: UInt64(patience))
    }

    /// Whether a put has come to the block after 65535. Not in a window, where a server that waits
    /// for 1 would take the block after 0 for it; servers with windows count on from 0.
    func isAtRollover(_ slot: Int) -> Bool {
        !table.isReceiver(slot) && !transferStates[slot].isSealed
            && table.ackedBlock(of: slot) == 0xFFFF
            && table.windowsize(of: slot) == 1 && !transferStates[slot].isWaiting
    }

    /// Block 0 goes out again, unless the server has made plain that it does not wait for that one.
    mutating func doubtZero(_ slot: Int) {
        guard isAtRollover(slot), transferStates[slot].zeroDoubt.stepRepeat() else { return }
        table.setRollover(of: slot, .toOne)
    }

    // MARK: Small packets

    mutating func sendRequest(_ slot: Int) {
        guard !transferStates[slot].isSealed else { return sendSealedRequest(slot) }
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        let options = asksWithoutOptions(slot) ? Options() : transferStates[slot].asked
        let flow = table.flow(of: slot)
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            let request = transfer.request
            let byteCount = Packet.requestByteCountMax(filenameByteCount: request.name.count)
            send(slot, byteCount: byteCount, to: flow) { output in
                unsafe Packet.writeRequest(
                    request.opcode, filename: request.name.span.bytes, mode: request.mode,
                    options: options, to: &output)
            }
        }
    }

    /// Some servers do not answer a request with options at all. When a good part of the patience
    /// has passed without any answer, the request is repeated without; an OACK to an earlier one is
    /// accepted all the same. A part of a file cannot be requested without options.
    private func asksWithoutOptions(_ slot: Int) -> Bool {
        let state = transferStates[slot]
        guard let transfer = unsafe state.transfer, !state.asked.isPartial else { return false }
        let patience = unsafe transfer._withUnsafeGuaranteedRef { $0.request.patienceMilliseconds }
        let milliseconds = (now - min(state.startedAt, now)) / 1_000_000
        return milliseconds * 100 > UInt64(patience) * ClientShard.optionsPatiencePercent
    }

    private static var optionsPatiencePercent: UInt64 { 45 }

    mutating func sendACK(_ slot: Int, _ block: UInt64) {
        guard !transferStates[slot].isSealed else { return sendSealedACK(slot, block) }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        send(slot, byteCount: Packet.ackByteCount, to: table.flow(of: slot)) { output in
            Packet.writeAck(block: number, to: &output)
        }
    }

    /// An ACK that does not end a window: the answer to an OACK, or a repeat.
    private mutating func repeatACK(_ slot: Int, _ block: UInt64) {
        guard !transferStates[slot].isWaiting else { return }
        doubtRollover(slot)
        // The first ACK 0 and the last block's are none.
        let isFirst = block == 0 && transferStates[slot].repeatCount == 0
        if !isFirst && !table.isDallying(slot) { transferStates[slot].repeatCount += 1 }
        sendACK(slot, block)
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: StaticString) {
        guard !transferStates[slot].isSealed else { return sendSealedError(slot, code, message) }
        sendError(slot, code, message.rawSpan)
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        let byteCount = Packet.errorByteCountMin + message.byteCount
        send(slot, byteCount: byteCount, to: table.flow(of: slot)) { output in
            Packet.writeError(code: code, message: message, to: &output)
        }
    }

    mutating func sendError(
        to flow: Flow, _ code: ErrorCode, _ message: StaticString, tag: UInt64
    ) {
        let byteCount = Packet.errorByteCountMin + message.utf8CodeUnitCount
        _ = port.send(byteCount: byteCount, to: flow, tag: tag) { output in
            Packet.writeError(code: code, message: message, to: &output)
        }
    }

    /// Queues one small packet that `write` fills in. With no room it is lost, as on a network.
    mutating func send(
        _ slot: Int, byteCount: Int, to flow: Flow, _ write: (inout OutputRawSpan) -> Void
    ) {
        guard let room = unsafe port.makeRoom(byteCount: byteCount) else { return }
        var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
        write(&output)
        let count = unsafe output.finalize(for: room)
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
        unsafe trace(slot, bytes.bytes, to: flow.peer)
        let tag = Tag.send(slot: slot, generation: table.generation(of: slot))
        _ = unsafe port.send(bytes, to: flow, tag: tag)
    }

    // MARK: DATA

    /// Sends what is due and here, so much as one visit may; the rest waits in the run queue or for
    /// the writer.
    mutating func sendDue(_ slot: Int) {
        guard !transferStates[slot].isQueued else { return }
        transferStates[slot].isWaiting = false
        for _ in 0..<ShardLimits.trainsPerVisit {
            guard table.due(slot, now: now).count > 0 else { return }
            let ready = readyCount(slot)
            let due = table.due(slot, now: now)
            guard due.count > 0 else { return }
            guard ready > 0 else { return waitForContent(slot) }
            let count = min(due.count, ready, batchMax(slot))
            let messageCount = transferStates[slot].isUnsegmented ? count : 1
            guard port.outbox.hasRoom(messages: messageCount, segments: count) else { break }
            sendBatch(slot, first: due.first, count: count)
            table.didSend(slot, count: count, now: now)
        }
        guard table.due(slot, now: now).count > 0 else { return }
        transferStates[slot].isQueued = true
        runQueue.append(slot, from: table)
    }

    private func batchMax(_ slot: Int) -> Int {
        let blockByteCount = table.blksize(of: slot) + Packet.headerByteCount
        let fitting = ShardLimits.trainByteCountMax / blockByteCount
        return min(ShardLimits.segmentsMax, max(1, fitting))
    }

    /// How many blocks from the next one on are here. Tells the table where the content ends as
    /// soon as that is known.
    private mutating func readyCount(_ slot: Int) -> Int {
        guard let transfer = unsafe transferStates[slot].transfer else { return 0 }
        let blksize = UInt64(table.blksize(of: slot))
        // In this order: what was written before the end is seen with it.
        let isFinished = unsafe transfer._withUnsafeGuaranteedRef { $0.isWritingFinished }
        let written = unsafe transfer._withUnsafeGuaranteedRef { $0.writtenByteCount }
        transferStates[slot].seenByteCount = written
        var end = written / blksize
        if isFinished {
            // A file that fills its blocks exactly ends with an empty one (RFC 1350 §6).
            end += 1
            table.setLastBlock(slot, end)
        }
        return Int(end - (table.due(slot, now: now).first - 1))
    }

    private mutating func waitForContent(_ slot: Int) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        unsafe transfer._withUnsafeGuaranteedRef { $0.leaveWord() }
        transferStates[slot].isWaiting = true
        if transferStates[slot].dryAt == 0 { transferStates[slot].dryAt = now }
        if readyCount(slot) > 0 { sendDue(slot) }
    }

    private mutating func sendBatch(_ slot: Int, first: UInt64, count: Int) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        transferStates[slot].dryAt = 0
        let ring = unsafe transfer._withUnsafeGuaranteedRef { unsafe $0.ring }
        let blksize = table.blksize(of: slot)
        let byteCount = transferStates[slot].seenByteCount
        var gather = unsafe BlockGather(
            ring: ring, byteCount: byteCount, blksize: blksize,
            rollover: table.rollover(of: slot), headers: headers.start)
        let batch = GSOBatch(
            first: first, count: count, isSegmented: !transferStates[slot].isUnsegmented)
        let departure = port.send(
            batch, &gather, to: table.flow(of: slot), slot: slot,
            generation: table.generation(of: slot))
        assert(departure.blockCount == count, "what is ready is in the ring")
        guard transferStates[slot].isTraced else { return }
        for block in first..<(first + UInt64(count)) { traceData(slot, block, of: byteCount) }
    }

    /// The server has got more: the writer may use that part of the ring again, once it is worth
    /// it.
    mutating func noteAcknowledged(_ slot: Int) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        let acked = table.ackedBlock(of: slot) * UInt64(table.blksize(of: slot))
        let byteCount = min(acked, transferStates[slot].seenByteCount)
        transferStates[slot].byteCount = byteCount
        let progress = progress(slot)
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            transfer.noteProgress(progress)
            let isWorthIt =
                byteCount - transferStates[slot].shownByteCount >= UInt64(transfer.capacity / 4)
                || byteCount == transferStates[slot].seenByteCount
            guard isWorthIt else { return }
            transferStates[slot].shownByteCount = byteCount
            transfer.publishConsumed(byteCount)
        }
    }

    /// Bytes of content that are here, or with the server. What is sent lies in the ring as it goes
    /// over, seals and all.
    func progress(_ slot: Int) -> UInt64 {
        guard transferStates[slot].isSealed, !table.isReceiver(slot) else {
            return transferStates[slot].byteCount
        }
        let byteCount = transferStates[slot].byteCount
        let seals = table.ackedBlock(of: slot) * UInt64(transferStates[slot].sealByteCount)
        return byteCount - min(byteCount, seals)
    }

    // MARK: Trace

    /// Prints a received packet, whatever its sender.
    mutating func trace(_ slot: Int, _ bytes: RawSpan, from peer: Endpoint) {
        if transferStates[slot].isTraced {
            trace(slot, bytes, bytes.byteCount, peer, isOutgoing: false)
        }
    }

    private mutating func trace(_ slot: Int, _ bytes: RawSpan, to peer: Endpoint) {
        if transferStates[slot].isTraced {
            trace(slot, bytes, bytes.byteCount, peer, isOutgoing: true)
        }
    }

    /// Shows one block of a batch, which is a packet on the network.
    private mutating func traceData(_ slot: Int, _ block: UInt64, of byteCount: UInt64) {
        let blksize = UInt64(table.blksize(of: slot))
        let payload = min(blksize, byteCount - min((block - 1) * blksize, byteCount))
        let wire = BlockNumber(block, rollover: table.rollover(of: slot)).rawValue
        let header: InlineArray<4, UInt8> = [
            0, UInt8(Opcode.data.rawValue), UInt8(wire >> 8), UInt8(wire & 0xFF),
        ]
        unsafe trace(
            slot, header.span.bytes, Packet.headerByteCount + Int(payload),
            table.flow(of: slot).peer, isOutgoing: true)
    }

    private mutating func trace(
        _ slot: Int, _ bytes: RawSpan, _ byteCount: Int, _ peer: Endpoint, isOutgoing: Bool
    ) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        let port = port.sockets[Int(table.flow(of: slot).socket)].port
        let kept = min(bytes.byteCount, TracedPacket.byteCountMax)
        let packet = TracedPacket(
            isOutgoing: isOutgoing, port: port, peer: peer,
            bytes: (0..<kept).map { bytes.byte(at: $0) }, byteCount: byteCount)
        unsafe transfer._withUnsafeGuaranteedRef { $0.request.trace?(packet) }
    }
}
