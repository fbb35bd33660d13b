import Simulation
import TFTPWire
import Testing

@testable import TFTPCore

/// Windows that are spread in time: at one transfer's table with a clock in hand, through a made-up
/// link.
@Suite struct PacingTests {
    /// A link that passes one block after the other and drops what its queue has no room for.
    struct Link {
        /// Nanoseconds that one block takes on it.
        let blockNanoseconds: UInt64
        let queueMax: Int
        let delayNanoseconds: UInt64
        private(set) var freeAt: UInt64 = 0
        private(set) var droppedCount = 0

        init(blockNanoseconds: UInt64, queueMax: Int, delayNanoseconds: UInt64 = 100_000) {
            self.blockNanoseconds = blockNanoseconds
            self.queueMax = queueMax
            self.delayNanoseconds = delayNanoseconds
        }

        /// When a block that is sent at `now` arrives; nil when it is dropped.
        mutating func pass(now: UInt64) -> UInt64? {
            let queued = freeAt > now ? (freeAt - now) / blockNanoseconds : 0
            guard queued < UInt64(queueMax) else {
                droppedCount += 1
                return nil
            }
            freeAt = max(freeAt, now) + blockNanoseconds
            return freeAt + delayNanoseconds
        }
    }

    /// A whole download through `link`, for a client that answers whole windows and gaps as RFC
    /// 7440 §4 has it.
    struct Run {
        var milliseconds = 0
        var sentCount = 0
        var droppedCount = 0
        var isDone = false
    }

    static func run(
        blockCount: UInt64, windowsize: UInt16, link: Link, paces: Bool = true,
        isLost: (UInt64) -> Bool = { _ in false }
    ) -> Run {
        var world = World(
            blockCount: blockCount, windowsize: windowsize, link: link, paces: paces)
        while !world.isOver { world.step(isLost) }
        return world.run
    }

    private struct World: ~Copyable {
        var table: TransferTable
        var link: Link
        let slot: Int
        var run = Run()
        private var now: UInt64 = 1 << 40
        private let start: UInt64 = 1 << 40
        private let last: UInt64
        private let windowsize: UInt64
        /// Blocks and ACKs under way, in the order in which they arrive.
        private var arrivals: [(at: UInt64, block: UInt64, isAck: Bool)] = []
        private var received: UInt64 = 0
        private var acked: UInt64 = 0
        private var hasToldGap = false
        private var isEnded = false

        init(blockCount: UInt64, windowsize: UInt16, link: Link, paces: Bool) {
            table = TransferTable(capacity: 2, seed: 1, now: now, paces: paces)
            self.link = link
            self.windowsize = UInt64(windowsize)
            last = blockCount
            let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
            slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
            var grant = Grant()
            grant.options.windowsize = UInt32(windowsize)
            grant.windowsize = windowsize
            grant.blksize = 1468
            let byteCount = (blockCount - 1) * 1468 + 1
            let offer = table.startSending(slot, byteCount: byteCount, grant: grant, now: now)
            #expect(offer == .oack)
            arrivals.append((now + 2 * link.delayNanoseconds, 0, true))
        }

        var isOver: Bool { isEnded || now - start > 100_000_000_000 }

        /// Lets the next thing happen: a packet arrives or a deadline comes up.
        mutating func step(_ isLost: (UInt64) -> Bool) {
            let deadline = now + (table.nanosecondsUntilDeadline(now: now) ?? .max / 4)
            if let next = arrivals.first, next.at <= deadline {
                now = max(now, next.at)
                arrivals.removeFirst()
                if next.isAck {
                    let number = BlockNumber(next.block, rollover: .toZero)
                    perform(table.stepAck(slot, block: number, now: now), isLost)
                } else {
                    receive(next.block)
                }
                return
            }
            // The thread is late, now and then by much.
            var random = SimulationRandom(seed: now)
            now = deadline + random.below(random.chance(perMille: 50) ? 2_000_000 : 100_000)
            while !isEnded, let expired = table.popExpired(now: now) {
                perform(table.stepTimeout(expired, now: now), isLost)
            }
        }

        private mutating func receive(_ block: UInt64) {
            guard block == received + 1 else {
                if block > received + 1 && !hasToldGap {
                    hasToldGap = true
                    acknowledge()
                }
                return
            }
            hasToldGap = false
            received = block
            if received - acked == windowsize || received == last { acknowledge() }
        }

        private mutating func acknowledge() {
            acked = received
            insert((now + link.delayNanoseconds, received, true))
        }

        private mutating func insert(_ arrival: (at: UInt64, block: UInt64, isAck: Bool)) {
            let place = arrivals.firstIndex { $0.at > arrival.at } ?? arrivals.count
            arrivals.insert(arrival, at: place)
        }

        private mutating func perform(
            _ effect: TransferTable.Effect, _ isLost: (UInt64) -> Bool
        ) {
            switch effect {
            case .send: sendDue(isLost)
            case .end(let outcome):
                isEnded = true
                run.isDone = outcome == .done
                run.milliseconds = Int((now - start) / 1_000_000)
                run.droppedCount = link.droppedCount
                table.release(slot)
            default: break
            }
        }

        private mutating func sendDue(_ isLost: (UInt64) -> Bool) {
            let due = table.due(slot, now: now)
            guard due.count > 0 else { return }
            for block in due.first..<(due.first + UInt64(due.count)) {
                run.sentCount += 1
                if !isLost(UInt64(run.sentCount)), let at = link.pass(now: now) {
                    insert((at, block, false))
                }
            }
            table.didSend(slot, count: due.count, now: now)
        }
    }

    /// 100 Mbit/s before a queue of 32: without a pace a window of 64 never gets through.
    @Test func aShallowQueueGetsItsWindows() {
        let link = Link(blockNanoseconds: 117_800, queueMax: 32)
        let unpaced = Self.run(blockCount: 3000, windowsize: 64, link: link, paces: false)
        #expect(!unpaced.isDone || unpaced.milliseconds > 10_000)
        for windowsize: UInt16 in [16, 32, 64] {
            let paced = Self.run(blockCount: 3000, windowsize: windowsize, link: link)
            #expect(paced.isDone)
            // 3,000 blocks take 353 ms on the link: four fifths of its rate at least.
            #expect(paced.milliseconds < 441, "window \(windowsize): \(paced.milliseconds) ms")
            #expect(paced.sentCount <= 3060, "window \(windowsize): \(paced.sentCount) blocks")
        }
    }

    /// A link slower than what an unknown one is taken for.
    @Test(arguments: [10, 25, 50] as [UInt64])
    func aSlowerLinkIsFoundOut(megabits: UInt64) {
        let blockNanoseconds = 12_000_000 / megabits
        let link = Link(blockNanoseconds: blockNanoseconds, queueMax: 32)
        let paced = Self.run(blockCount: 3000, windowsize: 64, link: link)
        let least = Int(3000 * blockNanoseconds / 1_000_000)
        #expect(paced.isDone)
        #expect(paced.milliseconds < least + least / 4 + 800, "\(paced.milliseconds) of \(least)")
        #expect(paced.sentCount <= 3000 + 3000 / 10, "\(paced.sentCount) blocks")
    }

    /// On a fast path only the first window is held back.
    @Test func aFastPathIsSoonAtFullSpeed() {
        let link = Link(blockNanoseconds: 1_000, queueMax: 1000)
        let paced = Self.run(blockCount: 6400, windowsize: 64, link: link)
        let unpaced = Self.run(blockCount: 6400, windowsize: 64, link: link, paces: false)
        #expect(paced.isDone && unpaced.isDone)
        #expect(paced.milliseconds <= unpaced.milliseconds + 12)
        #expect(paced.sentCount == 6400)
    }

    /// Losses by chance, one block in a hundred, are no reason to slow down: what a lost tail costs
    /// is the time-out.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func lossByChanceDoesNotSlowDown(seed: UInt64) {
        let link = Link(blockNanoseconds: 2_000, queueMax: 1000)
        let isLost = { (number: UInt64) in
            var random = SimulationRandom(seed: seed << 32 | number)
            return random.chance(perMille: 10)
        }
        let paced = Self.run(
            blockCount: 6400, windowsize: 32, link: link, isLost: isLost)
        let unpaced = Self.run(
            blockCount: 6400, windowsize: 32, link: link, paces: false, isLost: isLost)
        #expect(paced.isDone && unpaced.isDone)
        #expect(
            paced.milliseconds <= unpaced.milliseconds * 2 + 400,
            "\(paced.milliseconds) of \(unpaced.milliseconds) ms")
    }

    /// The ACK of a whole window comes while the window is sent again, block by block.
    @Test func anACKOfWhatWasOutBeforeARewindCounts() {
        var now: UInt64 = 1 << 40
        var table = TransferTable(capacity: 2, seed: 1, now: now)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        var grant = Grant()
        grant.options.windowsize = 64
        grant.windowsize = 64
        _ = table.startSending(slot, byteCount: 512 * 1000, grant: grant, now: now)
        _ = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: now)
        var rewindsSeen: UInt64 = 0
        // The window goes out, its ACK is lost, and a part of the window goes out again.
        while rewindsSeen == 0 {
            while case let due = table.due(slot, now: now), due.count > 0 {
                table.didSend(slot, count: due.count, now: now)
            }
            now += table.nanosecondsUntilDeadline(now: now) ?? 0
            while let expired = table.popExpired(now: now) {
                _ = table.stepTimeout(expired, now: now)
            }
            rewindsSeen = table.rewindCount
        }
        let due = table.due(slot, now: now)
        #expect(due.first == 1 && (1..<64).contains(due.count))
        table.didSend(slot, count: due.count, now: now)
        now += 1_000_000
        let effect = table.stepAck(
            slot, block: BlockNumber(64, rollover: .toZero), now: now)
        #expect(effect == .send)
        #expect(table.ackedBlock(of: slot) == 64)
        #expect(table.due(slot, now: now).first == 65)
        #expect(table.summary(of: slot, now: now).retransmissionCount == UInt32(due.count) + 1)
    }

    /// A client that repeats its ACK while the last block of the window is under way again has not
    /// answered that: the round trip is no shorter for it (Karn's rule, RFC 6298 §3).
    @Test func anACKAfterATimeOutTellsNothingOfTheRoundTrip() {
        var now: UInt64 = 1 << 40
        var table = TransferTable(capacity: 2, seed: 1, now: now)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        var grant = Grant()
        grant.options.windowsize = 4
        grant.windowsize = 4
        _ = table.startSending(slot, byteCount: 512 * 100, grant: grant, now: now)
        now += 80_000_000
        _ = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: now)
        table.didSend(slot, count: 4, now: now)
        var expired: Int?
        while expired == nil {
            now += table.nanosecondsUntilDeadline(now: now) ?? 0
            expired = table.popExpired(now: now)
        }
        _ = table.stepTimeout(slot, now: now)
        #expect(table.due(slot, now: now) == (first: 4, count: 1))
        table.didSend(slot, count: 1, now: now)
        now += 40_000_000
        _ = table.stepAck(slot, block: BlockNumber(rawValue: 4), now: now)
        let leastNanoseconds = UInt64(table.history[slot].pace.leastRoundTrip.value) << 10
        #expect(leastNanoseconds > 60_000_000)
    }

    /// Where transfers share a port, an ACK that was under way when the offer went out again has
    /// not answered that.
    @Test func anACKAfterARestartTellsNothingOfTheRoundTrip() {
        var now: UInt64 = 1 << 40
        var table = TransferTable(capacity: 2, seed: 1, now: now, sharesPort: true)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        var grant = Grant()
        grant.options.windowsize = 4
        grant.windowsize = 4
        _ = table.startSending(slot, byteCount: 512 * 100, grant: grant, now: now)
        now += 80_000_000
        _ = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: now)
        table.didSend(slot, count: 4, now: now)
        table.suspectRestart(slot, now: now)
        var effect = TransferTable.Effect.none
        while effect != .oack {
            now += table.nanosecondsUntilDeadline(now: now) ?? 0
            if table.popExpired(now: now) != nil { effect = table.stepTimeout(slot, now: now) }
        }
        now += 10_000_000
        _ = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: now)
        let leastNanoseconds = UInt64(table.history[slot].pace.leastRoundTrip.value) << 10
        #expect(leastNanoseconds > 60_000_000)
    }

    /// Coarse times are an eighth short at most, and never grow by being lowered.
    @Test func coarseTimesAreCloseEnough() {
        for exact in [1, 7, 8, 9, 15, 16, 17, 100, 1000, 4095, 65_537, 1 << 30] as [UInt32] {
            var coarse = CoarseStamps()
            coarse.lower(to: exact)
            #expect(coarse.value <= Int(exact))
            #expect(coarse.value >= Int(exact) - Int(exact) / 8)
            coarse.lower(to: exact * 2)
            #expect(coarse.value <= Int(exact))
        }
    }

    /// The next transfer to the same machine begins with what the last one has learned.
    @Test func whatWasLearnedIsKeptForTheNextTransfer() {
        let book = PaceBook()
        let peer = Download.client.address
        #expect(book.recall(peer, blksize: 1468) == nil)
        book.keep(peer, gap: 120, isShallow: true, blksize: 1468)
        let same = book.recall(peer, blksize: 1468)
        #expect((119...120).contains(same?.gap ?? 0))
        #expect(same?.isShallow == true)
        #expect((39...41).contains(book.recall(peer, blksize: 512)?.gap ?? 0))
        #expect(book.recall(Download.address, blksize: 1468) == nil)
    }

    /// Windows that every queue takes prove nothing about larger ones, and a scout that never came
    /// back does not prevent further scouts.
    @Test(arguments: [(windowsize: UInt16(16), acked: UInt64(160)), (64, 0), (64, 32)])
    func onlyWholeLargeWindowsShowThatAPathIsFast(windowsize: UInt16, acked: UInt64) {
        var table = TransferTable(capacity: 2, seed: 1, now: 1 << 40)
        func begin(_ windowsize: UInt16, _ table: inout TransferTable) -> Int {
            let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
            let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: 1 << 40)!
            var grant = Grant()
            grant.options.windowsize = UInt32(windowsize)
            grant.windowsize = windowsize
            _ = table.startSending(slot, byteCount: 512 * 1000, grant: grant, now: 1 << 40)
            _ = table.stepAck(slot, block: BlockNumber(rawValue: 0), now: 1 << 40)
            return slot
        }
        let first = begin(windowsize, &table)
        var now: UInt64 = 1 << 40
        while table.ackedBlock(of: first) < acked {
            while case let due = table.due(first, now: now), due.count > 0 {
                table.didSend(first, count: due.count, now: now)
                now += 200_000
            }
            now += 10_000_000
            let block = min(acked, table.ackedBlock(of: first) + UInt64(windowsize))
            _ = table.stepAck(
                first, block: BlockNumber(block, rollover: .toZero), now: now)
        }
        table.release(first)
        let next = begin(64, &table)
        #expect(table.due(next, now: 1 << 40).count <= Pace.openingBurst)
    }

    /// One transfer finds out for its network; others do not wait for it, and later ones know.
    @Test func aNetworkIsScoutedOnce() {
        let book = PaceBook()
        let machines = (1...3).map { Address(ipv4: 0x0A00_0700 + $0) }
        let (first, second) = (book.scouts(machines[0]), book.scouts(machines[1]))
        #expect(first && !second)
        book.noteNetwork(of: machines[0], isFast: false)
        let third = book.scouts(machines[2])
        #expect(third)
        book.keep(machines[1], gap: 0, isShallow: false, blksize: 1468)
        let (fourth, elsewhere) = (
            book.scouts(machines[2]), book.scouts(Address(ipv4: 0x0A00_0801))
        )
        #expect(!fourth && elsewhere)
    }
}
