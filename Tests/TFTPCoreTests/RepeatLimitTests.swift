import TFTPWire
import Testing

@testable import TFTPCore

/// How `timeout` and `utimeout` shorten time-outs.
@Suite struct RepeatLimitTests {
    @Test(
        arguments: [
            (0, nil), (10_000, 10), (19_999, 10), (50_000, 50), (1_270_000, 1270),
            (1_280_000, 1200), (2_000_000, 2000), (5_000_000, 5000), (12_700_000, 12_700),
            (12_800_000, 12_700), (255_000_000, 12_700),
        ] as [(UInt32, UInt64?)])
    func oneByteHoldsIt(microseconds: UInt32, milliseconds: UInt64?) {
        let limit = RepeatLimit(microseconds: microseconds)
        #expect(limit.nanoseconds == milliseconds.map { $0 * 1_000_000 })
    }

    /// Longer than any time-out, so that the longest code limits nothing.
    @Test func theLargestIsBeyondEveryTimeout() {
        #expect(12_700_000_000 > Limits.timeoutUnconfirmedMaxNanoseconds)
    }

    /// Silence after the OACK: what is repeated, and when.
    @Test(arguments: [(0, 1000), (500_000, 500), (50_000, 50)] as [(UInt32, UInt64)])
    func theAnswerIsRepeatedInTime(utimeout: UInt32, milliseconds: UInt64) throws {
        let now: UInt64 = 240 << TimingWheel.tickShift
        var table = TransferTable(capacity: 1, seed: 1, now: now)
        let flow = Flow(peer: Download.client, local: Download.address, socket: 1)
        let opened = table.open(flow, opcode: .rrq, requestHash: 1, now: now)
        let slot = try #require(opened)
        var grant = Grant()
        grant.options.utimeout = utimeout > 0 ? utimeout : nil
        grant.options.tsize = 5
        let effect = table.startSending(slot, byteCount: 5, grant: grant, now: now)
        #expect(effect == .oack)
        let deadline = table.nanosecondsUntilDeadline(now: now)
        let sleep = try #require(deadline)
        // A tick of the wheel is about four milliseconds.
        #expect((sleep / 1_000_000) >= milliseconds - 5)
        #expect((sleep / 1_000_000) <= milliseconds + 10)
    }

    /// The peer's own window: smaller, larger, and in the middle of one.
    @Test func theNextWindowIsThePeers() {
        var download = Download(byteCount: 100 * 512, windowsize: 4)
        download.ack(0)
        let first = download.blocks
        #expect(first == [1, 2, 3, 4])
        download.table.setNextWindow(of: download.slot, 2)
        download.table.checkInvariants(download.slot)
        download.ack(2)
        download.table.checkInvariants(download.slot)
        let second = download.blocks
        #expect(second == [1, 2, 3, 4, 3, 4])
        download.table.setNextWindow(of: download.slot, 6)
        download.ack(4)
        let third = Array(download.blocks.suffix(6))
        #expect(third == [5, 6, 7, 8, 9, 10])
        download.table.setNextWindow(of: download.slot, 1)
        download.table.checkInvariants(download.slot)
        download.ack(5)
        download.table.checkInvariants(download.slot)
        let last = download.blocks.last
        #expect(last == 6)
    }
}
