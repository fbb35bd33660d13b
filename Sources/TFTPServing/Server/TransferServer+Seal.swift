internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// Sealed transfers: which requests ask for one, and what of their packets is taken for true.
extension TransferServer {
    func isSealed(_ slot: Int) -> Bool { seals.contains(slot) }

    /// Whether only the client itself can end the transfer, and not a sender of requests with a
    /// forged source address.
    func isProtected(_ slot: Int) -> Bool {
        guard !makes(.forgetsSeal) else { return false }
        guard !isSealed(slot) else { return !table.isDallying(slot) }
        return isSealedQuestion(slot)
    }

    /// Whether a sealed transfer may be a replay of an older request of the client, and so must not
    /// keep out the client's own request. The one that the client continues outlives the other.
    func mayBeReplayed(_ slot: Int) -> Bool {
        !table.isConfirmed(slot) && !table.isRivalled(slot) && !makes(.believesReplay)
    }

    // MARK: Requests

    /// Whether a request asks for a sealed transfer. Throws if the policy requires a seal and the
    /// request has none.
    func hasSeal(
        _ request: Request, of bytes: RawSpan, from address: Address
    ) throws(Refusal) -> Bool {
        guard configuration.opensSeals, Options.sealValue(in: request.options) != nil else {
            guard !policies.isSealed(address) else { throw TransferServer.sealIsMissing }
            return false
        }
        guard bytes.byteCount <= SealedPending.byteCountMax else {
            throw Refusal(.illegalOperation, "Sealed request too long", .invalidOption)
        }
        return true
    }

    static var sealIsMissing: Refusal {
        Refusal(.accessViolation, "Sealed transfers only: request with a seal key", .sealRequired)
    }

    /// Whether a handler is asked about a sealed request of `slot`. What may be granted has to be
    /// known before it answers, so the driver notes the path with the question.
    package func isSealedQuestion(_ slot: Int) -> Bool {
        let place = table.subject(of: slot)
        guard table.isOpening(slot), place != TransferServer.noPending else { return false }
        // The place is the slot's until the store answers.
        return pendings[place].isSealed
    }

    /// What a sealed request may be granted, by what is known of the path.
    func settleSealed(_ slot: Int, _ place: UInt32) {
        unsafe memory.sealedPendings[Int(place)].limits = sealedLimits(slot, place)
    }

    private func sealedLimits(_ slot: Int, _ place: UInt32) -> GrantLimits {
        let isUpload = table.isReceiver(slot)
        return grantLimits(
            slot, pendings[place].policy, isUpload: isUpload, isSupplied: !isUpload)
    }

    /// Keeps the packet of a sealed request with what is pending of it.
    func keepSealed(_ packet: RawSpan, _ slot: Int, _ place: UInt32) {
        var sealed = SealedPending(limits: sealedLimits(slot, place))
        sealed.byteCount = packet.byteCount
        for index in packet.byteOffsets { sealed.packet[index] = packet.byte(at: index) }
        unsafe (memory.sealedPendings + Int(place)).initialize(to: sealed)
    }

    /// Puts what was inside of a sealed request in place of what was outside.
    func unseal(_ place: UInt32, _ slot: Int) {
        if isSealed(slot) { seals.unseal(&pendings[place], slot) }
    }

    // MARK: Packets in

    /// Whether the client itself has acknowledged that. An ACK that means no block is left alone.
    func isAuthentic(ack block: BlockNumber, _ bytes: RawSpan, _ slot: Int) -> Bool {
        guard isSealed(slot) else { return true }
        guard let number = table.number(ofAck: block, slot) else { return false }
        let tag = bytes.extracting(droppingFirst: Packet.ackByteCount)
        guard seals.isAuthentic(ack: number, tag: tag, slot) else {
            counters.add(.datagramsForged)
            return false
        }
        return true
    }

    mutating func stepSealedData(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        guard let number = table.number(ofData: block, slot) else { return }
        guard payload.byteCount <= table.blksize(of: slot),
            let content = unsafe seals.open(payload, block: number, slot)
        else {
            return counters.add(.datagramsForged)
        }
        let sealByteCount = payload.byteCount - content.count
        unsafe stepData(
            slot, block: block, payload: content.bytes, sealByteCount: sealByteCount)
    }

    mutating func stepSealedError(_ slot: Int, _ message: RawSpan) {
        guard let (code, text) = unsafe seals.open(errorMessage: message, slot) else {
            return counters.add(.datagramsForged)
        }
        unsafe stepError(slot, code, text.bytes)
    }

    // MARK: Packets out

    mutating func sendSealedAck(_ slot: Int, _ block: UInt64) {
        let byteCount = Packet.ackByteCount + SealTable.tagByteCount
        guard mayAnswer(slot, byteCount: byteCount) else { return }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        let seal = seals.tag(ack: block, slot)
        sendPacket(slot, byteCount: byteCount) { output in
            Packet.writeAck(block: number, to: &output)
            for index in seal.indices { output.append(seal[index]) }
        }
    }

    mutating func sendSealedOACK(_ slot: Int) {
        let oack = unsafe seals.oack(of: slot)
        let byteCount = oack.count
        guard mayAnswer(slot, byteCount: byteCount) else { return }
        sendPacket(slot, byteCount: byteCount) { output in
            for index in oack.indices { output.append(unsafe oack[index]) }
        }
    }

    mutating func sendSealedError(_ slot: Int, _ code: ErrorCode, _ reason: StaticString) {
        // What was granted may fail before its first byte. Without the OACK the client has no keys
        // to open that with.
        if table.isOpening(slot), unsafe !seals.oack(of: slot).isEmpty { sendSealedOACK(slot) }
        let message = unsafe seals.errorMessage(code, reason, slot)
        guard unsafe !message.isEmpty else { return }
        let byteCount = Packet.errorByteCountMin + message.count
        guard mayAnswer(slot, byteCount: byteCount, cost: ReplyBudget.errorCost) else { return }
        sendPacket(slot, byteCount: byteCount) { output in
            unsafe Packet.writeError(code: code, message: message.bytes, to: &output)
        }
    }
}
