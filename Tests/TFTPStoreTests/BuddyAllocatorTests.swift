import Simulation
import Testing

@testable import TFTPStore

struct BuddyAllocatorTests {
    @Test func aBlockIsThePowerOfTwoThatHolds() {
        let allocator = BuddyAllocator(byteCount: 4 << 20)
        #expect(allocator.blockByteCount(for: 1) == 4_096)
        #expect(allocator.blockByteCount(for: 4_096) == 4_096)
        #expect(allocator.blockByteCount(for: 4_097) == 8_192)
        #expect(allocator.blockByteCount(for: 524_289) == 1 << 20)
        #expect(allocator.blockByteCount(for: 1 << 20) == 1 << 20)
    }

    @Test func aFullArenaGivesNothingAndAFreedOneEverything() {
        var allocator = BuddyAllocator(byteCount: 4 << 20)
        var offsets: [Int] = []
        while let offset = allocator.allocate(byteCount: 4_096) { offsets.append(offset) }
        #expect(Set(offsets) == Set(stride(from: 0, to: 4 << 20, by: 4_096)))
        #expect(allocator.usedByteCount == 4 << 20)
        for offset in offsets { allocator.free(offset: offset, byteCount: 4_096) }
        #expect(allocator.usedByteCount == 0)
        for _ in 0..<4 { #expect(allocator.allocate(byteCount: 1 << 20) != nil) }
        #expect(allocator.allocate(byteCount: 1) == nil)
    }

    /// Half an arena in use in the worst pattern leaves no block of two units.
    @Test func everySecondBlockInUseLeavesNoLargerOne() {
        var allocator = BuddyAllocator(byteCount: 1 << 20)
        while allocator.allocate(byteCount: 4_096) != nil {}
        for offset in stride(from: 0, to: 1 << 20, by: 8_192) {
            allocator.free(offset: offset, byteCount: 4_096)
        }
        #expect(allocator.usedByteCount == 1 << 19)
        #expect(allocator.allocate(byteCount: 4_097) == nil)
        #expect(allocator.allocate(byteCount: 4_096) != nil)
        allocator.checkInvariants()
    }

    @Test(arguments: 1...40)
    func anArenaOfAnyUnitCountIsUsedWhole(unitCount: Int) {
        var allocator = BuddyAllocator(
            byteCount: unitCount * 16, blockByteCountMin: 16, blockByteCountMax: 128)
        allocator.checkInvariants()
        let largest = largestBlocks(&allocator)
        #expect(largest == unitCount / 8)
        var offsets: [Int] = []
        while let offset = allocator.allocate(byteCount: 16) { offsets.append(offset) }
        #expect(offsets.count == unitCount)
        for offset in offsets.reversed() { allocator.free(offset: offset, byteCount: 16) }
        allocator.checkInvariants()
        #expect(largestBlocks(&allocator) == largest)
    }

    /// How many blocks of 128 bytes there are; leaves the arena as it was.
    private func largestBlocks(_ allocator: inout BuddyAllocator) -> Int {
        var offsets: [Int] = []
        while let offset = allocator.allocate(byteCount: 128) { offsets.append(offset) }
        for offset in offsets { allocator.free(offset: offset, byteCount: 128) }
        return offsets.count
    }

    @Test func aSecondFreeIsCaught() async {
        await #expect(processExitsWith: .failure) {
            var allocator = BuddyAllocator(byteCount: 1 << 20)
            let offset = allocator.allocate(byteCount: 4_096) ?? 0
            allocator.free(offset: offset, byteCount: 4_096)
            allocator.free(offset: offset, byteCount: 4_096)
        }
    }
}

/// Allocations and frees against a model: one flag per unit, and the blocks that are out.
struct BuddyAllocatorModelTests {
    struct Block: Hashable {
        var offset: Int
        var byteCount: Int
    }

    struct Model: ~Copyable {
        var allocator: BuddyAllocator
        var isUsed: [Bool]
        var blocks: [Block] = []

        init(unitCount: Int, unit: Int, blockByteCountMax: Int) {
            allocator = BuddyAllocator(
                byteCount: unitCount * unit, blockByteCountMin: unit,
                blockByteCountMax: blockByteCountMax)
            isUsed = Array(repeating: false, count: unitCount)
        }

        /// Nil must mean that no aligned run of free units is left that holds the block.
        mutating func allocate(byteCount: Int) {
            let blockByteCount = allocator.blockByteCount(for: byteCount)
            guard let offset = allocator.allocate(byteCount: byteCount) else {
                #expect(!hasRoom(blockByteCount: blockByteCount))
                return
            }
            #expect(blockByteCount >= byteCount)
            #expect(offset.isMultiple(of: blockByteCount))
            let units = self.units(offset: offset, blockByteCount: blockByteCount)
            #expect(units.upperBound <= isUsed.count)
            #expect(!isUsed[units].contains(true))
            for unit in units { isUsed[unit] = true }
            blocks.append(Block(offset: offset, byteCount: byteCount))
        }

        mutating func free(at index: Int) {
            let block = blocks.remove(at: index)
            let blockByteCount = allocator.blockByteCount(for: block.byteCount)
            for unit in units(offset: block.offset, blockByteCount: blockByteCount) {
                isUsed[unit] = false
            }
            allocator.free(offset: block.offset, byteCount: block.byteCount)
        }

        func check() {
            allocator.checkInvariants()
            let usedUnitCount = isUsed.count { $0 }
            #expect(allocator.usedByteCount == usedUnitCount * allocator.blockByteCountMin)
        }

        private func units(offset: Int, blockByteCount: Int) -> Range<Int> {
            let first = offset / allocator.blockByteCountMin
            return first..<first + blockByteCount / allocator.blockByteCountMin
        }

        private func hasRoom(blockByteCount: Int) -> Bool {
            let step = blockByteCount / allocator.blockByteCountMin
            return stride(from: 0, through: isUsed.count - step, by: step)
                .contains { !isUsed[$0..<$0 + step].contains(true) }
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomUseNeverOverlapsAndComesBackWhole(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        let unitCount = Int.random(in: 1...700, using: &random)
        var model = Model(unitCount: unitCount, unit: 4_096, blockByteCountMax: 1 << 20)
        // What share of the steps allocates drifts, so that the arena is full at times and empty at
        // others.
        for round in 0..<10 {
            let allocatesPercent = [80, 50, 20][round % 3]
            for _ in 0..<300 {
                if Int.random(in: 0..<100, using: &random) < allocatesPercent {
                    let largest = 1 << Int.random(in: 1...20, using: &random)
                    model.allocate(byteCount: Int.random(in: 1...largest, using: &random))
                } else if !model.blocks.isEmpty {
                    model.free(at: Int.random(in: 0..<model.blocks.count, using: &random))
                }
            }
            model.check()
        }
        while !model.blocks.isEmpty {
            model.free(at: Int.random(in: 0..<model.blocks.count, using: &random))
        }
        model.check()
        for _ in 0..<unitCount / 256 { model.allocate(byteCount: 1 << 20) }
        #expect(model.blocks.count == unitCount / 256)
    }

    /// Every sequence of four allocations and four frees, in any order of orders and blocks, over
    /// every arena of up to nine units with blocks of one to four units.
    @Test(arguments: 1...9)
    func everySmallUseIsRight(unitCount: Int) {
        let orders = 3
        let steps = 4
        var orderings = [Int](repeating: 0, count: steps)
        repeat {
            for permutation in permutations(of: steps) {
                var model = Model(unitCount: unitCount, unit: 16, blockByteCountMax: 64)
                for order in orderings { model.allocate(byteCount: 16 << order) }
                model.check()
                let blocks = model.blocks
                for index in permutation where index < blocks.count {
                    let position = model.blocks.firstIndex(of: blocks[index])
                    if let position { model.free(at: position) }
                    model.check()
                }
                #expect(model.blocks.isEmpty)
            }
        } while advance(&orderings, base: orders)
    }

    private func advance(_ digits: inout [Int], base: Int) -> Bool {
        for index in digits.indices {
            digits[index] += 1
            if digits[index] < base { return true }
            digits[index] = 0
        }
        return false
    }

    private func permutations(of count: Int) -> [[Int]] {
        guard count > 0 else { return [[]] }
        return permutations(of: count - 1).flatMap { shorter in
            (0...shorter.count).map { position in
                var longer = shorter
                longer.insert(count - 1, at: position)
                return longer
            }
        }
    }
}
