internal import CLinux
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPWire

/// Datagrams in: whose they are and what they say.
extension Shard {
    @unsafe
    mutating func handle(_ arrival: DatagramPort.Arrival) {
        link.counters.add(.datagramsReceived)
        let flow = unsafe arrival.flow
        // The options of a request may be cut: what is whole of them counts, as for any request.
        guard unsafe !arrival.isTruncated || isRequest(arrival.payload.bytes) else {
            link.counters.add(.datagramsTruncated)
            return
        }
        // One shard answers what all have got.
        let isOurs = unsafe !arrival.isCrowd || answersCrowd(flow)
        guard isOurs, isAnswerable(flow) else {
            link.counters.add(.datagramsIgnored)
            return
        }
        // A coalesced receive holds several datagrams of one size, the last perhaps shorter.
        let bytes = unsafe arrival.payload.bytes
        let segment = unsafe arrival.segmentByteCount
        let step = segment > 0 ? segment : max(1, bytes.byteCount)
        var offset = 0
        repeat {
            let end = min(offset + step, bytes.byteCount)
            let datagram = bytes.extracting(offset..<end)
            if !steer(datagram, flow) { accept(datagram, flow) }
            offset = end
        } while offset < bytes.byteCount
    }

    /// Steps what the datagram is for.
    mutating func accept(_ bytes: RawSpan, _ flow: Flow) { handle(bytes, flow, Int(flow.socket)) }

    /// Whether a reply to this sender reaches one machine, and not ourselves.
    private func isAnswerable(_ flow: Flow) -> Bool {
        let peer = flow.peer
        guard peer.port != 0, !peer.address.isMulticastOrBroadcast, !peer.address.isUnspecified
        else {
            return false
        }
        let family = peer.address.isIPv4 ? 0 : OwnPorts.wordCount
        let word = unsafe shared.ownPorts[family + Int(peer.port) / 64]
        guard word & (1 << UInt64(peer.port % 64)) != 0 else { return true }
        return !isOwn(peer.address, flow.local)
    }

    private func isOwn(_ address: Address, _ local: Address) -> Bool {
        if address == local || address.isLoopback { return true }
        for index in unsafe 0..<shared.interfaces.count {
            let own = unsafe Address(shared.interfaces[index].address)
            if own == address { return true }
        }
        return false
    }

    private mutating func handle(_ bytes: RawSpan, _ flow: Flow, _ socket: Int) {
        let packet: Packet
        do throws(PacketError) {
            packet = try Packet(parsing: bytes)
        } catch {
            handleMalformed(bytes, flow, socket)
            return
        }
        switch packet {
        case .request(let request):
            guard port.sockets[socket].role == .listener else {
                handleStray(flow, isError: false)
                return
            }
            handle(request, of: bytes, flow, socket)
        case .ack(let block):
            guard let slot = table.find(flow) else { return handleStray(flow, isError: false) }
            guard seals.isEmpty || isAuthentic(ack: block, bytes, slot) else { return }
            let effect = table.stepAck(slot, block: block, now: now)
            settleRivals()
            perform(effect, slot)
        case .data(let block, let payload):
            guard let slot = table.find(flow) else { return handleStray(flow, isError: false) }
            guard !isSealed(slot) else { return handleSealedData(slot, block, payload) }
            handleData(slot, block: block, payload: payload, sealByteCount: 0)
        case .error(let code, let message):
            guard let slot = table.find(flow) else { return handleStray(flow, isError: true) }
            guard !isSealed(slot) else { return handleSealedError(slot, message) }
            handleError(slot, code, message)
        case .oack:
            // A server is never offered options.
            handleStray(flow, isError: false)
        }
    }

    /// A step may have been the progress that settles which of two rivals is the client's.
    mutating func settleRivals() {
        guard let rival = table.takeOutlivedRival() else { return }
        end(rival, table.isConfirmed(rival) ? replacedOutcome(rival) : .ghost)
    }

    mutating func handleError(_ slot: Int, _ code: ErrorCode, _ message: RawSpan) {
        let isWrongBlock = code == .unknownTransferID && message.hasPrefix("Wrong block")
        let effect = table.stepError(slot, code: code, isWrongBlock: isWrongBlock)
        guard case .end(let outcome) = effect else { return }
        // A client that knows nothing of the second offer: a duplicate of its request had made it.
        let isGhost = !table.isConfirmed(slot) && table.isRivalled(slot)
        end(slot, isGhost ? .ghost : outcome, errorCode: code)
    }

    /// Whether the shard answers a request that every shard has got, because it was sent to a broadcast address.
    private func answersCrowd(_ flow: Flow) -> Bool {
        link.index == port.sockets[Int(flow.socket)].crowdShard(of: flow.peer)
    }

    private func isRequest(_ bytes: RawSpan) -> Bool {
        let opcode = bytes.leadingOpcode
        return opcode == .rrq || opcode == .wrq
    }

    /// Not a TFTP packet. A running transfer is left alone, and a stranger is told: at a transfer's port that it is one
    /// (RFC 1350 §4), unless its packet was to be an ERROR.
    private mutating func handleMalformed(_ bytes: RawSpan, _ flow: Flow, _ socket: Int) {
        link.counters.add(.datagramsMalformed)
        let isError = bytes.leadingOpcode == .error
        guard table.find(flow) == nil, !isError else { return }
        guard port.sockets[socket].role == .listener else {
            return handleStray(flow, isError: false)
        }
        sendErrorToStranger(flow, .illegalOperation, "Malformed packet")
    }

    /// A packet for no transfer (RFC 1350 §4). An ERROR is never answered.
    private mutating func handleStray(_ flow: Flow, isError: Bool) {
        link.counters.add(.datagramsStray)
        guard !isError else { return }
        sendErrorToStranger(flow, .unknownTransferID, "Unknown transfer ID")
    }

    /// The kernel refused a send.
    mutating func handleFailedSend(_ tag: UInt64, _ errno: Errno) {
        switch errno {
        // The socket's buffer or the device's queue is full: the time-out sends it again.
        case .resourceTemporarilyUnavailable, .noBufferSpace:
            link.counters.add(.sendsBlocked)
        // EIO: the device can not checksum segments. EINVAL, EMSGSIZE: they do not fit the path's MTU. Without
        // segments the same mean something that sending again at once would not mend.
        case .ioError where Tag.kind(tag) == .batch,
            .invalidArgument where Tag.kind(tag) == .batch,
            .messageTooLong where Tag.kind(tag) == .batch:
            handleRefusedTrain(Tag.number(tag), Tag.generation(tag))
        // The path takes less than the link: blocks leave in fragments then.
        case .messageTooLong:
            link.counters.add(.sendsFailed)
            allowFragments(Tag.number(tag), Tag.generation(tag))
        // ENETUNREACH, EHOSTUNREACH, EPERM (a firewall), ECONNREFUSED: perhaps later.
        default:
            link.counters.add(.sendsFailed)
        }
    }

    private mutating func allowFragments(_ slot: Int, _ generation: UInt32) {
        guard table.isCurrent(slot, generation: generation) else { return }
        let socket = Int(table.flow(of: slot).socket)
        guard !port.sockets[socket].fragments else { return }
        port.sockets[socket].fragments = true
        clinux_udp_allow_fragments(port.sockets[socket].file)
        perform(table.stepSendFailed(slot, now: now), slot)
    }

    private mutating func handleRefusedTrain(_ slot: Int, _ generation: UInt32) {
        link.counters.add(.segmentationRefused)
        guard table.isCurrent(slot, generation: generation) else { return }
        // The batches behind the first one that was refused fail as well, and are sent again with it.
        guard !isUnsegmented(slot) else { return }
        setUnsegmented(slot)
        perform(table.stepSendFailed(slot, now: now), slot)
    }
}

extension RawSpan {
    /// Whether the bytes begin with `prefix`.
    func hasPrefix(_ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard byteCount >= count else { return false }
        for index in 0..<count {
            // In bounds: both have at least `count` bytes.
            let byte = unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self)
            if unsafe byte != prefix.utf8Start[index] { return false }
        }
        return true
    }
}
