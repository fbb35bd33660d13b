import TFTPCore
import Testing

@testable import TFTPReactor

struct PathRecordTests {
    private let loopback = Address(high: 0, low: 0xFFFF_7F00_0001)

    @Test
    func theRouteTells() {
        let paths = PathRecord(transfersMax: 64)
        #expect(paths.byteCount(to: loopback, now: 0) > 1500)
    }

    /// Two silences, and blocks go out without DF until the transfer has ended.
    @Test
    func aBlackHole() {
        var paths = PathRecord(transfersMax: 64)
        func send(_ silences: Int, _ block: UInt64) -> Bool {
            paths.isCut(3, to: loopback, blksize: 1468, silenceCount: silences, first: block)
        }
        #expect(!send(0, 1))
        #expect(!send(1, 1))
        #expect(send(2, 1))
        #expect(
            paths.byteCount(to: loopback, now: 0) > 1500,
            "it may have been the client that was silent")
        #expect(send(0, 2))
        #expect(paths.byteCount(to: loopback, now: 0) == 1280)
        #expect(send(1, 3))
        #expect(!send(0, 1), "another transfer")
        let isCut = paths.isCut(3)
        #expect(!isCut)
    }

    @Test
    func smallBlocksPassEverywhere() {
        var paths = PathRecord(transfersMax: 64)
        let isCut = paths.isCut(0, to: loopback, blksize: 512, silenceCount: 5, first: 9)
        #expect(!isCut)
    }
}
