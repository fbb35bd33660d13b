import Testing

@testable import TFTPServing

@Suite struct EffectTests {
    /// What is larger is copied through memory: a word read from two that were just written waits
    /// for both.
    @Test func anEffectTravelsInRegisters() {
        #expect(MemoryLayout<ServerEffect?>.size <= 32)
    }
}
