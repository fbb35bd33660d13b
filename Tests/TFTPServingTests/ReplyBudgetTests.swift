import TFTPCore
import Testing

@testable import TFTPServing

/// What may be sent to networks that have proven nothing.
@Suite struct ReplyBudgetTests {
    private static let second: UInt64 = 1_000_000_000

    private static func address(_ network: UInt32, _ host: UInt32 = 1) -> Address {
        Address(ipv4: 0x0A00_0000 + network << 8 + host)
    }

    @Test func errorsToOneNetworkAreBounded() {
        var budget = ReplyBudget(seed: 1, now: 0)
        var count = 0
        for number in 0..<20_000 {
            let source = Self.address(0, UInt32(number % 254))
            if budget.take(source, requestByteCount: 20, byteCount: 20, cost: 4, now: 0) {
                count += 1
            }
        }
        #expect(count == ReplyBudget.repliesMax / 4)
        #expect(
            budget.take(Self.address(0), requestByteCount: 20, byteCount: 20, cost: 4, now: 0)
                == false)
        #expect(
            budget.take(Self.address(1), requestByteCount: 20, byteCount: 20, cost: 4, now: 0)
                == true)
        let later = Self.second
        #expect(
            budget.take(Self.address(0), requestByteCount: 20, byteCount: 20, cost: 4, now: later)
                == true)
    }

    /// Ten thousand machines behind one address that prove themselves cost nothing.
    @Test func whoProvesItselfGivesBack() {
        var budget = ReplyBudget(seed: 1, now: 0)
        for _ in 0..<100_000 {
            #expect(
                budget.take(Self.address(0), requestByteCount: 20, byteCount: 516, cost: 1, now: 0)
                    == true)
            budget.giveBack(Self.address(0), byteCount: 516, answerCount: 1, now: 0)
        }
        for _ in 0..<10_000 {
            #expect(
                budget.take(Self.address(0), requestByteCount: 20, byteCount: 516, cost: 1, now: 0)
                    == true)
        }
    }

    /// A million forged requests in a minute from 10,000 networks: at most three bytes out for one
    /// in, and a quiet network is answered all the time.
    @Test func aFloodLeavesQuietNetworksAlone() {
        var budget = ReplyBudget(seed: 1, now: 0)
        var (bytesIn, bytesOut) = (0, 0)
        let honest = Address(ipv4: 0xC0A8_0101)
        for number in 0..<1_000_000 {
            let now = UInt64(number) * 60_000
            let source = Self.address(UInt32(number % 10_000))
            bytesIn += 48
            if budget.take(source, requestByteCount: 20, byteCount: 516, cost: 1, now: now) {
                bytesOut += 544
            }
            guard number % 10_000 == 0 else { continue }
            #expect(
                budget.take(honest, requestByteCount: 20, byteCount: 516, cost: 1, now: now) == true
            )
            budget.giveBack(honest, byteCount: 516, answerCount: 1, now: now)
        }
        #expect(bytesOut <= 3 * bytesIn, "\(bytesOut) for \(bytesIn)")
    }

    /// Forged requests that name a network keep its clients without options out only while they
    /// come: a minute later there is a first block each half second, after a night for all.
    @Test func aDebtIsForgotten() {
        var budget = ReplyBudget(seed: 1, now: 0)
        let client = Self.address(0)
        func takes(_ now: UInt64) -> Bool {
            budget.take(client, requestByteCount: 20, byteCount: 516, cost: 1, now: now)
        }
        var now: UInt64 = 0
        while takes(now) {}
        now += 300 * Self.second
        while budget.take(client, requestByteCount: 20, byteCount: 516, cost: 0, now: now) {}
        for _ in 0..<10 {
            now += Self.second / 2
            #expect(takes(now) == true)
        }
        now += 12 * 3600 * Self.second
        for _ in 0..<1000 { #expect(takes(now) == true) }
    }

    /// A client that proves itself in a quiet network gives back to those that have drawn.
    @Test func proofInAQuietNetworkLendsNothingToOthers() {
        var budget = ReplyBudget(seed: 1, now: 0)
        let proven = Address(ipv4: 0xC0A8_0101)
        var bytesOut = 0
        for number in 0..<200_000 {
            let forged = Self.address(UInt32(number % 100))
            if budget.take(forged, requestByteCount: 20, byteCount: 516, cost: 0, now: 0) {
                bytesOut += 544
            }
            #expect(
                budget.take(proven, requestByteCount: 80, byteCount: 516, cost: 1, now: 0) == true)
            budget.giveBack(proven, byteCount: 516, answerCount: 1, now: 0)
        }
        // What all may share, and four first blocks for each of the networks.
        #expect(bytesOut <= 10 << 20, "\(bytesOut)")
    }
}
