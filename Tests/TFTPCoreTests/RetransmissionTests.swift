import TFTPWire
import Testing

@testable import TFTPCore

/// When the table sends again, and when it must not.
@Suite struct RetransmissionTests {
    @Test func aTransferTakesAtMost128BytesOfState() {
        for shift in [4, 10, 16, 22] {
            let byteCount = TransferTable.transferByteCount(capacity: 1 << shift)
            #expect(byteCount <= Limits.transferByteCountMax)
        }
    }

    /// EDK II answers each unexpected block with an ACK of the last good one: they are one
    /// complaint.
    @Test func manyEqualACKsWithinARoundTripCauseOneRewind() {
        var download = Download(byteCount: 512 * 1000, windowsize: 8)
        download.advance(to: 80)
        download.wait(1)
        for _ in 0..<20 { download.ack(83) }
        #expect(download.log == ["DATA 84-91"])
        download.wait(2)
        for _ in 0..<20 { download.ack(83) }
        #expect(download.log == ["DATA 84-91", "DATA 84-91"])
    }

    /// Each block after the gap causes one ACK, however long the client takes for them.
    @Test func sixEqualACKsForOneGapCauseOneRewind() {
        var download = Download(byteCount: 512 * 1000, windowsize: 8)
        download.advance(to: 80)
        download.wait(1)
        for _ in 0..<6 {
            download.ack(81)
            download.wait(3)
        }
        #expect(download.log == ["DATA 82-89"])
        // One more than there were blocks behind the gap: the repeated block 82 is lost as well.
        download.ack(81)
        #expect(download.log == ["DATA 82-89", "DATA 82-89"])
    }

    /// A receiver that repeats its ACK by a timer shorter than the time-out: once no block can be
    /// at work any more, its ACK reports the loss of the repeated blocks.
    @Test func equalACKsOfATimerReportALoss() {
        var download = Download(byteCount: 512 * 1000, windowsize: 64)
        download.advance(to: 128)
        download.wait(1)
        download.ack(130)
        #expect(download.log == ["DATA 131-194"])
        for _ in 0..<6 {
            download.wait(150)
            download.ack(130)
        }
        #expect(download.log.count > 1)
        #expect(download.log.dropFirst().first == "DATA 131-194")
    }

    /// A time-out asks for what the client has by the last block alone, and then sends the window.
    @Test func silenceIsAnsweredByTheLastBlockFirst() {
        var download = Download(byteCount: 512 * 1000, windowsize: 8)
        download.advance(to: 80)
        while download.log.count < 2 { download.wait(1) }
        #expect(download.log == ["DATA 88", "DATA 81-88"])
        download.forget()
        // Each of the nine repeated blocks causes an ACK of the last one, and none of these causes
        // a block.
        for _ in 0..<9 { download.ack(88) }
        #expect(download.log == ["DATA 89-96"])
    }

    /// The block that asks is ahead of the one that the client misses.
    @Test func theLastBlockTellsOfAGap() {
        var download = Download(byteCount: 512 * 1000, windowsize: 8)
        download.advance(to: 80)
        while download.log.isEmpty { download.wait(1) }
        download.wait(1)
        download.ack(83)
        #expect(download.log == ["DATA 88", "DATA 84-91"])
    }

    /// A server under load: the round trip grows beyond the time-out from one block to the next.
    @Test func aRoundTripBeyondTheTimeOutIsLearned() {
        var download = Download(byteCount: 512 * 1000)
        download.advance(to: 20)
        for block: UInt64 in 21...40 {
            download.wait(300)
            download.ack(block)
        }
        let repeated = download.blocks.count - Set(download.blocks).count
        #expect(repeated <= 2, "\(repeated) of 20 blocks were sent again")
    }

    @Test func aGapAtTheFirstBlockOfAWindowIsRepairedAfterARoundTrip() {
        var download = Download(byteCount: 512 * 1000, windowsize: 8)
        download.advance(to: 80)
        download.wait(1)
        for _ in 0..<7 { download.ack(80) }
        #expect(download.log == ["DATA 81-88"])
    }

    /// Both ends' time-outs came at once: the window went out twice, so it is acknowledged twice,
    /// half a round trip apart. Each second ACK once doubled the next window, to the end of the
    /// file.
    @Test func aWindowThatArrivedTwiceDoesNotDoubleTheNextOnes() {
        var download = Download(byteCount: 512 * 1000, windowsize: 2)
        // Round trips of four milliseconds.
        download.ack(0)
        for window in 1...20 as ClosedRange<UInt64> {
            download.wait(4)
            download.ack(2 * window)
        }
        // The ACK of 42 is lost, and both ends speak up.
        download.forget()
        while download.log.isEmpty { download.wait(1) }
        download.wait(2)
        download.ack(42)
        download.wait(2)
        download.ack(42)
        for window in 22...40 as ClosedRange<UInt64> {
            // The client acknowledges each copy of the window's last block.
            let copies = download.blocks.count { $0 == 2 * window }
            download.wait(2)
            download.ack(2 * window)
            download.wait(2)
            if copies == 2 { download.ack(2 * window) }
        }
        // Blocks 41 to 82, and of these 41 and 42 are already a repetition.
        #expect(download.blocks.count <= 42 + 2)
    }

    @Test func anACKFromOutsideTheWindowIsIgnored() {
        var download = Download(byteCount: 512 * 1000, windowsize: 4)
        download.advance(to: 40)
        for block in [0, 35, 39, 45, 46, 1000, 65_535] as [UInt64] {
            #expect(download.ack(block) == .none)
        }
        #expect(download.log == [])
        #expect(download.table.ackedBlock(of: download.slot) == 40)
    }

    /// The Sorcerer's Apprentice (RFC 1123 §4.2.3.1).
    @Test func aDuplicateACKInLockstepIsNotAnswered() {
        var download = Download(byteCount: 512 * 1000)
        download.advance(to: 10)
        download.wait(50)
        #expect(download.ack(10) == .none)
        #expect(download.ack(10) == .none)
        #expect(download.log == [])
    }

    @Test func aSecondDuplicateACKAfterHalfTheTimeOutIsAnsweredOnce() {
        var download = Download(byteCount: 512 * 1000)
        download.advance(to: 10)
        download.wait(110)
        #expect(download.ack(10) == .none)
        download.ack(10)
        #expect(download.log == ["DATA 11"])
        download.ack(10)
        download.ack(10)
        #expect(download.log == ["DATA 11"])
    }

    /// The client's `timeout` option only ever shortens the time-out.
    @Test func timeOutsDoubleUpToThreeSeconds() {
        var download = Download(byteCount: 512 * 1000)
        download.advance(to: 10)
        let start = download.milliseconds
        download.wait(16_000)
        let times = download.times.map { $0 - start }
        let expected = [200, 600, 1400, 3000, 6000, 12_400, 15_400]
        #expect(times.count >= expected.count)
        for (time, expected) in zip(times, expected) {
            #expect((expected...(expected + 60)).contains(time))
        }
    }

    // MARK: Restarts and late duplicates

    private func rival(of download: inout Download) -> Int {
        #expect(download.judge() == .rival(slot: download.slot))
        let flow = Flow(peer: Download.client, local: Download.address, socket: 2)
        let now = download.now
        let slot = download.table.open(flow, opcode: .rrq, requestHash: 1, now: now)!
        download.table.setRivals(slot, download.slot)
        var grant = Grant()
        grant.options.blksize = 512
        #expect(download.table.startSending(slot, byteCount: 5000, grant: grant, now: now) == .oack)
        return slot
    }

    @Test func aLateDuplicateOfTheRequestDoesNotDisturbTheTransfer() {
        var download = Download(byteCount: 5000)
        download.advance(to: 4)
        let ghost = rival(of: &download)
        // The request again: the duplicate is offered again, and no third one is opened.
        #expect(download.judge() == .repeated(slot: ghost))
        download.ack(5)
        #expect(download.table.takeOutlivedRival() == ghost)
        #expect(download.table.isConfirmed(ghost) == false)
        download.table.release(ghost)
        download.ack(6)
        #expect(download.table.takeOutlivedRival() == nil)
        #expect(download.log == ["DATA 6", "DATA 7"])
    }

    @Test func aClientThatRestartedGetsTheFileFromTheBeginning() {
        var download = Download(byteCount: 5000)
        download.advance(to: 4)
        let restarted = rival(of: &download)
        // A repeated ACK of the old transfer is not progress and settles nothing.
        download.ack(4)
        #expect(download.table.takeOutlivedRival() == nil)
        let zero = BlockNumber(rawValue: 0)
        #expect(download.table.stepAck(restarted, block: zero, now: download.now) == .send)
        #expect(download.table.takeOutlivedRival() == download.slot)
        download.table.release(download.slot)
        #expect(download.table.due(restarted, now: download.now) == (1, 1))
        #expect(download.table.activeCount == 1)
    }

    /// One port for all: the request came again after a moment, and then nothing.
    @Test func aRestartAfterAMomentIsToldByItsSilence() {
        var download = Download(byteCount: 5000, sharesPort: true)
        download.advance(to: 4)
        download.table.suspectRestart(download.slot, now: download.now)
        download.wait(103)
        #expect(download.log == ["OACK"])
        download.ack(0)
        download.ack(1)
        #expect(download.log.suffix(2) == ["DATA 1", "DATA 2"])
    }

    /// One port for all: the network made two of the request, and the client was slow to answer.
    @Test func aSlowClientThatHadNotBegunAnewGoesOn() {
        var download = Download(byteCount: 5000, sharesPort: true)
        download.advance(to: 4)
        download.table.suspectRestart(download.slot, now: download.now)
        download.wait(150)
        #expect(download.log == ["OACK"])
        download.ack(5)
        download.ack(6)
        #expect(download.log.suffix(2) == ["DATA 6", "DATA 7"])
    }

    /// One port for all: the network made two of the request.
    @Test func aDuplicateOfTheRequestIsToldByProgress() {
        var download = Download(byteCount: 5000, sharesPort: true)
        download.advance(to: 4)
        download.table.suspectRestart(download.slot, now: download.now)
        download.wait(20)
        download.ack(5)
        #expect(download.table.takeOutlivedRival() == nil)
        download.wait(250)
        #expect(download.log == ["DATA 6", "DATA 6"])
    }

    @Test func anotherRequestFromTheSamePortReplacesTheTransfer() {
        var download = Download(byteCount: 5000)
        download.advance(to: 4)
        #expect(download.judge(requestHash: 2) == .replace(slot: download.slot))
        download.table.release(download.slot)
        #expect(download.judge(requestHash: 2) == .new)
    }

    /// If two transfers are open for different requests of one client, each is the other's
    /// duplicate and is repeated by its own request.
    @Test func eachOfTwoRequestsIsRepeated() {
        var download = Download(byteCount: 5000)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 2)
        let other = download.table.open(flow, opcode: .rrq, requestHash: 2, now: download.now)!
        download.table.setRivals(other, download.slot)
        #expect(download.judge(requestHash: 1) == .repeated(slot: download.slot))
        #expect(download.judge(requestHash: 2) == .pending(slot: other))
    }

    /// A caller that did not ask who was outlived must not end a stranger's transfer in the same
    /// slot later.
    @Test func aFreedSlotHasNoDuplicate() {
        var download = Download(byteCount: 5000)
        download.advance(to: 4)
        let ghost = rival(of: &download)
        download.ack(5)
        download.table.release(download.slot)
        #expect(download.table.takeOutlivedRival() == nil)
        download.table.release(ghost)
        #expect(download.table.activeCount == 0)
    }

    // MARK: Rollover to 1

    /// A client that sends to one that receives, both with block 1 after block 65535. One datagram
    /// in a hundred is lost.
    @Test(arguments: [1, 16] as [UInt16])
    func rolloverToOneGoesOnPastBlock65535(windowsize: UInt16) {
        var pair = Pair(blockCount: 65_600, windowsize: windowsize)
        pair.run()
        #expect(pair.received == 65_600)
        #expect(pair.isDone == true)
    }
}

/// A sender and a receiver in the client's roles, face to face.
private struct Pair: ~Copyable {
    var table: TransferTable
    let sender: Int
    let receiver: Int
    var now: UInt64 = 1_000_000_000
    var received: UInt64 = 0
    var isDone = false
    private var count = 0
    private var data: [(block: UInt64, byteCount: Int)] = []
    private let last: UInt64

    init(blockCount: UInt64, windowsize: UInt16) {
        last = blockCount
        table = TransferTable(capacity: 2, seed: 1, now: now)
        let flows = (1...2).map { socket in
            Flow(peer: Download.client, local: Download.address, socket: UInt16(socket))
        }
        sender = table.request(flows[0], opcode: .wrq, rollover: .toOne, now: now)!
        receiver = table.request(flows[1], opcode: .rrq, rollover: .toOne, now: now)!
        var grant = Grant()
        grant.blksize = 8
        grant.windowsize = windowsize
        grant.options.windowsize = UInt32(windowsize)
        let byteCount = blockCount * 8 - 1
        _ = table.stepOACK(receiver, grant: grant, byteCount: nil, now: now)
        _ = table.stepOACK(sender, grant: grant, byteCount: byteCount, now: now)
    }

    mutating func run() {
        send()
        while !isDone {
            now += 1_000_000
            let blocks = data
            data = []
            for (block, byteCount) in blocks where !isLost() { receive(block, byteCount) }
            while let slot = table.popExpired(now: now) {
                perform(table.stepTimeout(slot, now: now))
            }
        }
    }

    private mutating func isLost() -> Bool {
        count += 1
        return count % 100 == 0
    }

    private mutating func receive(_ block: UInt64, _ byteCount: Int) {
        let wire = BlockNumber(block, rollover: .toOne)
        let effect = table.stepData(receiver, block: wire, byteCount: byteCount, now: now)
        switch effect {
        case .take: received += 1
        case .takeAndAck(let block):
            received += 1
            perform(.ack(block))
        case .takeLast:
            received += 1
            perform(table.didCommit(receiver, now: now))
        default: perform(effect)
        }
        if block > received { #expect(effect == .none || effect == .ack(received)) }
    }

    private mutating func perform(_ effect: TransferTable.Effect) {
        switch effect {
        case .ack(let block) where !isLost():
            perform(table.stepAck(sender, block: BlockNumber(block, rollover: .toOne), now: now))
        case .send: send()
        case .end: isDone = true
        default: break
        }
    }

    private mutating func send() {
        let due = table.due(sender, now: now)
        guard due.count > 0 else { return }
        for block in due.first..<(due.first + UInt64(due.count)) {
            data.append((block, block == last ? 7 : 8))
        }
        table.didSend(sender, count: due.count, now: now)
    }
}
