internal import TFTPCore
internal import TFTPWire

/// Small packets out: requests, ACKs, ERRORs.
extension TransferClient {
    mutating func sendRequest(_ slot: Int) {
        guard !states[slot].isSealed else { return sendSealedRequest(slot) }
        sendPlainRequest(slot, asksWithoutOptions(slot) ? Options() : states[slot].asked)
    }

    @inline(never)
    private mutating func sendPlainRequest(_ slot: Int, _ options: Options) {
        guard let request = requests[slot] else { return }
        let byteCount = Packet.requestByteCountMax(filenameByteCount: request.name.count)
        send(slot, byteCount: byteCount) { output in
            unsafe Packet.writeRequest(
                request.opcode, filename: request.name.span.bytes, mode: request.mode,
                options: options, to: &output)
        }
    }

    /// Some servers do not answer a request with options at all. When a good part of the patience
    /// has passed without any answer, the request is repeated without; an OACK to an earlier one is
    /// accepted all the same. A part of a file cannot be requested without options.
    private func asksWithoutOptions(_ slot: Int) -> Bool {
        guard !states[slot].asked.isPartial, !makes(.alwaysAsksOptions) else { return false }
        let milliseconds = (now - min(states[slot].startedAt, now)) / 1_000_000
        let patience = UInt64(states[slot].patienceMilliseconds)
        return milliseconds * 100 > patience * ClientLimits.optionsPatiencePercent
    }

    mutating func sendACK(_ slot: Int, _ block: UInt64) {
        guard !states[slot].isSealed else { return sendSealedACK(slot, block) }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        send(slot, byteCount: Packet.ackByteCount) { output in
            Packet.writeAck(block: number, to: &output)
        }
    }

    /// An ACK that does not end a window: the answer to an OACK, or a repeat.
    mutating func repeatACK(_ slot: Int, _ block: UInt64) {
        guard !states[slot].isWaiting else { return }
        doubtRollover(slot)
        // The first ACK 0 and the last block's are none.
        let isFirst = block == 0 && states[slot].repeatCount == 0
        if !isFirst && !table.isDallying(slot) { states[slot].repeatCount += 1 }
        sendACK(slot, block)
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: StaticString) {
        guard !states[slot].isSealed else { return sendSealedError(slot, code, message) }
        sendError(slot, code, message.rawSpan)
    }

    mutating func sendError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        send(slot, byteCount: Packet.errorByteCountMin + message.byteCount) { output in
            Packet.writeError(code: code, message: message, to: &output)
        }
    }

    /// Orders one small packet that `write` fills in.
    mutating func send(_ slot: Int, byteCount: Int, _ write: (inout OutputRawSpan) -> Void) {
        effects.append(
            byteCount: byteCount, to: table.flow(of: slot), slot: UInt32(slot),
            generation: table.generation(of: slot), write)
    }
}
