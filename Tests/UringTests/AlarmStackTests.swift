import Testing
import Uring

@Suite struct AlarmStackTests {
    @Test func whatGoesOffUncoversTheOneBelow() {
        var alarms = AlarmStack()
        let times: [UInt64] = [1000, 500, 20]
        for time in times {
            let isLate = alarms.isLate(for: time)
            #expect(isLate)
            alarms.push(time)
        }
        let again = alarms.isLate(for: 20)
        #expect(!again)
        alarms.remove(20)
        // A deadline between two alarms is met by the earlier one, without another.
        let isCovered = !alarms.isLate(for: 600)
        let isEarlier = alarms.isLate(for: 499)
        #expect(isCovered && isEarlier)
    }

    @Test func shortDeadlinesByTurnsWithLongOnesLeaveNothingBehind() {
        var alarms = AlarmStack()
        var pushCount = 0
        for turn in 0..<1000 as Range<UInt64> {
            // Each turn a packet is due in 1 and a time-out in 10,000.
            for deadline in [turn + 10_000, turn + 1] where alarms.isLate(for: deadline) {
                alarms.push(deadline)
                pushCount += 1
            }
            alarms.remove(turn + 1)
        }
        #expect(pushCount == 1001)
    }

    @Test func itIsFullAtEight() {
        var alarms = AlarmStack()
        for step in 0..<8 as Range<UInt64> {
            #expect(!alarms.isFull)
            alarms.push(100 - step)
        }
        #expect(alarms.isFull)
        alarms.remove(96)
        #expect(!alarms.isFull)
    }
}
