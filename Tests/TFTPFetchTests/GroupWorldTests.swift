import Testing

@testable import TFTPFetch

/// What a group comes to when sources fail, in many worlds of `GroupWorld`.
@Suite struct GroupWorldTests {
    /// Runs a world for each seed. In every world, nodes never wait in a circle.
    private func run(
        _ settings: GroupWorld.Settings, seeds: Range<UInt64> = 0..<20,
        _ judge: (GroupWorld) -> Bool
    ) async {
        for seed in seeds {
            let world = GroupWorld(settings, seed: seed)
            world.run()
            #expect(!world.hasCircle, "a circle with seed \(seed)")
            #expect(judge(world), "seed \(seed)")
            // Other tests have their turn on these few threads.
            await Task.yield()
        }
    }

    private func allHaveIt(_ world: GroupWorld) -> Bool {
        world.wanting.allSatisfy { world.isComplete($0) }
    }

    private func ratio(_ world: GroupWorld) -> Double {
        Double(world.originByteCount) / Double(world.settings.fileByteCount)
    }

    @Test(arguments: [1, 2, 8, 20]) func aColdFile(nodeCount: Int) async {
        await run(.init(nodeCount: nodeCount)) { allHaveIt($0) && ratio($0) == 1 }
    }

    /// The node that fetches for the others ends: the next one continues where it can, alone.
    @Test(arguments: [3, 8, 20]) func theFetchingNodeEnds(nodeCount: Int) async {
        var ratios: [Double] = []
        let settings = GroupWorld.Settings(nodeCount: nodeCount) { world in
            guard world.now == 60, let reader = world.originReaders.first else { return }
            world.kill(reader.node)
        }
        await run(settings) { world in
            ratios.append(ratio(world))
            return allHaveIt(world)
        }
        judge(ratios)
    }

    /// A node that has the file in its folder ends, and all others get it from there.
    @Test(arguments: [3, 8, 20]) func aHolderEnds(nodeCount: Int) async {
        var ratios: [Double] = []
        let settings = GroupWorld.Settings(nodeCount: nodeCount, holderCount: 1) { world in
            if world.now == 60 { world.kill(0) }
        }
        await run(settings) { world in
            ratios.append(ratio(world))
            return allHaveIt(world)
        }
        judge(ratios)
    }

    /// Nodes start late, end, lose and regain contact with each other, and so do origins, all but
    /// the last one: every node that is left has the file in the end.
    @Test(arguments: [false, true]) func everythingFails(isSlow: Bool) async {
        let settings = GroupWorld.Settings(
            nodeCount: 9, originCount: 2, holderCount: isSlow ? 1 : 0, startTicks: 150,
            patienceTicks: isSlow ? 60 : 5
        ) { world in
            world.disturb()
        }
        // Each time that all nodes with most of it end, or are cut off, some of it is sent once
        // more.
        await run(settings, seeds: 0..<60) { allHaveIt($0) && ratio($0) < 3 }
    }

    /// The simulation finds circles where there are any.
    @Test func nodesThatKeepSilent() {
        let settings = GroupWorld.Settings(holderCount: 1, saysSo: false) { world in
            if world.now == 60 { world.kill(0) }
        }
        let hasCircle = (UInt64(0)..<5).contains { seed in
            let world = GroupWorld(settings, seed: seed)
            world.run()
            return world.hasCircle
        }
        #expect(hasCircle)
    }

    private func judge(_ ratios: [Double]) {
        let mean = ratios.reduce(0, +) / Double(ratios.count)
        #expect(mean < 1.05)
        #expect(ratios.allSatisfy { $0 < 1.1 })
    }
}
