import TFTPWire
import Testing

@testable import TFTPCore

/// What boot clients do, one by one, and what the table owes them. Deadlines come up to two ticks
/// (8.4 ms) late.
@Suite struct BootClientTests {
    @Test func edk2AsksForTheSizeAndLeavesWithError8() {
        var download = Download(byteCount: 1_000_000, blksize: 1468, windowsize: 4)
        download.wait(until: 3)
        download.perform(
            download.table.stepError(download.slot, code: .optionNegotiation, isWrongBlock: false))
        download.wait(until: 200_000)
        #expect(download.log == ["OACK", "probe"])
        #expect(download.table.activeCount == 0)
        #expect(download.table.nanosecondsUntilDeadline(now: download.now) == nil)
    }

    /// Every unexpected block makes EDK II send an ACK of the last expected one, and its window
    /// begins anew with every ACK. One block in a thousand is lost.
    @Test func edk2AcknowledgesEveryUnexpectedBlockAndStartsNoStorm() {
        let blockCount: UInt64 = 20_000
        var download = Download(
            byteCount: blockCount * 512 - 1, blksize: 512, windowsize: 4)
        var client = EDK2(windowsize: 4, last: blockCount)
        var sentCount = 0
        var lossCount = 0
        download.ack(0)
        while download.outcome == nil {
            let blocks = download.blocks
            download.forget()
            guard !blocks.isEmpty else {
                download.wait(10)
                continue
            }
            var acks: [UInt64] = []
            for block in blocks {
                sentCount += 1
                if sentCount % 1000 == 0 {
                    lossCount += 1
                } else if let ack = client.receive(block) {
                    acks.append(ack)
                }
            }
            download.wait(1)
            for ack in acks where download.outcome == nil { download.ack(ack) }
        }
        #expect(download.outcome == .done)
        #expect(lossCount >= 20)
        #expect(sentCount <= Int(blockCount) + 4 * lossCount)
    }

    private struct EDK2 {
        var windowsize: UInt64
        var last: UInt64
        var received: UInt64 = 0
        var acked: UInt64 = 0

        mutating func receive(_ block: UInt64) -> UInt64? {
            if block == received + 1 {
                received = block
                guard received - acked == windowsize || received == last else { return nil }
            }
            acked = received
            return received
        }
    }

    /// GRUB never repeats an ACK, and takes a second block 65535 for one ahead. Its ACK of the
    /// first was lost.
    @Test func grubGetsBlock0AfterBlock65535WasHeldBack() {
        var download = Download(byteCount: 1024 * 70_000, blksize: 1024)
        download.advance(to: 65_534)
        let start = download.milliseconds
        download.wait(9000)
        #expect(download.log.prefix(2) == ["DATA 65535", "DATA 65536"])
        #expect((3000...3010).contains(download.times[0] - start))
        #expect((6000...6020).contains(download.times[1] - start))
        #expect(download.ack(65_536) == .send)
        #expect(download.log.last == "DATA 65537")
        download.forget()
        download.wait(1)
        download.ack(65_537)
        #expect(download.log == ["DATA 65538"])
    }

    /// iPXE would take a second block 65535 for block 131071 and never finish. It repeats its ACK
    /// after 250 ms.
    @Test func iPXENeverGetsASecondBlock65535() {
        var download = Download(byteCount: 1432 * 70_000, blksize: 1432)
        download.advance(to: 65_534)
        download.wait(250)
        #expect(download.log == [])
        download.ack(65_535)
        #expect(download.log == ["DATA 65536"])
    }

    /// An ACK of 65534 again says that block 65535 itself was lost.
    @Test func block65535IsRepeatedAtOnceForAClientThatAsks() {
        var download = Download(byteCount: 1432 * 70_000, blksize: 1432)
        download.advance(to: 65_534)
        download.wait(250)
        download.ack(65_534)
        #expect(download.log == ["DATA 65535"])
    }

    /// The network makes two of each ACK around block 65535: each block goes out once all the same.
    @Test(arguments: [0, 20, 80] as [UInt64])
    func doubledACKsAroundBlock65535BringNothingTwice(delay: UInt64) {
        var download = Download(byteCount: 1432 * 70_000, blksize: 1432)
        download.advance(to: 65_532)
        for block: UInt64 in 65_533...65_538 {
            download.wait(1)
            download.ack(block)
            download.wait(delay)
            download.ack(block)
        }
        #expect(download.blocks == [65_534, 65_535, 65_536, 65_537, 65_538, 65_539])
    }

    /// A repeated ACK of 65534 that the network doubles asks for one block.
    @Test func aDoubledQuestionForBlock65535BringsItOnce() {
        var download = Download(byteCount: 1432 * 70_000, blksize: 1432)
        download.advance(to: 65_534)
        download.wait(250)
        download.ack(65_534)
        download.wait(30)
        download.ack(65_534)
        #expect(download.log == ["DATA 65535"])
    }

    /// U-Boot acknowledges a block in mid-window after five seconds, and means: go on from there.
    @Test func uBootIsFollowedToTheMiddleOfAWindowOnce() {
        var download = Download(byteCount: 1468 * 200, blksize: 1468, windowsize: 16)
        download.advance(to: 16)
        download.wait(5000)
        download.forget()
        let before = download.table.rewindCount
        download.ack(26)
        #expect(download.log == ["DATA 27-42"])
        download.ack(26)
        download.ack(26)
        #expect(download.log == ["DATA 27-42"])
        #expect(download.table.rewindCount == before + 1)
        download.wait(1)
        download.ack(42)
        #expect(download.log == ["DATA 27-42", "DATA 43-58"])
    }

    /// U-Boot sends no ACK for a gap at or above block 32768, and would wait for five seconds.
    @Test func aLossThatUBootDoesNotReportIsRepairedWithinASecond() {
        var download = Download(byteCount: 1468 * 40_000, blksize: 1468, windowsize: 16)
        download.advance(to: 32_768)
        let start = download.milliseconds
        download.wait(900)
        // First the end of the window alone: other clients answer that.
        #expect(download.log == ["DATA 32784", "DATA 32769-32784"])
        #expect((200...210).contains(download.times[0] - start))
        #expect((600...620).contains(download.times[1] - start))
    }

    /// U-Boot begins anew when an OACK comes after DATA.
    @Test func theOACKIsRepeatedUntilAnythingIsAcknowledgedAndNeverAfter() {
        var download = Download(byteCount: 5000)
        download.wait(until: 1500)
        #expect(download.log == ["OACK", "OACK"])
        #expect((1000...1010).contains(download.times[1]))
        #expect(download.repeatRequest() == true)
        #expect(download.log == ["OACK", "OACK", "OACK"])
        download.ack(0)
        download.forget()
        download.ack(0)
        #expect(download.repeatRequest() == false)
        download.wait(28_000)
        #expect(download.log.allSatisfy { $0 == "DATA 1" })
        #expect(download.log.count > 3)
    }

    @Test func pxelinuxRepeatsItsRequestAndGetsOneTransferAndOneOACKEach() {
        var download = Download(byteCount: 5000, blksize: 1408)
        for time in [110, 220, 385] as [UInt64] {
            download.wait(until: time)
            #expect(download.repeatRequest() == true)
        }
        #expect(download.log == ["OACK", "OACK", "OACK", "OACK"])
        #expect(download.times == [0, 110, 220, 385])
        #expect(download.table.activeCount == 1)
    }

    @Test func busyboxRepeatsItsRequestAndGetsDATA1Each() {
        var download = Download(byteCount: 5000, hasOptions: false)
        for time in [100, 250, 475] as [UInt64] {
            download.wait(until: time)
            #expect(download.repeatRequest() == true)
        }
        #expect(download.log == ["DATA 1", "DATA 1", "DATA 1", "DATA 1"])
        #expect(download.table.activeCount == 1)
    }

    /// GRUB is silent while it decompresses.
    @Test func aClientThatIsSilentForTwentySecondsGoesOn() {
        var download = Download(byteCount: 1024 * 100, blksize: 1024)
        download.advance(to: 50)
        download.wait(20_000)
        #expect(download.outcome == nil)
        #expect(download.log.allSatisfy { $0 == "DATA 51" })
        #expect((6...8).contains(download.log.count))
        download.ack(51)
        #expect(download.log.last == "DATA 52")
    }

    @Test func aClientThatIsSilentForTwoMinutesIsGivenUp() {
        var download = Download(byteCount: 1024 * 100, blksize: 1024)
        download.advance(to: 50)
        let start = download.milliseconds
        download.wait(200_000)
        #expect(download.outcome == .timedOut)
        #expect((120_000...123_100).contains(download.times.last! - start))
        #expect(download.log.count <= 46)
    }

    /// Blocks that a byte rate holds back do not keep a client alive that has gone, and a client
    /// that waits for its first blocks is not taken for one.
    @Test func aSilentClientIsGivenUpWhereBlocksAreHeldBackToo() {
        var download = Download(byteCount: 1024 * 100, blksize: 1024)
        download.advance(to: 50)
        for _ in 0..<200 { download.holdBack(milliseconds: 1_000) }
        #expect(download.outcome == nil)
        let start = download.milliseconds
        while download.outcome == nil, download.milliseconds < start + 200_000 {
            download.wait(4_000)
            if download.outcome == nil { download.holdBack(milliseconds: 500) }
        }
        #expect(download.outcome == .timedOut)
        #expect((118_000...130_000).contains(download.milliseconds - start))
    }

    /// A sender that never answers may be a forged address: few packets are spent on it.
    @Test(arguments: [true, false])
    func anUnansweredOfferCostsFewPackets(hasOptions: Bool) {
        var download = Download(byteCount: 1024 * 100, windowsize: 64, hasOptions: hasOptions)
        download.wait(until: 60_000)
        #expect(download.outcome == .timedOut)
        #expect(download.log.count <= 15)
        #expect(download.blocks.allSatisfy { $0 == 1 })
    }

    /// lwIP reports a late duplicate with ERROR 5 and continues.
    @Test func anERRORAboutAWrongBlockIsOverlookedOnceBetweenTwoACKs() {
        var download = Download(byteCount: 5000)
        download.advance(to: 2)
        let slot = download.slot
        for _ in 0..<2 {
            let effect = download.table.stepError(
                slot, code: .unknownTransferID, isWrongBlock: true)
            #expect(effect == .none)
            #expect(download.ack(download.table.ackedBlock(of: slot) + 1) == .send)
        }
        _ = download.table.stepError(slot, code: .unknownTransferID, isWrongBlock: true)
        let again = download.table.stepError(slot, code: .unknownTransferID, isWrongBlock: true)
        #expect(again == .end(.aborted))
        let other = download.table.stepError(slot, code: .unknownTransferID, isWrongBlock: false)
        #expect(other == .end(.aborted))
    }

    @Test func aStrangerBelongsToNoTransfer() {
        let download = Download(byteCount: 5000)
        let otherPort = Endpoint(address: Download.client.address, port: 2001)
        let otherHost = Endpoint(address: Address(ipv4: 7), port: 2000)
        let strangers = [
            Flow(peer: otherPort, local: Download.address, socket: 1),
            Flow(peer: otherHost, local: Download.address, socket: 1),
            Flow(peer: Download.client, local: Address(ipv4: 0x0A00_0003), socket: 1),
            Flow(peer: Download.client, local: Download.address, socket: 2),
        ]
        for stranger in strangers { #expect(download.table.find(stranger) == nil) }
        let own = Flow(peer: Download.client, local: Download.address, socket: 1)
        #expect(download.table.find(own) == download.slot)
    }

    @Test func aClientThatBootsWithoutItsLastACKCountsAsServed() {
        var download = Download(byteCount: 1000)
        download.advance(to: 1)
        download.wait(60_000)
        #expect(download.log == Array(repeating: "DATA 2", count: 5) + ["doneUnacknowledged"])
        #expect(download.times.last! < 15_000)
    }

    @Test func aFileThatFillsItsBlocksEndsWithAnEmptyOne() {
        var download = Download(byteCount: 1024)
        download.ack(0)
        download.ack(1)
        download.ack(2)
        #expect(download.log == ["OACK", "DATA 1", "DATA 2", "DATA 3"])
        download.ack(3)
        #expect(download.outcome == .done)
    }

    @Test func anEmptyFileIsOneEmptyBlock() {
        var download = Download(byteCount: 0)
        download.ack(0)
        download.ack(1)
        #expect(download.log == ["OACK", "DATA 1", "done"])
    }
}
