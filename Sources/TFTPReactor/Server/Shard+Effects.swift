internal import CLinux
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPSeal
internal import TFTPStore
internal import TFTPWire

/// Does what the table asks for.
extension Shard {
    mutating func perform(_ effect: TransferTable.Effect, _ slot: Int) {
        switch effect {
        case .none: break
        case .send: sendDue(slot)
        case .ack(let block): sendAck(slot, block)
        case .oack: sendOACK(slot)
        case .end(let outcome): end(slot, outcome)
        case .fail(let code):
            sendError(slot, code, code == .illegalOperation ? "Malformed packet" : "Server busy")
            end(slot, .failed, errorCode: code)
        case .request, .take, .takeAndAck, .takeLast:
            assertionFailure("a server sends no request, and payload is taken where it arrives")
        }
    }

    // MARK: The end of a transfer

    mutating func end(_ slot: Int, _ outcome: Outcome, errorCode: ErrorCode = .notDefined) {
        let wasRecorded = table.isDallying(slot)
        if !wasRecorded && outcome != .ghost { record(slot, outcome, errorCode: errorCode) }
        release(slot)
    }

    func record(_ slot: Int, _ outcome: Outcome, errorCode: ErrorCode = .notDefined) {
        let isDone = outcome == .done || outcome == .doneUnacknowledged
        link.counters.add(isDone ? .transfersDone : .transfersFailed)
        let summary = table.summary(of: slot, now: now)
        var record = TransferRecord(refused: summary.flow, isUpload: summary.isReceiver)
        record.outcome = outcome
        record.errorCode = errorCode
        record.blksize = summary.blksize
        record.windowsize = summary.windowsize
        record.timeoutSeconds = summary.timeoutSeconds
        record.milliseconds = summary.milliseconds
        record.retransmissionCount = summary.retransmissionCount
        let subject = table.subject(of: slot)
        if table.isOpening(slot) {
            if subject != Shard.noPending {
                record.name = unsafe RecordName(link.pendings[Int(subject)].name.bytes)
            }
        } else if subject != Shard.noPending {
            let entry = contents[subject]
            record.mode = entry.mode
            record.options = entry.options
            record.fingerprint = entry.fingerprint
            record.name = entry.name
            record.byteCount = transferredByteCount(summary, entry)
        }
        put(record)
    }

    private func transferredByteCount(
        _ summary: TransferSummary, _ entry: ContentTable.Entry
    ) -> UInt64 {
        if entry.isUpload { return uploads.receivedByteCount(entry.upload) }
        let acked = summary.blocksAcked * UInt64(summary.blksize)
        guard entry.mode == .octet else {
            // What went over the wire: the last block is a short one.
            let missing = UInt64(summary.blksize) - UInt64(entry.lastByteCount)
            return summary.isLastAcked ? acked - missing : acked
        }
        let payload = min(acked, entry.partEnd - entry.partBegin)
        guard entry.isSealed else { return payload }
        return payload - min(payload, summary.blocksAcked * UInt64(PacketSeal.byteCount))
    }

    func put(_ record: TransferRecord) {
        if !link.records.put(record) { link.counters.add(.recordsDropped) }
    }

    /// Gives back everything that `slot` holds.
    mutating func release(_ slot: Int) {
        if table.isDallying(slot) { dallyingCount -= 1 }
        let subject = table.subject(of: slot)
        if subject != Shard.noPending {
            if table.isOpening(slot) {
                giveUpOpening(slot, pending: subject)
            } else {
                releaseSubject(subject)
            }
        }
        if !seals.isEmpty { seals.release(slot) }
        table.release(slot)
        link.noteActive(table.activeCount - dallyingCount)
    }

    /// While the store looks for the name, the place in `pendings` is given back with its answer; a handler that was asked
    /// hears that it need not go on.
    private mutating func giveUpOpening(_ slot: Int, pending: UInt32) {
        let mayBeAsked = mayAskHandler(table.isReceiver(slot) ? .wrq : .rrq)
        guard mayBeAsked || configuration.opensSeals else { return }
        tellStore(.giveUp(pending: pending))
    }

    private mutating func releaseSubject(_ subject: UInt32) {
        if contents[subject].isUpload {
            abandonUpload(contents[subject].upload)
        } else {
            letGo(contents[subject].image, isSupplied: contents[subject].isSupplied)
        }
        contents.release(subject)
    }

    // MARK: Small packets

    mutating func sendAck(_ slot: Int, _ block: UInt64) {
        guard !isSealed(slot) else { return sendSealedAck(slot, block) }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        sendPacket(
            byteCount: Packet.ackByteCount, to: table.flow(of: slot), userData: tag(slot)
        ) { output in
            Packet.writeAck(block: number, to: &output)
        }
    }

    private mutating func sendOACK(_ slot: Int) {
        guard !isSealed(slot) else { return sendSealedOACK(slot) }
        let options = contents[table.subject(of: slot)].options
        sendPacket(
            byteCount: Packet.oackByteCountMax, to: table.flow(of: slot), userData: tag(slot)
        ) { output in
            Packet.writeOACK(options, to: &output)
        }
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: StaticString) {
        guard !isSealed(slot) else { return sendSealedError(slot, code, message) }
        sendError(to: table.flow(of: slot), code, message, userData: tag(slot))
    }

    mutating func sendError(
        to flow: Flow, _ code: ErrorCode, _ message: StaticString, userData: UInt64
    ) {
        let byteCount = Packet.errorByteCountMin + message.utf8CodeUnitCount
        sendPacket(byteCount: byteCount, to: flow, userData: userData) { output in
            Packet.writeError(code: code, message: message, to: &output)
        }
    }

    /// An ERROR to a sender that no transfer belongs to.
    mutating func sendErrorToStranger(_ flow: Flow, _ code: ErrorCode, _ message: StaticString) {
        guard strayErrors.take(now: now) else { return }
        sendError(to: flow, code, message, userData: Tag.sendToStranger)
    }

    func tag(_ slot: Int) -> UInt64 {
        Tag.send(slot: slot, generation: table.generation(of: slot))
    }

    /// Queues one small packet that `write` fills in. With no room it is lost, as on a network.
    mutating func sendPacket(
        byteCount: Int, to flow: Flow, userData: UInt64, _ write: (inout OutputRawSpan) -> Void
    ) {
        let isQueued = port.send(byteCount: byteCount, to: flow, tag: userData, write)
        link.counters.add(isQueued ? .messagesSent : .sendsBlocked)
    }

    /// Queues the next `count` vectors of the outbox as one message.
    ///
    /// - Parameter segmentByteCount: what the kernel is to cut it into; 0: it is one datagram.
    mutating func sendBlocks(_ slot: Int, parts count: Int, segmentByteCount: Int) {
        let generation = table.generation(of: slot)
        let tag =
            segmentByteCount > 0
            ? Tag.batch(slot: slot, generation: generation)
            : Tag.send(slot: slot, generation: generation)
        let isQueued = port.send(
            parts: count, segmentByteCount: segmentByteCount, to: table.flow(of: slot), tag: tag)
        link.counters.add(isQueued ? .messagesSent : .sendsBlocked)
    }
}
