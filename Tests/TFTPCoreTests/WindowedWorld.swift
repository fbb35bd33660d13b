import Simulation
import TFTPWire

@testable import TFTPCore

/// One download at a server's table, for a client that takes a while for each packet: what arrives
/// in the meantime waits in its socket, first in, first out.
struct WindowedWorld: ~Copyable {
    /// What happens to the packets and how long they take, in nanoseconds.
    struct Path {
        /// One DATA in this number is lost; 0: none.
        var dataLossInterval = 0
        /// One ACK in this number is lost; 0: none.
        var ackLossInterval = 0
        /// One DATA in this number arrives twice; 0: none.
        var doublingInterval = 0
        var delay: UInt64 = 20_000
        /// What the client takes for each packet.
        var work: UInt64 = 0
    }

    struct Report {
        var blocksSent = 0
        /// What a sender would need that knows at once what was lost: the blocks, and for each loss
        /// the rest of its window.
        var blocksIdeal = 0
        var isDone = false
        var rewinds = 0
        var milliseconds = 0

        var ratio: Double { Double(blocksSent) / Double(blocksIdeal) }
    }

    private var table: TransferTable
    private let slot: Int
    private let path: Path
    private var client: WindowedClient
    private var random: SimulationRandom
    private var report = Report()
    private var now: UInt64 = 1 << 40
    /// ACKs under way, in the order in which they arrive.
    private var acks: [(at: UInt64, block: UInt64)] = []
    private var nextAck = 0
    /// When the client is through with all that was sent to it.
    private var busyUntil: UInt64 = 1 << 40
    /// When it last took a block or sent an ACK: old blocks do not restart its clock.
    private var quietSince: UInt64 = 1 << 40
    private var highestAck: UInt64 = 0
    private var isEnded = false

    /// Runs one transfer of `blockCount` blocks to its end, or for an hour.
    static func run(
        _ kind: WindowedClient.Kind, blockCount: UInt64, windowsize: UInt16, path: Path,
        seed: UInt64 = 1, paces: Bool = true
    ) -> Report {
        var world = WindowedWorld(
            client: WindowedClient(kind: kind, windowsize: UInt64(windowsize), last: blockCount),
            path: path, seed: seed, paces: paces)
        while !world.isEnded && world.now < (1 << 40) + 3_600_000_000_000
            && world.report.blocksSent < 1_000_000
        { world.step() }
        world.report.blocksIdeal += Int(blockCount)
        world.report.rewinds = Int(world.table.rewindCount)
        world.report.milliseconds = Int((world.now - 1 << 40) / 1_000_000)
        return world.report
    }

    private init(client: WindowedClient, path: Path, seed: UInt64, paces: Bool) {
        table = TransferTable(capacity: 2, seed: 1, now: now, paces: paces)
        self.path = path
        self.client = client
        random = SimulationRandom(seed: seed)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        var grant = Grant()
        grant.options.windowsize = UInt32(client.windowsize)
        grant.windowsize = UInt16(client.windowsize)
        grant.blksize = 1428
        let byteCount = (client.last - 1) * 1428 + 1
        _ = table.startSending(slot, byteCount: byteCount, grant: grant, now: now)
        acks.append((now + 2 * path.delay, 0))
    }

    private mutating func isLost(_ interval: Int) -> Bool {
        interval > 0 && random.below(interval) == 0
    }

    /// Lets the next thing happen: an ACK arrives, a deadline comes up, or the client has waited
    /// long enough.
    private mutating func step() {
        let deadline = now + (table.nanosecondsUntilDeadline(now: now) ?? .max / 4)
        let ackAt = nextAck < acks.count ? acks[nextAck].at : .max
        let clientAt = max(busyUntil, quietSince + client.patienceNanoseconds)
        if clientAt < min(deadline, ackAt) {
            now = max(now, clientAt)
            busyUntil = max(busyUntil, now)
            sendAck(client.received)
        } else if ackAt <= deadline {
            now = max(now, ackAt)
            let number = BlockNumber(acks[nextAck].block, rollover: .toZero)
            nextAck += 1
            perform(table.stepAck(slot, block: number, now: now))
        } else {
            now = max(now, deadline)
            while !isEnded, let expired = table.popExpired(now: now) {
                perform(table.stepTimeout(expired, now: now))
            }
        }
    }

    private mutating func perform(_ effect: TransferTable.Effect) {
        switch effect {
        case .send: sendDue()
        case .end(let outcome):
            isEnded = true
            report.isDone =
                outcome == .done
                || outcome == .doneUnacknowledged && client.received == client.last
            table.release(slot)
        default: break
        }
    }

    private mutating func sendDue() {
        let due = table.due(slot, now: now)
        guard due.count > 0 else { return }
        let end = min(client.last, table.ackedBlock(of: slot) + client.windowsize)
        for block in due.first..<(due.first + UInt64(due.count)) {
            report.blocksSent += 1
            if isLost(path.dataLossInterval) {
                report.blocksIdeal += Int(end - block + 1)
                continue
            }
            deliver(block)
            if isLost(path.doublingInterval) { deliver(block) }
        }
        table.didSend(slot, count: due.count, now: now)
    }

    private mutating func deliver(_ block: UInt64) {
        busyUntil = max(busyUntil, now + path.delay) + path.work
        let received = client.received
        let ack = client.receive(block)
        if client.received > received { quietSince = busyUntil }
        if let ack { sendAck(ack) }
    }

    private mutating func sendAck(_ block: UInt64) {
        quietSince = busyUntil
        let isNew = block > highestAck
        highestAck = max(highestAck, block)
        guard !isLost(path.ackLossInterval) else {
            if isNew { report.blocksIdeal += Int(client.windowsize) }
            return
        }
        acks.append((busyUntil + path.delay, block))
    }
}
