/// Numbers that are free, in a stack.
package struct FreeList: ~Copyable {
    private let numbers: Column<UInt32>
    package private(set) var count: Int

    package var capacity: Int { numbers.count }

    /// All numbers below `count` are free.
    package init(count: Int) {
        numbers = Column(repeating: 0, count: count)
        self.count = count
        for index in 0..<count { numbers[index] = UInt32(index) }
    }

    /// The number that was given back last; nil when none is free.
    package mutating func take() -> UInt32? {
        guard count > 0 else { return nil }
        count -= 1
        return numbers[count]
    }

    /// Gives back a number that `take` returned.
    package mutating func give(_ number: UInt32) {
        assert(count < numbers.count)
        numbers[count] = number
        count += 1
    }
}
