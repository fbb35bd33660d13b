import TFTPCore

package typealias SimulationRandom = SplitMix64

extension SimulationRandom {
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
