import Testing

@testable import TFTPServing

@Suite struct EffectTests {
    /// What is larger is copied through memory: a word read from two that were just written waits
    /// for both.
    @Test func anEffectTravelsInRegisters() {
        #expect(MemoryLayout<ServerEffect?>.size <= 32)
    }

    /// Content that comes while blocks go out: each effect causes the next, any number of times.
    @Test func aChainOfEffectsHasNoEnd() {
        var queue = ClientEffectQueue()
        queue.append(.awaitContent(slot: 0))
        for slot in 1...1000 {
            guard case .awaitContent(let taken) = queue.takeFirst() else {
                Issue.record("no effect")
                return
            }
            #expect(taken == slot - 1)
            queue.append(.awaitContent(slot: slot))
        }
        #expect(queue.takeFirst() != nil)
        #expect(queue.takeFirst() == nil)
    }
}
