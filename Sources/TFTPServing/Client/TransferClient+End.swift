package import TFTPCore
package import TFTPWire

/// How transfers end.
extension TransferClient {
    /// The caller ends the transfer, with ERROR `code` to the server.
    package mutating func cancel(_ slot: Int, _ code: ErrorCode, now: UInt64) {
        self.now = now
        fail(slot, code, code == .diskFull ? "Disk full" : "Cancelled", .cancelled)
    }

    /// The client is to end, and with it this transfer.
    package mutating func cutOff(_ slot: Int, _ failure: ClientFailure, now: UInt64) {
        self.now = now
        guard !table.isDallying(slot) else { return release(slot) }
        fail(slot, .notDefined, "Client is closing", failure)
    }

    /// Ends the transfer of `slot`, tells the server with an ERROR, and gives everything back.
    @inline(never)
    mutating func fail(
        _ slot: Int, _ code: ErrorCode, _ message: StaticString, _ failure: ClientFailure
    ) {
        sendError(slot, code, message)
        end(slot, .failure(failure))
    }

    @inline(never)
    mutating func end(_ slot: Int, _ result: Result<ClientSummary, ClientFailure>) {
        part(slot, result)
        release(slot)
    }

    @inline(never)
    mutating func end(_ slot: Int, _ outcome: Outcome) {
        if table.isDallying(slot) { return release(slot) }
        switch outcome {
        case .done: end(slot, .success(summary(slot)))
        case .doneUnacknowledged: end(slot, .failure(.unacknowledged))
        default:
            let milliseconds = UInt64(states[slot].patienceMilliseconds)
            guard !table.isRequesting(slot) else {
                let doubt = states[slot].isSealed ? doubt(slot) : nil
                return end(slot, .failure(doubt ?? .noAnswer(milliseconds: milliseconds)))
            }
            let failure = ClientFailure.silence(
                milliseconds: milliseconds, byteCount: progress(of: slot))
            fail(slot, .notDefined, "Timed out", failure)
        }
    }

    /// Tells how the transfer ended. What the table still does with the slot needs no content any
    /// more.
    @inline(never)
    mutating func part(_ slot: Int, _ result: Result<ClientSummary, ClientFailure>) {
        guard !states[slot].hasEnded else { return }
        states[slot].hasEnded = true
        self.result = result
        effects.append(.end(slot: slot))
    }

    @inline(never)
    mutating func release(_ slot: Int) {
        states[slot].isQueued = false
        requests[slot] = nil
        let socket = table.flow(of: slot).socket
        slotOfSocket[Int(socket)] = -1
        table.release(slot)
        if !makes(.keepsSockets) { effects.append(.release(slot: slot, socket: socket)) }
    }

    func summary(_ slot: Int) -> ClientSummary {
        let summary = table.summary(of: slot, now: now)
        return ClientSummary(
            byteCount: progress(of: slot), nanoseconds: now - states[slot].startedAt,
            blksize: summary.blksize, windowsize: summary.windowsize,
            options: states[slot].granted,
            retransmissionCount: states[slot].repeatCount + UInt64(summary.retransmissionCount),
            peer: summary.flow.peer)
    }

    // MARK: Errors and reports

    mutating func stepError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        guard !table.isDallying(slot) else { return release(slot) }
        // Some old servers refuse every request with options: retry once without. A part of a file
        // cannot be requested without options.
        let isRefusal = code == .optionNegotiation || code == .illegalOperation
        let asked = states[slot].asked
        if table.isRequesting(slot), isRefusal, !asked.isEmpty, !asked.isPartial,
            !makes(.neverStartsAgain)
        {
            states[slot].hasEnded = true
            effects.append(.startAgain(slot: slot))
            return release(slot)
        }
        refuse(slot, code, message)
    }

    /// The server has refused the request, or ended the transfer.
    @inline(never)
    mutating func refuse(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        end(slot, .failure(.refused(code, message: String(printing: message))))
    }

    /// The network reports that nothing listens at `destination` (ICMP port unreachable). To forge
    /// that, an attacker has to know the server's TID and our port, as for an ERROR; a sealed
    /// transfer ignores both. A put that has sent everything has not failed: the server may have
    /// received all of it.
    package mutating func stepUnreachable(_ slot: Int, _ destination: Endpoint, now: UInt64) {
        self.now = now
        guard table.flow(of: slot).peer == destination, !table.isDallying(slot) else { return }
        states[slot].isRefused = true
        if states[slot].isSealed {
            noteUnreachable(slot)
        } else if table.isRequesting(slot) {
            end(slot, .failure(.unreachable(byteCount: nil)))
        } else if table.isReceiver(slot) {
            end(slot, .failure(.unreachable(byteCount: progress(of: slot))))
        }
    }

    /// The kernel refused to send something of `slot`.
    package mutating func stepSendFailed(
        _ slot: Int, generation: UInt32, _ failure: SendFailure, now: UInt64
    ) {
        guard slot < table.capacity, table.isCurrent(slot, generation: generation) else { return }
        self.now = now
        switch failure {
        // If the peer itself is unreachable, the next one would fail as well, and so on without a
        // pause: that is left to the time-out.
        case .byEarlierReport:
            if !states[slot].isRefused { sendAgain(slot) }
        case .segmented: perform(table.stepSendFailed(slot, now: now), slot)
        // No use in waiting for an answer. Later it may be passing.
        case .noWay(let errno):
            if table.isRequesting(slot) { end(slot, .failure(.system(errno))) }
        }
    }

    /// What the transfer has sent last.
    private mutating func sendAgain(_ slot: Int) {
        if table.isRequesting(slot) {
            sendRequest(slot)
        } else if !table.isReceiver(slot) {
            perform(table.stepSendFailed(slot, now: now), slot)
        } else if !states[slot].isWaiting {
            sendACK(slot, table.receivedBlock(of: slot))
        }
    }
}

extension String {
    /// What a peer sent, without anything that a terminal would obey.
    init(printing bytes: RawSpan) {
        var scalars = String.UnicodeScalarView()
        for offset in bytes.byteOffsets {
            let byte = bytes.byte(at: offset)
            scalars.append(Unicode.Scalar((0x20..<0x7F).contains(byte) ? byte : 0x3F))
        }
        self.init(scalars)
    }
}
