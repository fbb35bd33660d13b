import TFTPCore
import Testing

@testable import TFTPServing

/// Transfers whose clients have acknowledged nothing: times and numbers in, decisions out.
@Suite struct UnprovenTableTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func threeDatagramsAndThreeTimesTheRequestAndABlock() {
        var table = UnprovenTable(capacity: 4)
        table.append(0, requestByteCount: 10, now: 0)
        #expect(table.mayAnswer(0, byteCount: 516) == true)
        table.didAnswer(0, byteCount: 516, now: 0)
        #expect(table.mayRepeat(0) == false)
        #expect(table.mayAnswer(0, byteCount: 30) == true)
        #expect(table.mayAnswer(0, byteCount: 31) == false)
        table.append(1, requestByteCount: 10, now: 0)
        for _ in 0..<3 {
            #expect(table.mayRepeat(1) == true)
            table.didAnswer(1, byteCount: 30, now: 0)
        }
        #expect(table.mayAnswer(1, byteCount: 0) == false)
    }

    @Test func afterFiveSecondsARequestCountsAnew() {
        var table = UnprovenTable(capacity: 1)
        table.append(0, requestByteCount: 10, now: 0)
        table.didAnswer(0, byteCount: 516, now: Self.second)
        #expect(table.mayBeRenewed(0, now: 5 * Self.second) == false)
        #expect(table.mayBeRenewed(0, now: 6 * Self.second) == true)
        table.renew(0, now: 6 * Self.second)
        #expect(table.mayAnswer(0, byteCount: 516) == true)
        #expect(table.mayBeRenewed(0, now: 7 * Self.second) == false)
    }

    @Test func theOldestMakesWayWhenItHasHadTimeToAnswer() {
        var table = UnprovenTable(capacity: 4)
        #expect(table.evictable(now: 0) == nil)
        for slot in [2, 0, 3] { table.append(slot, requestByteCount: 10, now: 0) }
        #expect(table.evictable(now: Self.second - 1_000_000) == nil)
        #expect(table.evictable(now: Self.second) == 2)
        table.remove(2)
        #expect(table.evictable(now: Self.second) == 0)
        table.remove(3)
        table.remove(3)
        #expect(table.count == 1)
        #expect(table.contains(0) == true)
        #expect(table.contains(3) == false)
    }

    @Test(arguments: [(4, 4), (64, 64), (1000, 500)])
    func theyHaveAShareOfTheTable(capacity: Int, countMax: Int) {
        var table = UnprovenTable(capacity: capacity)
        for slot in 0..<countMax {
            #expect(table.isFull == false)
            table.append(slot, requestByteCount: 10, now: 0)
        }
        #expect(table.isFull == true)
    }

    /// Whichever it is, also of uploads that are in each other's way.
    @Test func eachHasTimeToAnswer() {
        var table = UnprovenTable(capacity: 4)
        table.append(1, requestByteCount: 10, now: 0)
        table.append(2, requestByteCount: 10, now: Self.second / 2)
        #expect(table.isEvictable(1, now: Self.second) == true)
        #expect(table.isEvictable(2, now: Self.second) == false)
        #expect(table.isEvictable(2, now: 3 * Self.second / 2) == true)
        #expect(table.isEvictable(0, now: 9 * Self.second) == false)
        table.remove(1)
        #expect(table.isEvictable(1, now: 9 * Self.second) == false)
    }

    @Test func ofManyNoneHasLong() {
        var table = UnprovenTable(capacity: 200)
        for slot in 0..<65 { table.append(slot, requestByteCount: 10, now: 0) }
        #expect(table.evictable(now: 49_000_000) == nil)
        #expect(table.evictable(now: 50_000_000) == 0)
    }
}
