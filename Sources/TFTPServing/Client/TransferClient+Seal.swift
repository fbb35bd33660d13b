internal import TFTPCore
internal import TFTPSeal
internal import TFTPWire

/// Sealed transfers: only what the server has sealed steps the table.
///
/// Sealing and opening allocate and retain, so all of it is here, and a transfer without a seal
/// costs one look.
extension TransferClient {
    func seal(_ slot: Int) -> ClientSeal? { requests[slot]?.seal }

    // MARK: Packets in

    @inline(never)
    mutating func stepSealed(
        _ packet: borrowing Packet, _ bytes: RawSpan, _ slot: Int, _ flow: Flow
    ) {
        guard let seal = seal(slot) else { return }
        guard !table.isRequesting(slot) else {
            return stepAnswer(packet, bytes, slot, flow, seal)
        }
        guard table.flow(of: slot).peer == flow.peer else { return stepStranger(packet, flow) }
        switch copy packet {
        case .data(let block, let payload): stepSealedData(slot, block, payload, seal)
        case .ack(let block): stepSealedACK(slot, block, bytes, seal)
        case .oack:
            // Again, because our ACK 0 was lost.
            guard seal.isSame(oack: bytes) else { return }
            perform(table.stepOACK(slot, grant: Grant(), byteCount: nil, now: now), slot)
        case .error(_, let message):
            guard let (code, text) = seal.open(errorMessage: message) else { return }
            unsafe stepError(slot, code, text.span.bytes)
        case .request: break
        }
    }

    /// An answer to the request. Only a sealed answer decides anything, including the TID; an
    /// unencrypted one is remembered until the next time-out.
    private mutating func stepAnswer(
        _ packet: borrowing Packet, _ bytes: RawSpan, _ slot: Int, _ flow: Flow, _ seal: ClientSeal
    ) {
        guard flow.peer.address == table.flow(of: slot).peer.address else {
            return stepStranger(packet, flow)
        }
        switch copy packet {
        case .oack:
            guard case .granted(let options, let packets) = seal.open(oack: bytes) else { return }
            table.adoptPeerPort(slot, flow.peer.port)
            seal.begin(packets, oack: bytes)
            // A sealed transfer counts on with 0 after 65535.
            states[slot].knowsRollover = true
            stepOACK(slot, options)
        case .error(let code, let message):
            let answer = seal.open(errorMessage: message, code: code)
            guard case .refused(let code, let text) = answer else { return }
            unsafe end(
                slot, .failure(.refused(code, message: String(printing: text.span.bytes))))
        case .data, .ack: seal.doubt = seal.doubt ?? .unsealed
        case .request: break
        }
    }

    /// An unauthenticated report that nothing listens at the server's port.
    func noteUnreachable(_ slot: Int) {
        guard let seal = seal(slot), !seal.hasBegun else { return }
        seal.doubt = seal.doubt ?? .unreachable(byteCount: nil)
    }

    /// Why the transfer fails whose request was answered, but never under a seal.
    func doubt(_ slot: Int) -> ClientFailure? {
        table.isRequesting(slot) ? seal(slot)?.doubt : nil
    }

    private mutating func stepSealedData(
        _ slot: Int, _ block: BlockNumber, _ payload: RawSpan, _ seal: ClientSeal
    ) {
        guard table.isReceiver(slot), let number = table.number(ofData: block, slot),
            payload.byteCount <= table.blksize(of: slot)
        else { return }
        let room = unsafe sealRoom.base
        guard let count = unsafe seal.open(payload, block: number, into: room) else { return }
        unsafe stepData(slot, block, UnsafeRawBufferPointer(rebasing: room[..<count]).bytes)
    }

    private mutating func stepSealedACK(
        _ slot: Int, _ block: BlockNumber, _ bytes: RawSpan, _ seal: ClientSeal
    ) {
        guard !table.isReceiver(slot), let number = table.number(ofAck: block, slot),
            seal.isAuthentic(
                ack: number, tag: bytes.extracting(droppingFirst: Packet.ackByteCount))
        else { return }
        stepACK(slot, block)
    }

    // MARK: Packets out

    @inline(never)
    mutating func sendSealedRequest(_ slot: Int) {
        guard let packet = seal(slot)?.request.packet else { return }
        send(slot, byteCount: packet.count) { output in
            for byte in packet { output.append(byte) }
        }
    }

    @inline(never)
    mutating func sendSealedACK(_ slot: Int, _ block: UInt64) {
        guard let seal = seal(slot) else { return }
        let number = BlockNumber(block, rollover: table.rollover(of: slot))
        let byteCount = Packet.ackByteCount + ClientSeal.tagByteCount
        send(slot, byteCount: byteCount) { output in
            Packet.writeAck(block: number, to: &output)
            seal.writeTag(ack: block, to: &output)
        }
    }

    /// Before there are keys an ERROR is sent unencrypted: it ends a request without an answer.
    @inline(never)
    mutating func sendSealedError(_ slot: Int, _ code: ErrorCode, _ message: StaticString) {
        guard let seal = seal(slot) else { return }
        guard seal.hasBegun else { return sendError(slot, code, message.rawSpan) }
        guard let sealed = seal.errorMessage(code, message) else { return }
        unsafe sendError(slot, code, sealed.span.bytes)
    }
}

/// Where DATA is opened, one block at a time.
@safe
struct SealRoom: ~Copyable {
    let base: UnsafeMutableRawBufferPointer

    /// Larger than any payload; touched as it is used.
    init() { unsafe base = .allocate(byteCount: 65_536, alignment: 16) }

    deinit { unsafe base.deallocate() }
}
