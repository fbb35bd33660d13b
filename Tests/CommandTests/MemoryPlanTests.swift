import Testing

@testable import bootstorm

struct MemoryPlanTests {
    private func plan(
        cache: Int? = nil, shards: Int? = nil, fetches: Bool = false, uploads: Bool = false,
        megabytes: Int, space: Int = .max, cpus: Int = 2
    ) -> MemoryPlan {
        MemoryPlan(
            cache: cache, shards: shards, fetches: fetches, takesUploads: uploads,
            machine: .init(byteCount: megabytes << 20, spaceByteCount: space, cpuCount: cpus))
    }

    @Test func halfOfTheMemoryWhereThereIsEnough() {
        let common = plan(megabytes: 24 << 10)
        #expect(common.cacheByteCount == 1 << 30)
        #expect(common.shardCount == nil && !common.savesMemory && common.problem == nil)
        #expect(plan(fetches: true, megabytes: 24 << 10).cacheByteCount == 12 << 30)
        #expect(plan(megabytes: 1 << 10).cacheByteCount == 512 << 20)
    }

    /// What shards and transfers use is counted before the cache, and the sum never passes the
    /// limit.
    @Test(arguments: [64, 96, 128, 192, 256, 512, 1024], [1, 2, 8, 64])
    func aSmallContainer(megabytes: Int, cpus: Int) {
        for uploads in [false, true] {
            let plan = plan(uploads: uploads, megabytes: megabytes, cpus: cpus)
            #expect(plan.cacheByteCount >= 16 << 20)
            #expect(plan.cacheByteCount <= max(16, megabytes / 2) << 20)
            #expect((plan.problem == nil) == (megabytes > 64 || !uploads))
            #expect((plan.shardCount ?? cpus) <= cpus)
        }
    }

    @Test func whatIsRefused() throws {
        let huge = try #require(plan(cache: 1 << 40, megabytes: 24 << 10).problem)
        #expect(huge.contains("1048576 MiB") && huge.contains("24576 MiB"))
        #expect(plan(megabytes: 48).problem != nil)
        let many = try #require(plan(shards: 64, megabytes: 256).problem)
        #expect(many.hasPrefix("64 shards") && many.contains("256 MiB"))
        #expect(plan(shards: 8, megabytes: 256).problem == nil)
    }

    /// The default cache fits a limit of address space or of data as well.
    @Test func aLimitOfTheProcess() {
        #expect(plan(megabytes: 24 << 10, space: 500 << 20).cacheByteCount == 244 << 20)
        #expect(plan(megabytes: 24 << 10, space: 0).cacheByteCount == 16 << 20)
    }

    /// The arguments that need no /proc are those of the runtime.
    @Test func theArgumentsOfTheProcess() {
        #expect(ProcessArguments.all == CommandLine.arguments)
    }
}
