/// Something that Benchmarks/ measures. Public for that package alone.
public struct Workload: Sendable {
    public let name: String
    /// Sets up the workload. The returned closure runs it this number of times, checks what it can,
    /// and returns a digest of the results, so that the optimiser cannot remove any of it.
    public let prepare: @Sendable () -> (Int) -> UInt64
}

/// All of them, in the order of the levels.
public let workloads: [Workload] =
    codecWorkloads + optionWorkloads + wheelWorkloads + indexWorkloads + tableWorkloads
    + gatherWorkloads

/// The numbers of transfers that a table is measured with: what a step costs must not depend on it.
let tableSizes = [100, 1_000, 10_000, 100_000]

/// Slots in an order that no cache foresees: a step that has no divisor in common with any size.
struct Scattered {
    private var place = 0
    let count: Int

    init(count: Int) { self.count = count }

    mutating func next() -> Int {
        place += 7_919
        if place >= count { place %= count }
        return place
    }
}
