package import TFTPCore
internal import TFTPSeal
internal import TFTPWire

/// Datagrams in: whose they are and what they say.
extension TransferClient {
    /// One datagram has come through `flow`'s socket. After the last one of those that have come
    /// together follows `stepArrivalEnd`.
    package mutating func stepDatagram(_ bytes: RawSpan, from flow: Flow, now: UInt64) {
        self.now = now
        guard let slot = slot(ofSocket: flow.socket) else { return }
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            // A running transfer is left alone.
            return
        }
        guard !states[slot].isSealed else { return stepSealed(packet, bytes, slot, flow) }
        guard table.flow(of: slot).peer == flow.peer || isAnswer(packet, to: slot, from: flow.peer)
        else { return stepStranger(packet, flow) }
        switch packet {
        case .data(let block, let payload): stepData(slot, block, payload)
        case .ack(let block): stepACK(slot, block)
        case .oack(let options): stepOACK(slot, Options(parsing: options))
        case .error(let code, let message): stepError(slot, code, message)
        case .request: break
        }
    }

    /// Whether this is the first answer to the request, from the TID that the transfer has from
    /// then on (RFC 1350 §4).
    private mutating func isAnswer(
        _ packet: borrowing Packet, to slot: Int, from peer: Endpoint
    ) -> Bool {
        guard table.isRequesting(slot),
            peer.address == table.flow(of: slot).peer.address || makes(.acceptsStranger)
        else { return false }
        switch copy packet {
        case .oack, .error: break
        case .data(let block, _):
            guard table.isReceiver(slot), block.rawValue == 1 else { return false }
        case .ack(let block):
            guard !table.isReceiver(slot), block.rawValue == 0 else { return false }
        case .request: return false
        }
        table.adoptPeerPort(slot, peer.port)
        return true
    }

    /// A packet from another host or port than the transfer's (RFC 1350 §4). An ERROR is never
    /// answered.
    mutating func stepStranger(_ packet: borrowing Packet, _ flow: Flow) {
        if case .error = copy packet { return }
        guard strayErrors.take(now: now) else { return }
        let message: StaticString = "Unknown transfer ID"
        effects.append(
            byteCount: Packet.errorByteCountMin + message.utf8CodeUnitCount, to: flow, slot: nil,
            generation: 0
        ) { output in
            Packet.writeError(code: .unknownTransferID, message: message, to: &output)
        }
    }

    // MARK: Answers

    mutating func stepOACK(_ slot: Int, _ oack: Options) {
        // Again, because our ACK 0 was lost; the table knows when it is only late.
        guard table.isRequesting(slot) else {
            let effect = table.stepOACK(slot, grant: Grant(), byteCount: nil, now: now)
            return perform(effect, slot)
        }
        guard let grant = settle(slot, oack) else { return }
        if table.isReceiver(slot), !noteSize(slot, grant) { return }
        begin(slot, grant)
        perform(table.stepOACK(slot, grant: grant, byteCount: nil, now: now), slot)
    }

    /// The grant that follows from the server's options: the defaults if it answers without an
    /// OACK. nil if they are unacceptable; then the transfer has ended.
    mutating func settle(_ slot: Int, _ oack: Options) -> Grant? {
        do throws(NegotiationError) {
            let grant = try Options.accept(oack: oack, asked: states[slot].asked)
            if states[slot].isSealed, Int(grant.blksize) < SealedRequest.blksizeMin {
                throw .outOfRange(.blksize)
            }
            return grant
        } catch {
            let message: StaticString =
                if case .ignored = error {
                    "Offset and length are needed"
                } else {
                    "Option was not asked for"
                }
            fail(slot, .optionNegotiation, message, .negotiation(error))
            return nil
        }
    }

    /// Keeps what the server says of the size. False when that is too much, and the transfer has
    /// ended.
    private mutating func noteSize(_ slot: Int, _ grant: Grant) -> Bool {
        // A text has another size here than there, and some servers tell this one and some that.
        guard let byteCount = grant.partByteCount, !states[slot].isText else { return true }
        let byteCountMax = states[slot].byteCountMax
        guard byteCount <= byteCountMax else {
            fail(slot, .diskFull, "File too large", .tooLarge(byteCountMax: byteCountMax))
            return false
        }
        states[slot].announced = byteCount
        effects.append(.announce(slot: slot, byteCount: byteCount))
        return true
    }

    /// The options are settled: the first block may come, or go.
    mutating func begin(_ slot: Int, _ grant: Grant) {
        states[slot].granted = grant.options
        // A block never lies across the ring's end. What is sent without a seal may.
        let isReceiver = table.isReceiver(slot)
        if isReceiver || states[slot].isSealed {
            let blksize = Int(grant.blksize) - (isReceiver ? states[slot].sealByteCount : 0)
            states[slot].capacity -= states[slot].capacity % blksize
        }
        if isReceiver {
            states[slot].ahead = aheadMemory.noneAhead(slot, windowsize: grant.windowsize)
        }
        effects.append(.begin(slot: slot, capacity: states[slot].capacity))
    }

    mutating func stepACK(_ slot: Int, _ block: BlockNumber) {
        guard !table.isReceiver(slot) else { return }
        // ACK 0 instead of an OACK: the server knows no options.
        if table.isRequesting(slot) && block.rawValue == 0 { begin(slot, Grant()) }
        if block.rawValue == 0 && states[slot].zeroDoubt.hasTried {
            return fail(slot, .notDefined, "Block 0 or 1 after 65535?", .unclearRollover)
        }
        let before = table.ackedBlock(of: slot)
        let effect = table.stepAck(slot, block: block, now: now)
        if table.ackedBlock(of: slot) > before {
            noteAcknowledged(slot)
        } else if block.rawValue == 0xFFFF && isAtRollover(slot) {
            states[slot].zeroDoubt.stepRepeatedAck()
            if effect == .send { doubtZero(slot) }
        }
        perform(effect, slot)
    }
}
