extension Options {
    /// A list of option names without repeats, four bits a name, the first in the lowest bits.
    ///
    /// Invariant: no name follows an empty place. So two equal orders are equal bit by bit, and a
    /// client is told by one comparison.
    package struct Order: Equatable, Sendable, BitwiseCopyable {
        private var bits: UInt64 = 0

        /// No options.
        package init() {}

        package init(_ first: Name, _ second: Name? = nil, _ third: Name? = nil) {
            update(first, isPresent: true)
            if let second { update(second, isPresent: true) }
            if let third { update(third, isPresent: true) }
        }

        package init(_ first: Name, _ second: Name, _ third: Name, _ fourth: Name) {
            self.init(first, second, third)
            update(fourth, isPresent: true)
        }
    }
}

extension Options.Order {
    /// Options that Bootstorm knows.
    package static var countMax: Int { 10 }

    /// Whether there is none.
    package var isEmpty: Bool { bits == 0 }

    /// How many there are.
    package var count: Int {
        (UInt64.bitWidth - bits.leadingZeroBitCount + 3) / 4
    }

    /// The name at `index`, or nil from `count` on.
    package subscript(index: Int) -> Options.Name? {
        assert(index >= 0)
        return Options.Name(rawValue: UInt8(truncatingIfNeeded: bits >> (4 * index)) & 0xF)
    }

    /// Whether `name` is among them.
    package func contains(_ name: Options.Name) -> Bool {
        index(of: name) != nil
    }

    /// Puts `name` last if it is to be present and is not, and takes it out if it is not to be.
    mutating func update(_ name: Options.Name, isPresent: Bool) {
        switch (index(of: name), isPresent) {
        case (nil, true):
            assert(count < Options.Order.countMax)
            bits |= UInt64(name.rawValue) << (4 * count)
        case (let index?, false):
            let below = bits & ((1 << (4 * index)) - 1)
            let above = bits >> (4 * (index + 1))
            bits = below | above << (4 * index)
        case (nil, false), (_?, true):
            break
        }
    }

    private func index(of name: Options.Name) -> Int? {
        for index in 0..<count where self[index] == name { return index }
        return nil
    }
}
