internal import CLinux
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPServing
internal import TFTPStore

/// Does what the server asks for.
extension Shard {
    /// Carries out everything that the latest step has ordered, and what follows from it.
    mutating func performEffects() {
        while let effect = server.effects.takeFirst() { perform(effect) }
    }

    private mutating func perform(_ effect: ServerEffect) {
        switch effect {
        case .send(let number): send(server.effects.packets[Int(number)], number)
        case .sendBlocks(let order): sendBlocks(order)
        case .look(let slot): look(slot)
        case .ask(let request):
            if case .ask(let slot, _, _) = request, server.isSealedQuestion(Int(slot)) {
                notePath(Int(slot))
            }
            tellStore(request)
        case .releaseImage(let image, let isSupplied):
            if isSupplied { releaseSupply(image) } else { shared.imageIndex.release(image) }
        case .noteStart(let nanoseconds): link.statistics.noteStart(after: nanoseconds)
        case .record(let number): record(Int(number))
        }
    }

    /// Counts a transfer that has ended, and hands on what is said of it.
    private func record(_ number: Int) {
        if !server.effects.records[number].isStart {
            link.statistics.noteEnd(server.effects.records[number])
        }
        guard server.effects.records[number].isLogged else { return }
        if !link.records.put(server.effects.records[number]) {
            link.counters.add(.recordsDropped)
        }
    }

    /// Queues one small packet. With no room it is lost, as on a network.
    private mutating func send(_ packet: PacketOrder, _ number: UInt32) {
        let tag = packet.slot.map { Tag.send(slot: Int($0), generation: packet.generation) }
        let bytes = unsafe server.effects.bytes(ofPacket: number)
        guard let room = unsafe port.makeRoom(byteCount: bytes.count) else {
            return link.counters.add(.sendsBlocked)
        }
        unsafe room.copyMemory(from: bytes)
        if let tap {
            tap.noteDeparture(unsafe bytes.bytes, packet.flow, shard: link.index, now: now)
        }
        let isQueued = unsafe port.send(
            UnsafeRawBufferPointer(room), to: packet.flow, tag: tag ?? Tag.sendToStranger)
        link.counters.add(isQueued ? .messagesSent : .sendsBlocked)
    }

    mutating func tellStore(_ request: StoreRequest) {
        // As many places as transfers and chunks, and each asks for one thing at a time.
        let isPut = link.toStore.put(request)
        assert(isPut)
        storeIsWoken = true
    }
}
