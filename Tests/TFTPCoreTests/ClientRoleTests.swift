import TFTPWire
import Testing

@testable import TFTPCore

/// What a table does in the role of a client: patience, blocks ahead, ACKs that wait, the rollover.
struct ClientRoleTests {
    private static let server = Endpoint(address: Address(ipv4: 0x0A00_0001), port: 69)

    /// A table with one request out. Times are milliseconds.
    private final class Client {
        var table: TransferTable
        let slot: Int
        private(set) var now: UInt64 = start
        private static let start: UInt64 = 240 << TimingWheel.tickShift

        init(_ opcode: Opcode = .rrq, patience: UInt32 = 0, timeoutSeconds: UInt8 = 0) {
            let now = Client.start
            var table = TransferTable(capacity: 4, seed: 1, now: now)
            let flow = Flow(peer: ClientRoleTests.server, local: .unspecified, socket: 1)
            slot = table.request(
                flow, opcode: opcode, rollover: .toZero, timeoutSeconds: timeoutSeconds,
                patienceMilliseconds: patience, now: now)!
            self.table = table
        }

        var milliseconds: UInt64 { (now - Client.start) / 1_000_000 }

        func pass(_ milliseconds: UInt64) { now += milliseconds * 1_000_000 }

        /// The server has granted windows of `windowsize`.
        func grant(windowsize: UInt16, blksize: UInt16 = 512) -> TransferTable.Effect {
            var grant = Grant()
            grant.windowsize = windowsize
            grant.blksize = blksize
            grant.options.windowsize = UInt32(windowsize)
            return table.stepOACK(slot, grant: grant, byteCount: nil, now: now)
        }

        func data(_ block: UInt16, byteCount: Int = 512) -> TransferTable.Effect {
            table.stepData(
                slot, block: BlockNumber(rawValue: block), byteCount: byteCount, now: now)
        }

        func ahead(_ block: UInt16) -> UInt64 {
            table.blocksAhead(slot, BlockNumber(rawValue: block))
        }

        func endsWindow(_ block: UInt64) -> Bool { table.endsWindow(slot, block) }

        /// Whether a deadline has passed, which is this end's doing.
        func delay() -> Bool {
            guard let expired = table.popExpired(now: now) else { return false }
            table.stepOwnDelay(expired, now: now)
            return true
        }

        func room() -> TransferTable.Effect { table.stepRoom(slot, now: now) }

        func commit() -> TransferTable.Effect { table.didCommit(slot, now: now) }

        /// Advances the time to the next deadline and returns its effect.
        func expire() -> TransferTable.Effect? {
            while let sleep = table.nanosecondsUntilDeadline(now: now) {
                now += sleep
                // Nothing expires where a deadline has been moved meanwhile.
                if let expired = table.popExpired(now: now) {
                    return table.stepTimeout(expired, now: now)
                }
            }
            return nil
        }
    }

    @Test(arguments: [UInt32(300), 2_000, 10_000])
    func theRequestIsRepeatedUntilThePatienceEnds(patience: UInt32) {
        let client = Client(patience: patience)
        var effects: [TransferTable.Effect] = []
        while effects.last != .end(.timedOut), let effect = client.expire() {
            effects.append(effect)
        }
        #expect(effects.dropLast().allSatisfy { $0 == .request })
        #expect(effects.count >= (patience > 1_000 ? 2 : 1))
        // A tick is 4.2 ms.
        #expect((UInt64(patience)...UInt64(patience) + 10).contains(client.milliseconds))
    }

    @Test func theTimeoutOptionShortensTheFirstRepeats() {
        let client = Client(patience: 10_000, timeoutSeconds: 2)
        for _ in 0..<4 { #expect(client.expire() == .request) }
        // 1 s, and then 2 s each.
        #expect((7_000...7_030).contains(client.milliseconds))
    }

    @Test func silenceInTheMiddleEndsWithThePatienceToo() {
        let client = Client(patience: 1_000)
        #expect(client.grant(windowsize: 1) == .ack(0))
        client.pass(100)
        #expect(client.data(1) == .takeAndAck(1))
        var effect = client.expire()
        while effect == .ack(1) { effect = client.expire() }
        #expect(effect == .end(.timedOut))
        #expect((1_100...1_120).contains(client.milliseconds))
    }

    /// It was under way before our ACK can have arrived.
    @Test func theEndOfAWindowIsNotAcknowledgedTwiceWithinHalfARoundTrip() {
        let client = Client()
        client.pass(100)
        #expect(client.grant(windowsize: 2) == .ack(0))
        client.pass(100)
        #expect(client.data(1) == .take)
        #expect(client.data(2) == .takeAndAck(2))
        client.pass(20)
        #expect(client.data(2) == .none)
        client.pass(60)
        #expect(client.data(2) == .ack(2))
    }

    @Test func blocksAheadAreToldByTheirDistance() {
        let client = Client()
        #expect(client.grant(windowsize: 4) == .ack(0))
        #expect(client.data(1) == .take)
        #expect(client.ahead(1) == 0)
        #expect(client.ahead(2) == 1)
        #expect(client.ahead(4) == 3)
        #expect(client.ahead(1) == 0)
        #expect(client.ahead(0) == 65_535)
        #expect(!client.endsWindow(3))
        #expect(client.endsWindow(4))
    }

    /// A window that is acknowledged late, because there was no room, does not end the transfer.
    @Test func anACKMayWaitForRoom() {
        let client = Client(patience: 1_000)
        #expect(client.grant(windowsize: 1) == .ack(0))
        client.pass(10)
        #expect(client.data(1) == .takeAndAck(1))
        for _ in 0..<20 {
            client.pass(500)
            #expect(client.delay())
        }
        #expect(client.room() == .ack(1))
        client.pass(10)
        #expect(client.data(2, byteCount: 0) == .takeLast)
        #expect(client.commit() == .ack(2))
        #expect(client.room() == .none)
    }

    @Test func theRolloverMayBeFoundOutLater() {
        let client = Client()
        #expect(client.grant(windowsize: 1, blksize: 8) == .ack(0))
        for block in 1...UInt16.max {
            #expect(client.data(block, byteCount: 8) == .takeAndAck(UInt64(block)))
        }
        #expect(client.ahead(1) == 2)
        client.table.setRollover(of: client.slot, .toOne)
        #expect(client.ahead(1) == 1)
        #expect(client.data(1, byteCount: 8) == .takeAndAck(65_536))
    }

    /// Only boot loaders hang over block 65535: a server gets it again as soon as any other.
    @Test func block65535IsNotHeldBackFromAServer() {
        let client = Client(.wrq)
        #expect(client.grant(windowsize: 1, blksize: 8) == .send)
        for block in 1...UInt16.max {
            client.table.didSend(client.slot, count: 1, now: client.now)
            client.pass(1)
            if block == .max { break }
            let effect = client.table.stepAck(
                client.slot, block: BlockNumber(rawValue: block), now: client.now)
            #expect(effect == .send)
        }
        let sentAt = client.milliseconds
        #expect(client.expire() == .send)
        #expect(client.milliseconds - sentAt < 300)
    }
}
