import TFTPMetrics
import Testing

@testable import TFTPServer

struct ShortageLogTests {
    /// The first refusal is told at once, the others once a minute with their number.
    @Test
    func onceAMinute() {
        var log = ShortageLog()
        var count: UInt64 = 0
        let start = ContinuousClock.now
        func lines(_ seconds: Int) -> [String] {
            log.lines(now: start + .seconds(seconds)) { $0 == .shortOfTransfers ? count : 0 }
        }
        #expect(lines(0).isEmpty)
        count = 1
        #expect(lines(1).map { $0.prefix(2) } == ["1 "])
        count = 500
        #expect(lines(2).isEmpty)
        #expect(lines(60).isEmpty)
        #expect(lines(61).map { $0.prefix(4) } == ["499 "])
        #expect(lines(200).isEmpty)
    }

    @Test
    func eachByItself() {
        var log = ShortageLog()
        let lines = log.lines(now: .now) { $0 == .shortOfUploads || $0 == .shortOfStore ? 3 : 0 }
        #expect(lines.count == 2)
    }
}
