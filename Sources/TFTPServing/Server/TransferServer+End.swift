internal import TFTPCore
internal import TFTPMetrics
internal import TFTPSeal
internal import TFTPStore
internal import TFTPWire

/// The end of a transfer, and the small packets.
extension TransferServer {
    // MARK: The end of a transfer

    mutating func end(
        _ slot: Int, _ outcome: Outcome, errorCode: ErrorCode = .notDefined,
        because reason: RefusalReason = .none
    ) {
        let wasRecorded = table.isDallying(slot)
        if !wasRecorded && outcome != .ghost && isWorthARecord(slot, outcome) {
            record(slot, outcome, errorCode: errorCode, because: reason)
        }
        if makes(.sendsToStranger) {
            var stranger = table.flow(of: slot)
            stranger = Flow(
                peer: Endpoint(address: Address(ipv4: 0x0A09_0909), port: 9),
                local: stranger.local, socket: stranger.socket)
            sendError(to: stranger, .unknownTransferID, "Unknown transfer ID")
        }
        release(slot)
    }

    mutating func record(
        _ slot: Int, _ outcome: Outcome, errorCode: ErrorCode = .notDefined,
        because reason: RefusalReason = .none
    ) {
        let isDone = outcome == .done || outcome == .doneUnacknowledged
        counters.add(isDone ? .transfersDone : .transfersFailed)
        var record = describe(slot)
        record.outcome = outcome
        record.errorCode = errorCode
        record.reason = reason
        effects.append(record)
    }

    /// A transfer has begun, `nanoseconds` after its request.
    mutating func noteStart(_ slot: Int, waited nanoseconds: UInt64) {
        counters.add(.transfersStarted)
        effects.append(.noteStart(waitedNanoseconds: nanoseconds))
        guard configuration.reportsStarts else { return }
        var record = describe(slot)
        record.isStart = true
        record.waitedNanoseconds = nanoseconds
        effects.append(record)
    }

    /// What is known of a transfer, but for how it ended.
    private func describe(_ slot: Int) -> TransferRecord {
        let summary = table.summary(of: slot, now: now)
        var record = TransferRecord(refused: summary.flow, isUpload: summary.isReceiver)
        record.blksize = summary.blksize
        record.windowsize = summary.windowsize
        record.milliseconds = summary.milliseconds
        record.retransmissionCount = summary.retransmissionCount
        let subject = table.subject(of: slot)
        if table.isOpening(slot) {
            if subject != TransferServer.noPending {
                record.name = RecordName(pendings[subject].name.bytes)
            }
        } else if subject != TransferServer.noPending {
            // Not the entry as a whole: that is 400 bytes.
            record.mode = contents[subject].mode
            record.asked = contents[subject].asked
            record.options = contents[subject].options
            record.fingerprint = contents[subject].fingerprint
            record.name = contents[subject].name
            record.byteCount = transferredByteCount(summary, subject)
        }
        return record
    }

    private func transferredByteCount(
        _ summary: TransferSummary, _ subject: UInt32
    ) -> UInt64 {
        guard !contents[subject].isUpload else {
            return uploads.receivedByteCount(contents[subject].upload)
        }
        let acked = summary.blocksAcked * UInt64(summary.blksize)
        guard contents[subject].mode == .octet else {
            // What went over the wire: the last block is a short one.
            let missing = UInt64(summary.blksize) - UInt64(contents[subject].lastByteCount)
            return summary.isLastAcked ? acked - missing : acked
        }
        let payload = min(acked, contents[subject].partEnd - contents[subject].partBegin)
        guard contents[subject].isSealed else { return payload }
        return payload - min(payload, summary.blocksAcked * UInt64(PacketSeal.byteCount))
    }

    /// Gives back everything that `slot` holds.
    mutating func release(_ slot: Int) {
        if table.isDallying(slot) { life.dallyingCount -= 1 }
        let subject = table.subject(of: slot)
        if subject != TransferServer.noPending {
            if table.isOpening(slot) {
                giveUpOpening(slot, pending: subject)
            } else {
                releaseSubject(subject)
            }
        }
        if !seals.isEmpty { seals.release(slot) }
        unproven.remove(slot)
        cancelReservation(slot)
        if limits.isActive { limits.end(table.flow(of: slot).peer.address) }
        table.release(slot)
    }

    /// While the store looks for the name, the place in `pendings` is freed with its answer; a
    /// handler is cancelled.
    private mutating func giveUpOpening(_ slot: Int, pending: UInt32) {
        let mayBeAsked = configuration.mayAskHandler(isUpload: table.isReceiver(slot))
        guard mayBeAsked || configuration.opensSeals else { return }
        tellStore(.giveUp(pending: pending))
    }

    private mutating func releaseSubject(_ subject: UInt32) {
        if contents[subject].isUpload {
            if !makes(.keepsUploads) { abandonUpload(contents[subject].upload) }
        } else if !makes(.keepsImages) {
            effects.append(
                .releaseImage(
                    contents[subject].image, isSupplied: contents[subject].isSupplied))
        }
        if !makes(.keepsContents) || subject > 0 { contents.release(subject) }
    }

    /// The server stops: ends `slot`, with an ERROR to a client that is still being served.
    package mutating func cutOff(_ slot: Int, now: UInt64) {
        self.now = now
        guard !table.isFree(slot) else { return }
        guard !table.isDallying(slot) else { return release(slot) }
        sendError(slot, .notDefined, "Server is shutting down")
        end(slot, .cutOff)
    }

    // MARK: Small packets

    mutating func sendAck(_ slot: Int, _ block: UInt64) {
        guard !isSealed(slot) else { return sendSealedAck(slot, block) }
        guard mayAnswer(slot, byteCount: Packet.ackByteCount) else { return }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        sendPacket(slot, byteCount: Packet.ackByteCount) { output in
            Packet.writeAck(block: number, to: &output)
        }
    }

    mutating func sendOACK(_ slot: Int) {
        guard !isSealed(slot) else { return sendSealedOACK(slot) }
        let options = contents[table.subject(of: slot)].options
        guard mayAnswer(slot, byteCount: 2 + options.byteCount) else { return }
        if makes(.answersFromListener) { return sendOACKFromListener(slot, options) }
        sendPacket(slot, byteCount: Packet.oackByteCountMax) { output in
            Packet.writeOACK(options, to: &output)
        }
    }

    /// A mistake's.
    private mutating func sendOACKFromListener(_ slot: Int, _ options: Options) {
        let flow = table.flow(of: slot)
        let listener = Flow(peer: flow.peer, local: flow.local, socket: 0)
        effects.append(
            byteCount: Packet.oackByteCountMax, to: listener, slot: nil, generation: 0
        ) { output in
            Packet.writeOACK(options, to: &output)
        }
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: StaticString) {
        guard !isSealed(slot) else { return sendSealedError(slot, code, message) }
        let byteCount = Packet.errorByteCountMin + message.utf8CodeUnitCount
        guard mayAnswer(slot, byteCount: byteCount, cost: ReplyBudget.errorCost) else { return }
        sendPacket(slot, byteCount: byteCount) {
            Packet.writeError(code: code, message: message, to: &$0)
        }
    }

    /// An ERROR to a sender that has no transfer.
    mutating func sendError(to flow: Flow, _ code: ErrorCode, _ message: StaticString) {
        let byteCount = Packet.errorByteCountMin + message.utf8CodeUnitCount
        effects.append(byteCount: byteCount, to: flow, slot: nil, generation: 0) {
            Packet.writeError(code: code, message: message, to: &$0)
        }
    }

    /// An ERROR to a sender that no transfer belongs to.
    mutating func sendErrorToStranger(_ flow: Flow, _ code: ErrorCode, _ message: StaticString) {
        guard
            takeErrorBudget(
                flow, requestByteCount: 0, messageByteCount: message.utf8CodeUnitCount)
        else { return }
        sendError(to: flow, code, message)
    }

    /// Queues one small packet of `slot` that `write` fills in.
    mutating func sendPacket(
        _ slot: Int, byteCount: Int, _ write: (inout OutputRawSpan) -> Void
    ) {
        effects.append(
            byteCount: byteCount, to: table.flow(of: slot), slot: UInt32(slot),
            generation: table.generation(of: slot), write)
    }
}
