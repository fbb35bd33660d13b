import TFTPWire

@testable import TFTPCore

/// One download at a server's table, for a client that the test speaks for. Times are milliseconds.
///
/// What the server sends is kept in `log`, and in `times` when it did. A packet from the client is
/// put in where the clock stands; `wait` lets the clock go on and the deadlines come up.
struct Download: ~Copyable {
    static let address = Address(ipv4: 0x0A00_0001)
    static let client = Endpoint(address: Address(ipv4: 0x0A00_0002), port: 2000)

    var table: TransferTable
    var slot: Int
    /// Nanoseconds. A whole number of ticks is about a second here, so that deadlines come up where
    /// they are expected.
    private(set) var now: UInt64 = 240 << TimingWheel.tickShift
    private let start: UInt64 = 240 << TimingWheel.tickShift
    private(set) var log: [String] = []
    private(set) var times: [Int] = []
    private(set) var outcome: Outcome?
    /// Every block that was sent, in order.
    private(set) var blocks: [UInt64] = []

    /// The request has come and the file is there; the answer is the first line of the log.
    init(
        byteCount: UInt64, blksize: UInt16 = 512, windowsize: UInt16 = 1, hasOptions: Bool = true,
        sharesPort: Bool = false
    ) {
        // Windows leave as a whole here; how they are spread in time is for PacingTests.
        table = TransferTable(capacity: 4, seed: 1, now: now, paces: false, sharesPort: sharesPort)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        var grant = Grant()
        if hasOptions {
            grant.options.blksize = UInt32(blksize)
            grant.options.windowsize = UInt32(windowsize)
            grant.blksize = blksize
            grant.windowsize = windowsize
        }
        perform(table.startSending(slot, byteCount: byteCount, grant: grant, now: now))
    }

    var milliseconds: Int { Int((now - start) / 1_000_000) }

    /// Sends ACK `block` and tells what that led to.
    @discardableResult
    mutating func ack(_ block: UInt64) -> TransferTable.Effect {
        let number = BlockNumber(block, rollover: .toZero)
        let effect = table.stepAck(slot, block: number, now: now)
        perform(effect)
        return effect
    }

    /// Lets time go on to `milliseconds` after the beginning.
    mutating func wait(until milliseconds: UInt64) {
        let end = start + milliseconds * 1_000_000
        while let sleep = table.nanosecondsUntilDeadline(now: now), now + sleep <= end {
            now += sleep
            while let expired = table.popExpired(now: now) {
                perform(table.stepTimeout(expired, now: now))
            }
        }
        now = max(now, end)
    }

    /// Something keeps what is due from leaving for so long, and then no longer.
    mutating func holdBack(milliseconds: UInt64) {
        table.stepHeldBack(slot, nanoseconds: milliseconds * 1_000_000, now: now)
        now += milliseconds * 1_000_000
        table.stepHeldBack(slot, nanoseconds: nil, now: now)
    }

    mutating func wait(_ milliseconds: UInt64) {
        wait(until: UInt64(self.milliseconds) + milliseconds)
    }

    /// Acknowledges everything up to `block`, one round trip of a millisecond a window, and forgets
    /// the log.
    mutating func advance(to block: UInt64) {
        let windowsize = UInt64(table.windowsize(of: slot))
        ack(0)
        while table.ackedBlock(of: slot) < block {
            now += 1_000_000
            ack(min(block, table.ackedBlock(of: slot) + windowsize))
        }
        forget()
    }

    mutating func forget() {
        log = []
        times = []
        blocks = []
    }

    mutating func perform(_ effect: TransferTable.Effect) {
        switch effect {
        case .none: break
        case .send: sendDue()
        case .oack: note("OACK")
        case .ack(let block): note("ACK \(block)")
        case .fail(let code):
            note("ERROR \(code.rawValue)")
            if code != .unknownTransferID { table.release(slot) }
        case .end(let outcome):
            note("\(outcome)")
            self.outcome = outcome
            table.release(slot)
        case .request, .take, .takeAndAck, .takeLast: note("\(effect)")
        }
    }

    private mutating func sendDue() {
        let due = table.due(slot, now: now)
        guard due.count > 0 else { return }
        let last = due.first + UInt64(due.count) - 1
        note(due.count == 1 ? "DATA \(due.first)" : "DATA \(due.first)-\(last)")
        blocks += due.first...last
        table.didSend(slot, count: due.count, now: now)
    }

    private mutating func note(_ line: String) {
        log.append(line)
        times.append(milliseconds)
    }

    /// The client has restarted: its request opens a second transfer next to `old`, which the test
    /// drives from now on.
    mutating func openSecond(_ old: Int, byteCount: UInt64) {
        let flow = Flow(peer: Download.client, local: Download.address, socket: 2)
        slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        table.setRivals(slot, old)
        var grant = Grant()
        grant.options.blksize = 512
        perform(table.startSending(slot, byteCount: byteCount, grant: grant, now: now))
    }

    mutating func judge(requestHash: UInt32 = 1) -> TransferTable.RequestVerdict {
        let flow = Flow(peer: Download.client, local: Download.address, socket: 0)
        return table.judge(flow, requestHash: requestHash)
    }

    /// The request comes again. Returns whether it was a repetition, and answered.
    mutating func repeatRequest() -> Bool {
        guard case .repeated(slot) = judge() else { return false }
        perform(table.stepRepeatedRequest(slot, now: now))
        return true
    }
}
