internal import SystemPackage
internal import TFTPCore
internal import TFTPWire

/// Datagrams in: whose they are and what they say.
extension ClientShard {
    @unsafe
    mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        let slot = Int(slotOfSocket[Int(flow.socket)])
        guard slot >= 0, unsafe !arrival.isTruncated else { return }
        let bytes = unsafe arrival.payload.bytes
        let segment = unsafe arrival.segmentByteCount
        let step = segment > 0 ? segment : max(1, bytes.byteCount)
        var offset = 0
        repeat {
            let end = min(offset + step, bytes.byteCount)
            handle(bytes.extracting(offset..<end), slot, flow)
            offset = end
            // An earlier one of the train may have ended the transfer.
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

    /// Whether this is the first answer to the request, from the TID that the transfer has from then on (RFC 1350 §4).
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

    /// A packet from another host or port than the transfer's (RFC 1350 §4). An ERROR is never answered.
    private mutating func handleStranger(_ packet: borrowing Packet, _ flow: Flow) {
        if case .error = copy packet { return }
        guard strayErrors.take(now: now) else { return }
        sendError(
            to: flow, .unknownTransferID, "Unknown transfer ID", tag: DatagramPort.untagged)
    }

    // MARK: Answers

    private mutating func handleOACK(_ slot: Int, _ oack: Options) {
        // Again, because our ACK 0 was lost; the table knows when it is only late.
        guard table.isRequesting(slot) else {
            let effect = table.stepOACK(slot, grant: Grant(), byteCount: nil, now: now)
            return perform(effect, slot)
        }
        do throws(NegotiationError) {
            let grant = try Options.accept(oack: oack, asked: lanes[slot].asked)
            if table.isReceiver(slot), !noteSize(slot, oack.tsize) { return }
            begin(slot, grant)
            perform(table.stepOACK(slot, grant: grant, byteCount: nil, now: now), slot)
        } catch {
            fail(slot, .optionNegotiation, "Option was not asked for", .negotiation(error))
        }
    }

    /// Keeps what the server says of the size. False when that is too much, and the transfer has ended.
    private mutating func noteSize(_ slot: Int, _ tsize: UInt64?) -> Bool {
        guard let tsize, let transfer = unsafe lanes[slot].transfer else { return true }
        // A text has another size here than there, and some servers tell this one and some that.
        let isText = unsafe transfer._withUnsafeGuaranteedRef { $0.request.mode == .netascii }
        if isText { return true }
        let byteCountMax = unsafe transfer._withUnsafeGuaranteedRef { $0.request.byteCountMax }
        guard tsize <= byteCountMax else {
            fail(slot, .diskFull, "File too large", .tooLarge(byteCountMax: byteCountMax))
            return false
        }
        lanes[slot].announced = tsize
        unsafe transfer._withUnsafeGuaranteedRef { $0.noteAnnounced(tsize) }
        return true
    }

    /// The options are settled: the first block may come, or go.
    mutating func begin(_ slot: Int, _ grant: Grant) {
        lanes[slot].granted = grant.options
        guard table.isReceiver(slot), let transfer = unsafe lanes[slot].transfer else { return }
        let wordCount = BlocksAhead.wordCount(windowsize: Int(grant.windowsize))
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            transfer.fitRing(blksize: Int(grant.blksize))
            lanes[slot].ahead = unsafe BlocksAhead(transfer.makeBitmap(wordCount: wordCount))
        }
    }

    private mutating func handleACK(_ slot: Int, _ block: BlockNumber) {
        guard !table.isReceiver(slot) else { return }
        // ACK 0 instead of an OACK: the server knows no options.
        if table.isRequesting(slot) && block.rawValue == 0 { begin(slot, Grant()) }
        let before = table.ackedBlock(of: slot)
        let effect = table.stepAck(slot, block: block, now: now)
        if table.ackedBlock(of: slot) > before { noteAcknowledged(slot) }
        perform(effect, slot)
    }

    private mutating func handleError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        guard !table.isDallying(slot) else { return release(slot) }
        // Some servers of old refuse every request with options: once more without.
        let isRefusal = code == .optionNegotiation || code == .illegalOperation
        if table.isRequesting(slot), isRefusal, !lanes[slot].asked.isEmpty {
            return startAgain(slot)
        }
        end(slot, .failure(.refused(code, message: String(printing: message))))
    }

    private mutating func startAgain(_ slot: Int) {
        guard let transfer = unsafe lanes[slot].transfer else { return }
        unsafe lanes[slot].transfer = nil
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
        // The device can not checksum segments, or they do not fit the path's MTU: one by one then.
        case .ioError where Tag.kind(tag) == .train,
            .invalidArgument where Tag.kind(tag) == .train,
            .messageTooLong where Tag.kind(tag) == .train:
            guard !lanes[slot].isUnsegmented else { return }
            lanes[slot].isUnsegmented = true
            perform(table.stepSendFailed(slot, now: now), slot)
        // The queue is full: the time-out sends it again.
        case .resourceTemporarilyUnavailable, .noBufferSpace: break
        // No way to that address, or a firewall: no use in waiting for an answer. Later it may be passing.
        default:
            if table.isRequesting(slot) { end(slot, .failure(.system(errno))) }
        }
    }
}

extension String {
    /// What a peer sent, without anything that a terminal would obey.
    fileprivate init(printing bytes: RawSpan) {
        var scalars = String.UnicodeScalarView()
        for offset in bytes.byteOffsets {
            let byte = bytes.byte(at: offset)
            scalars.append(Unicode.Scalar((0x20..<0x7F).contains(byte) ? byte : 0x3F))
        }
        self.init(scalars)
    }
}
