import Simulation
import Testing

@testable import TFTPPeer

@Suite struct ChunkSchedulerTests {
    /// Workers that are quick, slow, and break off, as a seed has it.
    private struct World {
        var random: SimulationRandom
        var scheduler: ChunkScheduler
        let chunkCount: Int
        /// What each worker is at; nil is idle, and an absent worker has ended.
        var runs: [Int: Range<Int>?]
        var passed: [Int] = []

        init(seed: UInt64) {
            random = SimulationRandom(seed: seed)
            chunkCount = Int.random(in: 1...40, using: &random)
            let ahead = Int.random(in: 1...12, using: &random)
            scheduler = ChunkScheduler(chunkCount: chunkCount, first: 0, aheadMax: ahead)
            runs = [:]
            for worker in 0..<Int.random(in: 1...4, using: &random) {
                runs[worker] = .some(nil)
            }
        }

        mutating func step() {
            guard let worker = runs.keys.sorted().randomElement(using: &random) else { return }
            if let run = runs[worker] ?? nil {
                // The last one continues, or the test would show nothing.
                if runs.count > 1, Int.random(in: 0..<20, using: &random) == 0 {
                    scheduler.giveBack(worker)
                    runs[worker] = nil
                    return
                }
                scheduler.put([UInt8(run.lowerBound)], at: run.lowerBound, by: worker)
                let rest = run.dropFirst()
                runs[worker] = .some(rest.isEmpty ? nil : rest)
            } else {
                runs[worker] = .some(scheduler.claim(worker))
            }
            while let chunk = scheduler.take() { passed.append(Int(chunk[0])) }
        }
    }

    /// Every chunk passes once, in order, whichever workers fail.
    @Test func everyChunkPassesOnce() {
        for seed in 0..<500 {
            var world = World(seed: UInt64(seed))
            for _ in 0..<20_000 where !world.scheduler.isDone { world.step() }
            #expect(world.scheduler.isDone, "seed \(seed)")
            #expect(world.passed == Array(0..<world.chunkCount), "seed \(seed)")
        }
    }

    /// A source that delivers nothing does not hold up the others.
    @Test func aSourceThatStandsStill() {
        var scheduler = ChunkScheduler(chunkCount: 20, first: 0, aheadMax: 8)
        #expect(scheduler.claim(0) == 0..<1)
        var passed: [UInt8] = []
        for _ in 0..<20 {
            guard let run = scheduler.claim(1) else { break }
            for index in run { scheduler.put([UInt8(index)], at: index, by: 1) }
            while let chunk = scheduler.take() { passed += chunk }
        }
        #expect(scheduler.isDone)
        #expect(passed == Array(0..<20))
        #expect(scheduler.claim(1) == nil)
    }

    /// No more waits than there is room for.
    @Test func notFarAhead() {
        var scheduler = ChunkScheduler(chunkCount: 100, first: 3, aheadMax: 6)
        #expect(scheduler.claim(0) == 3..<4)
        #expect(scheduler.claim(1) == 4..<5)
        scheduler.put([4], at: 4, by: 1)
        #expect(scheduler.take() == nil)
        #expect(scheduler.claim(1) == 5..<9)
        for index in 5..<9 { scheduler.put([UInt8(index)], at: index, by: 1) }
        #expect(scheduler.claim(1) == 3..<4)
        scheduler.put([3], at: 3, by: 0)
        #expect((3...8).allSatisfy { scheduler.take() == [UInt8($0)] })
        #expect(scheduler.take() == nil)
        #expect(scheduler.claim(0) == 9..<13)
    }
}
