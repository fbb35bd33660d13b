internal import TFTPCore
internal import TFTPWire

let indexWorkloads = tableSizes.flatMap { size in
    [
        Workload(name: "index: find among \(size)") {
            let table = FullTable(size)
            return { count in
                var order = Scattered(count: size)
                var digest: UInt64 = 0
                for _ in 0..<count {
                    let slot = order.next()
                    let found = table.table.find(FullTable.flow(slot))
                    precondition(found == slot)
                    digest &+= UInt64(slot)
                }
                return digest
            }
        },
        Workload(name: "table: end and open among \(size)") {
            let table = FullTable(size)
            return { count in
                var order = Scattered(count: size)
                var digest: UInt64 = 0
                for _ in 0..<count { digest &+= UInt64(table.replace(order.next())) }
                return digest
            }
        },
    ]
}

let tableWorkloads = tableSizes.map { size in
    Workload(name: "table: ACK in, window out among \(size)") {
        let table = FullTable(size)
        return { count in
            var order = Scattered(count: size)
            var digest: UInt64 = 0
            for index in 0..<count {
                digest &+= table.acknowledge(FullTable.flow(order.next()))
                // As often as a turn would.
                if index.isMultiple(of: 64) { table.expire() }
            }
            return digest
        }
    }
}

/// A table whose every slot sends a file that does not end, in windows of four.
private final class FullTable {
    var table: TransferTable
    private var now: UInt64 = 1 << 40

    init(_ size: Int) {
        table = TransferTable(capacity: size, seed: 0x5EED, now: now)
        for number in 0..<size {
            let slot = open(FullTable.flow(number))
            precondition(slot == number)
        }
    }

    static func flow(_ number: Int) -> Flow {
        let address = Address(ipv4: 0x0A00_0000 + UInt32(number / 4))
        let peer = Endpoint(address: address, port: UInt16(2000 + number % 4))
        return Flow(peer: peer, local: Address(ipv4: 0x0A80_0001), socket: 1)
    }

    private func open(_ flow: Flow) -> Int {
        guard let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now) else {
            preconditionFailure("the table is full")
        }
        var grant = Grant()
        grant.options.windowsize = 4
        grant.windowsize = 4
        grant.blksize = 1468
        let offer = table.startSending(slot, byteCount: 1 << 50, grant: grant, now: now)
        precondition(offer == .oack)
        let first = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: now)
        precondition(first == .send)
        table.didSend(slot, count: table.due(slot, now: now).count, now: now)
        return slot
    }

    /// The window that is out is acknowledged, and the next goes out. Returns its first block.
    func acknowledge(_ flow: Flow) -> UInt64 {
        now += 500
        guard let slot = table.find(flow) else { preconditionFailure("the flow has no transfer") }
        let last = table.ackedBlock(of: slot) + 4
        let effect = table.stepAck(
            slot, block: BlockNumber(last, rollover: .toZero), now: now)
        precondition(effect == .send)
        let due = table.due(slot, now: now)
        table.didSend(slot, count: due.count, now: now)
        return due.first
    }

    /// Deadlines that have passed: those of slots that were not acknowledged in time.
    func expire() {
        while let slot = table.popExpired(now: now) {
            _ = table.stepTimeout(slot, now: now)
            let due = table.due(slot, now: now)
            if due.count > 0 { table.didSend(slot, count: due.count, now: now) }
        }
    }

    /// A transfer ends, and another begins in its place.
    func replace(_ slot: Int) -> Int {
        let flow = table.flow(of: slot)
        table.release(slot)
        return open(flow)
    }
}
