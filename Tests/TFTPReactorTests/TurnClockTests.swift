import Testing

@testable import TFTPReactor

struct TurnClockTests {
    private let second: UInt64 = 1_000_000_000

    @Test
    func runsAsTheMachineDoes() {
        var clock = TurnClock()
        #expect(clock.now(monotonic: 5 * second, last: 4 * second, planned: second) == 5 * second)
        #expect(clock.now(monotonic: 6 * second, last: 5 * second, planned: 0) == 6 * second)
    }

    /// A minute in which the process did not run does not count as silence of a client.
    @Test
    func leavesOutAPause() {
        var clock = TurnClock()
        #expect(
            clock.now(monotonic: 70 * second, last: 10 * second, planned: second) == 11 * second)
        #expect(
            clock.now(monotonic: 71 * second, last: 11 * second, planned: second) == 12 * second)
        #expect(clock.now(monotonic: 140 * second, last: 12 * second, planned: 0) == 12 * second)
        #expect(
            clock.now(monotonic: 141 * second, last: 12 * second, planned: second) == 13 * second)
    }

    /// Without a deadline a long sleep is just that.
    @Test
    func sleepsWithoutEnd() {
        var clock = TurnClock()
        #expect(clock.now(monotonic: 99 * second, last: second, planned: nil) == 99 * second)
    }
}
