internal import CLinux
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPServing
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
        guard isOurs else { return link.counters.add(.datagramsIgnored) }
        // A coalesced receive holds several datagrams of one size, the last perhaps shorter.
        let bytes = unsafe arrival.payload.bytes
        var offset = 0
        repeat {
            let end = unsafe arrival.end(ofDatagramAt: offset)
            let datagram = bytes.extracting(offset..<end)
            if !steer(datagram, flow) { accept(datagram, flow) }
            offset = end
        } while offset < bytes.byteCount
    }

    /// Steps what the datagram is for.
    mutating func accept(_ bytes: RawSpan, _ flow: Flow) {
        if let tap { tap.noteArrival(bytes, flow, shard: link.index, now: now) }
        server.stepDatagram(bytes, from: flow, now: now)
        performEffects()
    }

    /// Whether the shard answers a request that every shard has got, because it was sent to a
    /// broadcast address.
    private func answersCrowd(_ flow: Flow) -> Bool {
        link.index == port.sockets[Int(flow.socket)].crowdShard(of: flow.peer)
    }

    private func isRequest(_ bytes: RawSpan) -> Bool {
        let opcode = bytes.leadingOpcode
        return opcode == .rrq || opcode == .wrq
    }

    /// The kernel refused a send.
    mutating func handleFailedSend(_ tag: UInt64, _ errno: Errno) {
        switch errno {
        // The socket's buffer or the device's queue is full: the time-out sends it again.
        case .resourceTemporarilyUnavailable, .noBufferSpace:
            link.counters.add(.sendsBlocked)
        // EIO: the device cannot checksum segments. EINVAL, EMSGSIZE: they exceed the path's MTU.
        // Without segments these errors mean something that a repeat would not fix.
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
        guard server.table.isCurrent(slot, generation: generation) else { return }
        let socket = Int(server.table.flow(of: slot).socket)
        guard !port.sockets[socket].fragments else { return }
        port.sockets[socket].fragments = true
        clinux_udp_allow_fragments(port.sockets[socket].file)
        server.stepSendFailed(slot, generation: generation, now: now)
        performEffects()
    }

    private mutating func handleRefusedTrain(_ slot: Int, _ generation: UInt32) {
        link.counters.add(.segmentationRefused)
        guard server.table.isCurrent(slot, generation: generation) else { return }
        // The batches behind the first one that was refused fail as well, and are sent again with
        // it.
        guard !isUnsegmented(slot) else { return }
        setUnsegmented(slot)
        server.stepSendFailed(slot, generation: generation, now: now)
        performEffects()
    }
}
