import Simulation
import Testing

@testable import TFTPStore

/// Transfers, a disk and shards that do everything in every order, against what must be true at
/// each step.
struct ImageCacheRandomTests {
    /// A transfer that walks through its image from the first extent to the last.
    private struct Transfer {
        var image: ImageID
        var file: Int32
        var shard: Int
        var extentCount: Int
        var next = 0
        var isWaiting = false
        var generation: UInt32
    }

    /// A place in the arena that a shard's turn has looked at, and may read until the turn ends.
    private struct Sight {
        var offset: Int
        var file: Int32
        var number: Int
    }

    private final class Run {
        let world: ImageCacheWorld
        var random: SimulationRandom
        var transfers: [Int: Transfer] = [:]
        var transferCount = 0
        /// What each shard has in sight in this turn.
        var sights: [[Sight]] = [[], [], []]
        /// Shards that have not come round since the grace began.
        var missing: Set<Int> = []
        var knownGraceCount = 0
        var doneCount = 0
        var failedCount = 0
        var changedFiles: Set<Int32> = []
        /// What should never be.
        var violations: [String] = []
        /// A store thread that does not wait for the shards, to see that it is noticed.
        var isHasty = false
        /// How often a read goes wrong, or a file is changed.
        var faultsIn100: Int

        init(seed: UInt64, arenaByteCount: Int, imagesMax: Int, faultsIn100: Int) {
            world = ImageCacheWorld(arenaByteCount: arenaByteCount, imagesMax: imagesMax)
            random = SimulationRandom(seed: seed)
            self.faultsIn100 = faultsIn100
        }

        func chance(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

        func step(mayBegin: Bool) {
            switch chance(20) {
            case 0 where mayBegin && transfers.count < 12: begin()
            case 1 where mayBegin && transfers.count < 12: beginKnown()
            case 2: endTurn(chance(3))
            case 3: endTurn(chance(3))
            case 4...8: readOne()
            case 9 where faultsIn100 > 0 && chance(100) < faultsIn100: changeOne()
            case 10 where mayBegin && chance(20) == 0: abortOne()
            default: goOn()
            }
            afterActions()
        }

        private func begin() {
            let byteCount = chance(3) == 0 ? chance(9000) : chance(5 << 20)
            let file = world.openFile(byteCount: byteCount)
            let identity = world.files[Int(file)].identity
            if let id = world.insert(identity, file: file) { add(id, file) }
        }

        private func beginKnown() {
            guard !world.files.isEmpty else { return }
            let file = Int32(chance(world.files.count))
            guard !changedFiles.contains(file),
                let id = world.lookup(world.files[Int(file)].identity)
            else { return }
            add(id, file)
        }

        private func add(_ id: ImageID, _ file: Int32) {
            let count = ImageIndex.extentCount(byteCount: world.imageIndex.byteCount(of: id))
            transfers[transferCount] = Transfer(
                image: id, file: file, shard: chance(3), extentCount: count,
                generation: UInt32(transferCount))
            transferCount += 1
        }

        /// One transfer looks for its next extent: it is there, or the transfer waits.
        private func goOn() {
            guard let slot = transfers.keys.sorted().randomElement(using: &random),
                var transfer = transfers[slot], !transfer.isWaiting
            else { return }
            guard transfer.next < transfer.extentCount else {
                world.release(transfer.image)
                transfers[slot] = nil
                doneCount += 1
                return
            }
            if let offset = world.look(transfer.image, transfer.next) {
                check(
                    world.holds(offset, transfer.file, transfer.next),
                    "an extent is shown that is another one, or not whole")
                sights[transfer.shard].append(
                    Sight(offset: offset, file: transfer.file, number: transfer.next))
                transfer.next += 1
            } else {
                transfer.isWaiting = true
                world.cache.want(
                    transfer.image, transfer.next,
                    for: .init(
                        shard: UInt32(transfer.shard), slot: UInt32(slot),
                        generation: transfer.generation))
                world.carryOut()
            }
            transfers[slot] = transfer
        }

        private func abortOne() {
            guard let slot = transfers.keys.sorted().randomElement(using: &random),
                let transfer = transfers[slot]
            else { return }
            world.release(transfer.image)
            transfers[slot] = nil
        }

        private func readOne() {
            guard !world.orders.isEmpty else { return }
            let index = chance(world.orders.count)
            let isFault = chance(100) < faultsIn100
            switch isFault ? chance(3) : 3 {
            case 0: world.finish(index, failure: .input)
            case 1: world.finish(index, byteCount: 0)
            case 2: world.finish(index, byteCount: max(1, world.orders[index].byteCount / 2))
            default: world.finish(index)
            }
        }

        private func changeOne() {
            guard let slot = transfers.keys.sorted().first, let transfer = transfers[slot] else {
                return
            }
            world.change(transfer.file)
            changedFiles.insert(transfer.file)
        }

        /// The shard submits what it has gathered: everything it looked at in this turn must still
        /// be there.
        func endTurn(_ shard: Int) {
            for sight in sights[shard] {
                check(
                    world.holds(sight.offset, sight.file, sight.number),
                    "what a turn may still read was written over")
            }
            sights[shard] = []
            missing.remove(shard)
            if world.isGraceAwaited && missing.isEmpty { world.passGrace() }
        }

        private func check(_ condition: Bool, _ violation: String) {
            if !condition { violations.append(violation) }
        }

        private func afterActions() {
            if world.isStarved {
                world.cache.retry()
                world.carryOut()
            }
            if world.graceCount != knownGraceCount {
                knownGraceCount = world.graceCount
                missing = [0, 1, 2]
            }
            if isHasty && world.isGraceAwaited { world.passGrace() }
            for (waiter, failure) in world.answers {
                guard let transfer = transfers[Int(waiter.slot)] else { continue }
                check(
                    transfer.generation == waiter.generation && transfer.isWaiting,
                    "an answer to no question")
                transfers[Int(waiter.slot)]?.isWaiting = false
                guard failure != nil else { continue }
                check(faultsIn100 > 0, "a failure that nothing caused")
                world.release(transfer.image)
                transfers[Int(waiter.slot)] = nil
                failedCount += 1
            }
            world.answers = []
            check(world.usedByteCount <= world.arenaByteCount, "more than there is")
        }
    }

    private func makeRun(seed: UInt64) -> Run {
        Run(
            seed: seed, arenaByteCount: Int(4 + seed % 5) << 20,
            imagesMax: [3, 8, 64][Int(seed % 3)], faultsIn100: seed % 2 == 0 ? 10 : 0)
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func everythingAtOnce(seed: UInt64) {
        let run = makeRun(seed: seed)
        for _ in 0..<5000 { run.step(mayBegin: true) }
        // Nothing new begins: all that run come to an end.
        for _ in 0..<20_000 where !run.transfers.isEmpty { run.step(mayBegin: false) }
        #expect(run.transfers.isEmpty, "\(run.transfers.count) transfers never ended")
        #expect(run.doneCount > 20)
        #expect(seed % 2 == 1 || run.failedCount > 0)
        for shard in 0..<3 { run.endTurn(shard) }
        #expect(run.violations.isEmpty)
        #expect(run.world.usedByteCountWhenEmptied() == 0)
        #expect(run.world.files.allSatisfy { !$0.isOpen })
    }

    /// Memory that is used again before every shard has come round is noticed.
    @Test func aGraceThatIsTooShortIsNoticed() {
        let violations = (1...10 as ClosedRange<UInt64>).map { seed in
            let run = makeRun(seed: seed)
            run.isHasty = true
            for _ in 0..<2000 { run.step(mayBegin: true) }
            return run.violations.count
        }
        #expect(violations.count { $0 > 0 } >= 3, "\(violations)")
    }
}
