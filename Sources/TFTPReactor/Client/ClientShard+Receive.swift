internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPWire

/// Datagrams in, and what the kernel reports of those that went out.
extension ClientShard {
    @unsafe
    mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        guard let slot = client.slot(ofSocket: flow.socket), unsafe !arrival.isTruncated else {
            return
        }
        look(slot)
        let bytes = unsafe arrival.payload.bytes
        var offset = 0
        var isOpen = true
        let isTraced = slots[slot].isTraced
        repeat {
            let end = unsafe arrival.end(ofDatagramAt: offset)
            let datagram = bytes.extracting(offset..<end)
            if isTraced { traceArrival(slot, datagram, flow) }
            client.stepDatagram(datagram, from: flow, now: now)
            performEffects()
            offset = end
            // An earlier one of the batch may have ended the transfer.
            isOpen = client.slot(ofSocket: flow.socket) == slot
        } while offset < bytes.byteCount && isOpen
        guard isOpen else { return }
        client.stepArrivalEnd(slot)
        performEffects()
        showProgress(slot)
    }

    /// Destinations at which nothing listens.
    mutating func takeRefusals(of socket: Int) {
        while let refused = port.takeRefusal(of: socket) {
            guard let slot = client.slot(ofSocket: UInt16(socket)) else { continue }
            client.stepUnreachable(slot, refused, now: now)
            performEffects()
        }
    }

    /// The kernel refused a send.
    mutating func handleFailedSend(_ tag: UInt64, _ errno: Errno) {
        let (slot, generation) = (Tag.number(tag), Tag.generation(tag))
        guard slot < client.table.capacity, client.table.isCurrent(slot, generation: generation)
        else { return }
        switch errno {
        // The error of an earlier packet, perhaps to a stranger: this one has not been sent.
        case .connectionRefused:
            takeRefusals(of: Int(client.table.flow(of: slot).socket))
            client.stepSendFailed(slot, generation: generation, .byEarlierReport, now: now)
        // The device cannot checksum segments, or they exceed the path's MTU: send them one by one.
        case .ioError where Tag.kind(tag) == .batch,
            .invalidArgument where Tag.kind(tag) == .batch,
            .messageTooLong where Tag.kind(tag) == .batch:
            guard !slots[slot].isUnsegmented else { return }
            slots[slot].isUnsegmented = true
            client.stepSendFailed(slot, generation: generation, .segmented, now: now)
        // The queue is full: the time-out sends it again.
        case .resourceTemporarilyUnavailable, .noBufferSpace: return
        default: client.stepSendFailed(slot, generation: generation, .noWay(errno), now: now)
        }
        performEffects()
    }
}
