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
            paths.isCut(
                3, to: loopback, blksize: 1468, silenceCount: silences, first: block,
                acked: block - 1, now: 0)
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
        let isCut = paths.isCut(
            0, to: loopback, blksize: 512, silenceCount: 5, first: 1, acked: 0, now: 0)
        #expect(!isCut)
    }

    /// A client that pauses in the middle, as GRUB does while it decompresses: its path has brought
    /// full blocks.
    @Test
    func aPauseIsNoBlackHole() {
        var paths = PathRecord(transfersMax: 64)
        for silences in 2...5 {
            let isCut = paths.isCut(
                0, to: loopback, blksize: 1468, silenceCount: silences, first: 40, acked: 39, now: 0
            )
            #expect(!isCut)
        }
    }

    /// Paths change, and addresses share a bit: what was learnt is forgotten.
    @Test
    func aBlackHoleIsForgotten() {
        var paths = PathRecord(transfersMax: 64)
        let minute: UInt64 = 60_000_000_000
        func send(_ silences: Int, _ block: UInt64, now: UInt64) {
            _ = paths.isCut(
                3, to: loopback, blksize: 1468, silenceCount: silences, first: block,
                acked: block - 1, now: now)
        }
        send(2, 1, now: 20 * minute)
        send(0, 2, now: 20 * minute)
        #expect(paths.byteCount(to: loopback, now: 29 * minute) == 1280)
        #expect(paths.byteCount(to: loopback, now: 30 * minute) > 1500)
        send(2, 1, now: 31 * minute)
        send(0, 2, now: 31 * minute)
        #expect(paths.byteCount(to: loopback, now: 32 * minute) == 1280)
    }
}
