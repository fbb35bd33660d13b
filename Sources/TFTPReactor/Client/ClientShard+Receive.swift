internal import SystemPackage
internal import TFTPCore
internal import TFTPSeal
internal import TFTPServing
internal import TFTPWire

/// Datagrams in: whose they are and what they say.
extension ClientShard {
    @unsafe
    mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        let slot = Int(slotOfSocket[Int(flow.socket)])
        guard slot >= 0, unsafe !arrival.isTruncated else { return }
        let bytes = unsafe arrival.payload.bytes
        var offset = 0
        repeat {
            let end = unsafe arrival.end(ofDatagramAt: offset)
            handle(bytes.extracting(offset..<end), slot, flow)
            offset = end
            // An earlier one of the batch may have ended the transfer.
        } while offset < bytes.byteCount && slotOfSocket[Int(flow.socket)] == Int32(slot)
        if slotOfSocket[Int(flow.socket)] == Int32(slot) { show(slot) }
    }

    private mutating func handle(_ bytes: RawSpan, _ slot: Int, _ flow: Flow) {
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            // A running transfer is left alone.
            return
        }
        trace(slot, bytes, from: flow.peer)
        guard !transferStates[slot].isSealed else { return handleSealed(packet, bytes, slot, flow) }
        guard table.flow(of: slot).peer == flow.peer || isAnswer(packet, to: slot, from: flow.peer)
        else { return handleStranger(packet, flow) }
        switch packet {
        case .data(let block, let payload): handleData(slot, block, payload)
        case .ack(let block): handleACK(slot, block)
        case .oack(let options): handleOACK(slot, Options(parsing: options))
        case .error(let code, let message): handleError(slot, code, message)
        case .request: break
        }
    }

    /// Whether this is the first answer to the request, from the TID that the transfer has from
    /// then on (RFC 1350 §4).
    private mutating func isAnswer(
        _ packet: borrowing Packet, to slot: Int, from peer: Endpoint
    ) -> Bool {
        guard table.isRequesting(slot), peer.address == table.flow(of: slot).peer.address else {
            return false
        }
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
    mutating func handleStranger(_ packet: borrowing Packet, _ flow: Flow) {
        if case .error = copy packet { return }
        guard strayErrors.take(now: now) else { return }
        sendError(
            to: flow, .unknownTransferID, "Unknown transfer ID", tag: DatagramPort.untagged)
    }

    // MARK: Answers

    mutating func handleOACK(_ slot: Int, _ oack: Options) {
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
            let grant = try Options.accept(oack: oack, asked: transferStates[slot].asked)
            if transferStates[slot].isSealed, Int(grant.blksize) < SealedRequest.blksizeMin {
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
        guard let byteCount = grant.partByteCount,
            let transfer = unsafe transferStates[slot].transfer
        else {
            return true
        }
        // A text has another size here than there, and some servers tell this one and some that.
        let isText = unsafe transfer._withUnsafeGuaranteedRef { $0.request.mode == .netascii }
        if isText { return true }
        let byteCountMax = unsafe transfer._withUnsafeGuaranteedRef { $0.request.byteCountMax }
        guard byteCount <= byteCountMax else {
            fail(slot, .diskFull, "File too large", .tooLarge(byteCountMax: byteCountMax))
            return false
        }
        transferStates[slot].announced = byteCount
        unsafe transfer._withUnsafeGuaranteedRef { $0.noteAnnounced(byteCount) }
        return true
    }

    /// The options are settled: the first block may come, or go.
    mutating func begin(_ slot: Int, _ grant: Grant) {
        transferStates[slot].granted = grant.options
        if transferStates[slot].isSealed, !table.isReceiver(slot) {
            beginSealing(slot, blksize: Int(grant.blksize))
        }
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        guard table.isReceiver(slot) else {
            guard !transferStates[slot].isSealed else { return }
            return unsafe transfer._withUnsafeGuaranteedRef { $0.beginWriting() }
        }
        let wordCount = BlocksAhead.wordCount(windowsize: Int(grant.windowsize))
        let blksize = Int(grant.blksize) - transferStates[slot].sealByteCount
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            transfer.fitRing(blksize: blksize)
            transferStates[slot].ahead = unsafe BlocksAhead(
                transfer.makeBitmap(wordCount: wordCount))
        }
    }

    mutating func handleACK(_ slot: Int, _ block: BlockNumber) {
        guard !table.isReceiver(slot) else { return }
        // ACK 0 instead of an OACK: the server knows no options.
        if table.isRequesting(slot) && block.rawValue == 0 { begin(slot, Grant()) }
        if block.rawValue == 0 && transferStates[slot].zeroDoubt.hasTried {
            return fail(slot, .notDefined, "Block 0 or 1 after 65535?", .unclearRollover)
        }
        let before = table.ackedBlock(of: slot)
        let effect = table.stepAck(slot, block: block, now: now)
        if table.ackedBlock(of: slot) > before {
            noteAcknowledged(slot)
        } else if block.rawValue == 0xFFFF && isAtRollover(slot) {
            transferStates[slot].zeroDoubt.stepRepeatedAck()
            if effect == .send { doubtZero(slot) }
        }
        perform(effect, slot)
    }

    mutating func handleError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        guard !table.isDallying(slot) else { return release(slot) }
        // Some old servers refuse every request with options: retry once without. A part of a file
        // cannot be requested without options.
        let isRefusal = code == .optionNegotiation || code == .illegalOperation
        let asked = transferStates[slot].asked
        if table.isRequesting(slot), isRefusal, !asked.isEmpty, !asked.isPartial {
            return startAgain(slot)
        }
        end(slot, .failure(.refused(code, message: String(printing: message))))
    }

    /// The network reports that nothing listens at a destination (ICMP port unreachable). To forge
    /// that, an attacker has to know the server's TID and our port, as for an ERROR; a sealed
    /// transfer ignores both. A put that has sent everything has not failed: the server may have
    /// received all of it.
    mutating func takeRefusals(of socket: Int) {
        while let refused = port.takeRefusal(of: socket) {
            let slot = Int(slotOfSocket[socket])
            guard slot >= 0, table.flow(of: slot).peer == refused, !table.isDallying(slot) else {
                continue
            }
            transferStates[slot].isRefused = true
            if transferStates[slot].isSealed {
                noteUnreachable(slot)
            } else if table.isRequesting(slot) {
                end(slot, .failure(.unreachable(byteCount: nil)))
            } else if table.isReceiver(slot) {
                end(slot, .failure(.unreachable(byteCount: progress(slot))))
            }
        }
    }

    /// What the transfer has sent last.
    private mutating func sendAgain(_ slot: Int) {
        if table.isRequesting(slot) {
            sendRequest(slot)
        } else if !table.isReceiver(slot) {
            perform(table.stepSendFailed(slot, now: now), slot)
        } else if !transferStates[slot].isWaiting {
            sendACK(slot, table.receivedBlock(of: slot))
        }
    }

    private mutating func startAgain(_ slot: Int) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        unsafe transferStates[slot].transfer = nil
        release(slot)
        start(unsafe transfer.takeRetainedValue(), asking: Options())
    }

    /// The kernel refused a send.
    mutating func handleFailedSend(_ tag: UInt64, _ errno: Errno) {
        let slot = Tag.number(tag)
        guard slot < table.capacity, table.isCurrent(slot, generation: Tag.generation(tag)) else {
            return
        }
        switch errno {
        // The error of an earlier packet, perhaps to a stranger: this one has not been sent. If the
        // peer itself is unreachable, the next one would fail as well, and so on without a pause:
        // that is left to the time-out.
        case .connectionRefused:
            takeRefusals(of: Int(table.flow(of: slot).socket))
            guard table.isCurrent(slot, generation: Tag.generation(tag)),
                !transferStates[slot].isRefused
            else { return }
            sendAgain(slot)
        // The device cannot checksum segments, or they exceed the path's MTU: send them one by one.
        case .ioError where Tag.kind(tag) == .batch,
            .invalidArgument where Tag.kind(tag) == .batch,
            .messageTooLong where Tag.kind(tag) == .batch:
            guard !transferStates[slot].isUnsegmented else { return }
            transferStates[slot].isUnsegmented = true
            perform(table.stepSendFailed(slot, now: now), slot)
        // The queue is full: the time-out sends it again.
        case .resourceTemporarilyUnavailable, .noBufferSpace: break
        // No way to that address, or a firewall: no use in waiting for an answer. Later it may be
        // passing.
        default:
            if table.isRequesting(slot) { end(slot, .failure(.system(errno))) }
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
