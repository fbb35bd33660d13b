/// SplitMix64: the same numbers for the same seed, on every machine and with every compiler.
package struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number below `bound`; 0 when that is 0. The tiny bias of the remainder does no harm here.
    package mutating func below(_ bound: UInt64) -> UInt64 {
        let number = next()
        return bound == 0 ? 0 : number % bound
    }

    package mutating func below(_ bound: Int) -> Int { Int(below(UInt64(bound))) }

    package mutating func chance(perMille: Int) -> Bool { below(1000) < perMille }

    package mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        for index in 0..<count { bytes[index] = UInt8(truncatingIfNeeded: next()) }
        return bytes
    }
}
