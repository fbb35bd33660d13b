/// Makes inputs of others, by seed: where there is no libFuzzer, and for the tests.
package struct Mutator {
    private let target: FuzzTarget
    private var state: UInt64

    /// An input grows to so many bytes at most.
    private static let byteCountMax = 2048
    private static let notable: [UInt8] = [0, 1, 0x0A, 0x0D, 0x20, 0x2F, 0x30, 0x5C, 0x7F, 0xFF]

    package init(_ target: FuzzTarget, seed: UInt64) {
        self.target = target
        state = seed &+ 0x9E37_79B9_7F4A_7C15
    }

    /// The next input.
    package mutating func next() -> [UInt8] {
        var input = target.corpus[below(target.corpus.count)]
        for _ in 0..<below(5) { change(&input) }
        return input
    }

    private mutating func change(_ input: inout [UInt8]) {
        let place = below(input.count + 1)
        switch below(8) {
        case 0: if place < input.count { input[place] ^= 1 << UInt8(below(8)) }
        case 1: if place < input.count { input[place] = Mutator.notable[below(10)] }
        case 2: input.insert(Mutator.notable[below(10)], at: place)
        case 3: input.insert(contentsOf: target.words[below(target.words.count)], at: place)
        case 4: input.removeSubrange(place..<min(input.count, place + 1 + below(8)))
        case 5: input.removeSubrange(place...)
        case 6: repeatPart(of: &input, from: place)
        default:
            let other = target.corpus[below(target.corpus.count)]
            input.replaceSubrange(place..., with: other.dropFirst(below(other.count + 1)))
        }
        if input.count > Mutator.byteCountMax { input.removeSubrange(Mutator.byteCountMax...) }
    }

    private mutating func repeatPart(of input: inout [UInt8], from place: Int) {
        let part = Array(input[place..<min(input.count, place + 1 + below(16))])
        for _ in 0..<(1 + below(20)) { input.insert(contentsOf: part, at: place) }
    }

    /// SplitMix64.
    private mutating func below(_ bound: Int) -> Int {
        guard bound > 0 else { return 0 }
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ mixed >> 31) % UInt64(bound))
    }
}

extension FuzzTarget {
    /// The first input of `count` for which something does not hold.
    package func firstFailure(
        seed: UInt64, count: Int, hasMistake: Bool = false
    ) -> (input: [UInt8], problem: String)? {
        for input in corpus {
            if let problem = check(input, hasMistake) { return (input, problem) }
        }
        var mutator = Mutator(self, seed: seed)
        for _ in 0..<count {
            let input = mutator.next()
            if let problem = check(input, hasMistake) { return (input, problem) }
        }
        return nil
    }
}
