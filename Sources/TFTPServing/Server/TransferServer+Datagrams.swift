package import TFTPCore
internal import TFTPMetrics
internal import TFTPWire

/// Datagrams in: whose they are and what they say.
extension TransferServer {
    /// One datagram has come from `flow`'s peer.
    package mutating func stepDatagram(_ bytes: RawSpan, from flow: Flow, now: UInt64) {
        self.now = now
        guard isAnswerable(flow) else { return counters.add(.datagramsIgnored) }
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            return stepMalformed(bytes, flow)
        }
        switch packet {
        case .request(let request):
            guard sockets.isListener(flow.socket) else { return stepStray(flow, isError: false) }
            stepRequest(request, of: bytes, flow)
        case .ack(let block):
            guard let slot = table.find(flow) else { return stepStray(flow, isError: false) }
            guard seals.isEmpty || isAuthentic(ack: block, bytes, slot) else { return }
            stepAck(slot, block, nextWindow: bytes.byteCount == 5 ? bytes.byte(at: 4) : 0)
        case .data(let block, let payload):
            guard let slot = table.find(flow) else { return stepStray(flow, isError: false) }
            guard !isSealed(slot) else { return stepSealedData(slot, block, payload) }
            stepData(slot, block: block, payload: payload, sealByteCount: 0)
        case .error(let code, let message):
            guard let slot = table.find(flow) else { return stepStray(flow, isError: true) }
            guard !isSealed(slot) else { return stepSealedError(slot, message) }
            stepError(slot, code, message)
        case .oack:
            // A server is never offered options.
            stepStray(flow, isError: false)
        }
    }

    /// - Parameter nextWindow: the fifth byte of an ACK, the window that Windows asks for; 0 for
    ///   none.
    private mutating func stepAck(_ slot: Int, _ block: BlockNumber, nextWindow: UInt8) {
        let isUnproven = !table.isConfirmed(slot)
        let effect = table.stepAck(slot, block: block, now: now)
        if nextWindow > 0 && hasVariableWindow(slot) {
            table.setNextWindow(of: slot, nextWindow)
        }
        if isUnproven { noteIfProven(slot) }
        if makes(.repeatsOACK) && table.isConfirmed(slot) { sendOACK(slot) }
        if makes(.rewindsEagerly) && effect == .none {
            return perform(table.stepSendFailed(slot, now: now), slot)
        }
        settleRivals()
        perform(effect, slot)
    }

    /// Whether `msftwindow` was granted.
    private func hasVariableWindow(_ slot: Int) -> Bool {
        guard !table.isOpening(slot), !table.isReceiver(slot) else { return false }
        let subject = table.subject(of: slot)
        return subject != TransferServer.noPending && contents[subject].options.msftwindow != nil
    }

    /// Whether a reply to this sender reaches one machine, and not ourselves.
    private func isAnswerable(_ flow: Flow) -> Bool {
        let peer = flow.peer
        guard peer.port != 0 || makes(.answersPortZero), !peer.address.isUnspecified,
            !peer.address.isMulticastOrBroadcast || makes(.answersBroadcast)
        else { return false }
        return !own.contains(peer, local: flow.local) || makes(.answersItself)
    }

    /// A step may have been the progress that settles which of two rivals is the client's.
    mutating func settleRivals() {
        guard let rival = table.takeOutlivedRival() else { return }
        end(rival, table.isConfirmed(rival) ? replacedOutcome(rival) : .ghost)
    }

    mutating func stepError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        let isWrongBlock = code == .unknownTransferID && message.hasPrefix("Wrong block")
        let effect = table.stepError(slot, code: code, isWrongBlock: isWrongBlock)
        guard case .end(let outcome) = effect else { return }
        // A client that knows nothing of the second offer: a duplicate of its request had made it.
        let isGhost = !table.isConfirmed(slot) && table.isRivalled(slot)
        end(slot, isGhost ? .ghost : outcome, errorCode: code)
    }

    /// Not a TFTP packet. A running transfer is left alone, and a stranger is told: at a transfer's
    /// port that it is one (RFC 1350 §4), unless its packet was to be an ERROR.
    private mutating func stepMalformed(_ bytes: RawSpan, _ flow: Flow) {
        counters.add(.datagramsMalformed)
        let isError = bytes.leadingOpcode == .error
        guard table.find(flow) == nil, !isError else { return }
        guard sockets.isListener(flow.socket) else { return stepStray(flow, isError: false) }
        sendErrorToStranger(flow, .illegalOperation, "Malformed packet")
    }

    /// A packet for no transfer (RFC 1350 §4). An ERROR is never answered.
    private mutating func stepStray(_ flow: Flow, isError: Bool) {
        counters.add(.datagramsStray)
        guard !isError || makes(.answersErrors) else { return }
        sendErrorToStranger(flow, .unknownTransferID, "Unknown transfer ID")
    }

    /// The kernel refused to send something of `slot`: what was counted as sent goes again, another
    /// way.
    package mutating func stepSendFailed(_ slot: Int, generation: UInt32, now: UInt64) {
        guard table.isCurrent(slot, generation: generation) else { return }
        self.now = now
        if makes(.failsOnRefusedSend) { return end(slot, .failed) }
        perform(table.stepSendFailed(slot, now: now), slot)
    }
}

extension RawSpan {
    /// Whether the bytes begin with `prefix`.
    func hasPrefix(_ prefix: StaticString) -> Bool {
        let prefix = prefix.rawSpan
        guard byteCount >= prefix.byteCount else { return false }
        for index in prefix.byteOffsets where byte(at: index) != prefix.byte(at: index) {
            return false
        }
        return true
    }
}
