import Testing

@testable import TFTPCore

struct RolloverDoubtTests {
    @Test func silenceDecidesNothing() {
        var doubt = RolloverDoubt()
        for _ in 0..<100 { #expect(doubt.stepRepeat() == false) }
        #expect(!doubt.hasTried)
    }

    @Test func oneZeroIsAskedAboutOnce() {
        var doubt = RolloverDoubt()
        for _ in 0..<100 { doubt.stepRepeatedAck() }
        #expect(doubt.stepRepeat() == false)
        #expect(doubt.stepRepeat() == false)
        #expect(!doubt.hasTried)
    }

    @Test func whoAsksAfterEachZeroIsTriedWithOne() {
        var doubt = RolloverDoubt()
        for count in 1...RolloverDoubt.countMin {
            doubt.stepRepeatedAck()
            #expect(doubt.stepRepeat() == (count == RolloverDoubt.countMin))
            if count < RolloverDoubt.countMin { #expect(doubt.stepRepeat() == false) }
        }
        #expect(doubt.hasTried)
        doubt.stepRepeatedAck()
        #expect(
            doubt.stepRepeat() == false, "it stays at 1: the receiver may have taken block 1")
    }
}
