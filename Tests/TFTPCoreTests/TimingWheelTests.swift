import Simulation
import TFTPWire
import Testing

@testable import TFTPCore

/// The wheel against a model that keeps all deadlines in an array.
@Suite struct TimingWheelTests {
    static let tickNanoseconds: UInt64 = 1 << TimingWheel.tickShift
    static let capacity = 48

    /// Deadlines are set, moved both ways and cancelled, and the clock advances by nothing, by
    /// moments or by more than the wheel's horizon. None is early, none is late by more than two
    /// ticks, none is lost.
    @Test(arguments: 0..<24 as Range<UInt64>)
    func everyDeadlineComesUpOnceAndOnTime(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        // A third of the seeds begins where 32 bits of ticks wrap.
        let wrap: UInt64 = (1 << 32) << TimingWheel.tickShift
        var now = seed % 3 == 0 ? wrap - 3_000_000_000 : random.below(1 << 50)
        var wheel = TimingWheel(capacity: Self.capacity, now: now)
        var model = [UInt64?](repeating: nil, count: Self.capacity)
        for _ in 0..<1500 {
            for _ in 0..<random.below(6) { change(&wheel, &model, now, using: &random) }
            checkSleep(wheel, model, now)
            now += drawStep(using: &random)
            pop(&wheel, &model, now)
        }
    }

    private func change(
        _ wheel: inout TimingWheel, _ model: inout [UInt64?], _ now: UInt64,
        using random: inout SimulationRandom
    ) {
        let slot = random.below(Self.capacity)
        guard !random.chance(perMille: 200) else {
            wheel.cancel(slot)
            model[slot] = nil
            return
        }
        let spans: [UInt64] = [1, 5_000_000, 300_000_000, 4_000_000_000, 130_000_000_000]
        let deadline = now + random.below(random.pick(spans))
        wheel.schedule(slot, at: deadline)
        model[slot] = deadline
    }

    private func drawStep(using random: inout SimulationRandom) -> UInt64 {
        let spans: [UInt64] = [1, 2_000_000, 50_000_000, 2_000_000_000, 200_000_000_000]
        return random.below(random.pick(spans))
    }

    private func pop(_ wheel: inout TimingWheel, _ model: inout [UInt64?], _ now: UInt64) {
        while let slot = wheel.popExpired(now: now) {
            let deadline = model[slot]
            #expect(deadline != nil, "a cancelled deadline comes up")
            #expect(deadline ?? 0 <= now, "a deadline is early")
            model[slot] = nil
        }
        let late = model.compactMap { $0 }.filter { $0 + 2 * Self.tickNanoseconds <= now }
        #expect(late.isEmpty, "a deadline is late")
    }

    /// A sleeper that wakes when the wheel says misses no deadline.
    private func checkSleep(_ wheel: borrowing TimingWheel, _ model: [UInt64?], _ now: UInt64) {
        let sleep = wheel.nanosecondsUntilNext(now: now)
        let earliest = model.compactMap { $0 }.min()
        #expect((sleep == nil) == (earliest == nil))
        guard let sleep, let earliest else { return }
        #expect(now + sleep <= max(now, earliest) + 2 * Self.tickNanoseconds)
    }

    /// A deadline that moves later with each packet is found at its last place.
    @Test func aDeadlineThatMovesOnComesUpWhereItCameToRest() {
        var wheel = TimingWheel(capacity: 1, now: 0)
        var now: UInt64 = 0
        while now < 60_000_000_000 {
            wheel.schedule(0, at: now + 200_000_000)
            now += 1_000_000
            #expect(wheel.popExpired(now: now) == nil)
        }
        #expect(wheel.popExpired(now: now + 190_000_000) == nil)
        #expect(wheel.popExpired(now: now + 210_000_000) == 0)
        #expect(wheel.popExpired(now: now + 900_000_000_000) == nil)
    }

    /// A shard without requests for months does not look at its wheel.
    @Test(arguments: [1, 103, 105, 150, 207, 209, 365] as [UInt64])
    func aWheelThatStoodEmptyForDaysKeepsTime(days: UInt64) {
        var wheel = TimingWheel(capacity: 2, now: 0)
        let now = days * 86_400 * 1_000_000_000
        wheel.catchUp(now: now)
        wheel.schedule(0, at: now + 1_000_000_000)
        #expect(wheel.popExpired(now: now) == nil)
        let sleep = wheel.nanosecondsUntilNext(now: now) ?? 0
        #expect((4_000_000...1_010_000_000).contains(sleep))
        #expect(wheel.popExpired(now: now + 999_000_000) == nil)
        #expect(wheel.popExpired(now: now + 1_010_000_000) == 0)
    }

    @Test func aTableThatStoodEmptyForMonthsKeepsTime() {
        var table = TransferTable(capacity: 2, seed: 1, now: 0)
        let now: UInt64 = 150 * 86_400 * 1_000_000_000
        let flow = PeerIndexTests.flow(1, 2000, 1)
        let slot = table.open(flow, opcode: .rrq, requestHash: 1, now: now)
        let patience = Limits.openingPatienceNanoseconds
        #expect(table.popExpired(now: now + patience) == nil)
        #expect(table.popExpired(now: now + patience + 10_000_000) == slot)
    }
}
