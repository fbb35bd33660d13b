import TFTPWire
import Testing

@Suite struct BlockNumberTests {
    @Test(
        arguments: [
            (0, 0, 0), (1, 1, 1), (65534, 65534, 65534), (65535, 65535, 65535), (65536, 0, 1),
            (65537, 1, 2), (131_070, 65534, 65535), (131_071, 65535, 1), (131_072, 0, 2),
            (196_605, 65533, 65535), (196_606, 65534, 1), (1 << 32, 0, 1),
        ] as [(UInt64, UInt16, UInt16)])
    func aBlockHasItsNumber(block: UInt64, toZero: UInt16, toOne: UInt16) {
        #expect(BlockNumber(block, rollover: .toZero).rawValue == toZero)
        #expect(BlockNumber(block, rollover: .toOne).rawValue == toOne)
    }

    @Test func numbersCountUpThroughTwoRollovers() {
        var wrong: [UInt64] = []
        var toZero: UInt16 = 0
        var toOne: UInt16 = 0
        for block: UInt64 in 1...200_000 {
            toZero = toZero == 65535 ? 0 : toZero + 1
            toOne = toOne == 65535 ? 1 : toOne + 1
            if BlockNumber(block, rollover: .toZero).rawValue != toZero { wrong.append(block) }
            if BlockNumber(block, rollover: .toOne).rawValue != toOne { wrong.append(block) }
        }
        #expect(wrong == [])
    }

    /// The blocks where something could change: the start and both kinds of rollover.
    static let blocks: [UInt64] = [
        0, 1, 2, 3, 65533, 65534, 65535, 65536, 65537, 131_069, 131_070, 131_071, 131_072,
        131_073, 1 << 32, 1 << 48,
    ]

    /// Goal: the distance is the smallest one. Method: count up from `block` and write down where
    /// each number comes first; then ask for all 65536 of them.
    @Test(arguments: blocks, [BlockNumber.Rollover.toZero, .toOne])
    func everyNumberIsAsFarAsItIsFirstMet(block: UInt64, rollover: BlockNumber.Rollover) {
        var first = [UInt64](repeating: BlockNumber.distanceNever, count: 65536)
        for distance: UInt64 in (0...65535).reversed() {
            let wire = BlockNumber(block + distance, rollover: rollover).rawValue
            first[Int(wire)] = distance
        }
        let wrong = (0...UInt16.max).filter { wire in
            let number = BlockNumber(rawValue: wire)
            return number.distance(after: block, rollover: rollover) != first[Int(wire)]
        }
        #expect(wrong == [])
    }

    @Test func zeroNeverComesAgainWhenRollingOverToOne() {
        let zero = BlockNumber(rawValue: 0)
        #expect(zero.distance(after: 0, rollover: .toOne) == 0)
        #expect(zero.distance(after: 1, rollover: .toOne) == BlockNumber.distanceNever)
        #expect(zero.distance(after: 65535, rollover: .toOne) == BlockNumber.distanceNever)
        #expect(zero.distance(after: 65535, rollover: .toZero) == 1)
    }

    @Test func aNumberFromThePastLooksFarAhead() {
        let number = BlockNumber(rawValue: 99)
        #expect(number.distance(after: 100, rollover: .toZero) == 65535)
        #expect(number.distance(after: 100, rollover: .toOne) == 65534)
    }
}
