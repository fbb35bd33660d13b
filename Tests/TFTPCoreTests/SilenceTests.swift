import Testing

@testable import TFTPCore

/// How long the table waits for a client that says nothing.
@Suite struct SilenceTests {
    /// A client may start its timer of 5 s anew with each packet: there are pauses that are longer.
    @Test func everyOtherWaitIsAPauseInTheEnd() {
        var download = Download(byteCount: 512 * 1000)
        download.advance(to: 20)
        let start = download.milliseconds
        download.wait(119_000)
        let times = download.times.map { $0 - start }
        let waits = zip(times.dropFirst(), times).map { $0 - $1 }
        let first = waits.firstIndex { $0 > 6000 }
        #expect(first.map { times[$0] < 8000 } == true, "\(times)")
        for (wait, next) in zip(waits.dropFirst(5), waits.dropFirst(6)) {
            #expect(max(wait, next) > 6000 && max(wait, next) < 7000, "\(waits)")
            #expect(min(wait, next) < 3500, "\(waits)")
        }
        #expect(download.outcome == nil)
    }

    /// An ACK of the OACK may be forged: what it brings is bounded, and ends soon.
    @Test func silenceAfterTheACKOfAnOACKIsShort() {
        var download = Download(byteCount: 512 * 100_000, windowsize: 64)
        download.ack(0)
        download.wait(31_000)
        #expect(download.outcome == .timedOut)
        #expect(download.blocks.count < 3 * 64, "\(download.blocks.count)")
    }
}
