internal import CLinux
internal import TFTPReactor

/// How a server divides the memory that its process may use among the cache, the shards and the
/// rest.
///
/// Sans-IO but for the initialiser without figures of the machine.
struct MemoryPlan: Equatable {
    /// What the machine, the control group and the limits of the process allow.
    struct Machine {
        /// Bytes of memory.
        var byteCount: Int
        /// Bytes of address space or data that the process may still take; `.max` without a limit.
        var spaceByteCount = Int.max
        var cpuCount: Int

        static var current: Machine {
            Machine(
                byteCount: usableMemory, spaceByteCount: usableSpace,
                cpuCount: min(
                    OpenedSockets.allowedCPUs().count, ReactorConfiguration.shardsMax))
        }
    }

    /// Bytes of the cache.
    let cacheByteCount: Int
    /// nil: one for each core.
    let shardCount: Int?
    /// Whether shards do with fewer receive buffers.
    let savesMemory: Bool
    private let machine: Machine
    private let demandByteCount: Int

    static let cacheByteCountMin = 16 << 20
    static let cacheByteCountMax = 1 << 30
    /// Machines with less save.
    private static let savingByteCountMax = 512 << 20

    /// The program and its tables, and what the kernel holds of datagrams. (Measured without load:
    /// 20 MiB of a release build.)
    private static let fixedByteCount = 32 << 20
    /// Stack, ring and tables of a shard. (Measured: 3.1 MiB.)
    private static let shardByteCount = 4 << 20
    private static let receiveByteCount = 8 << 20
    private static let savingReceiveByteCount = 2 << 20
    /// Chunks and large buffers.
    private static let uploadByteCount = 12 << 20
    /// Of address space, with what threads reserve and do not touch. More than a start demands.
    private static let fixedSpaceByteCount = 160 << 20
    private static let shardSpaceByteCount = 48 << 20

    /// - Parameters:
    ///   - cache: bytes that were asked for; nil: half of the memory, no more than the shards
    ///     leave, and at most 1 GiB for a server that only reads a folder.
    ///   - shards: the number that was asked for; nil: one for each core, or as many as there is
    ///     memory for.
    init(
        cache: Int?, shards: Int?, fetches: Bool, takesUploads: Bool,
        machine: Machine = .current
    ) {
        self.machine = machine
        savesMemory = machine.byteCount < MemoryPlan.savingByteCountMax
        let perShard =
            MemoryPlan.shardByteCount + (takesUploads ? MemoryPlan.uploadByteCount : 0)
            + (savesMemory ? MemoryPlan.savingReceiveByteCount : MemoryPlan.receiveByteCount)
        let least = cache ?? MemoryPlan.cacheByteCountMin
        let affordable = (machine.byteCount - MemoryPlan.fixedByteCount - least) / perShard
        shardCount = shards ?? (affordable < machine.cpuCount ? max(1, affordable) : nil)
        let count = shardCount ?? machine.cpuCount
        let others = MemoryPlan.fixedByteCount + count * perShard
        let space =
            machine.spaceByteCount
            - min(
                machine.spaceByteCount,
                MemoryPlan.fixedSpaceByteCount + count * MemoryPlan.shardSpaceByteCount)
        // At most half of the cache holds what peers and origins send, and only that half is shared
        // among clients.
        var share = min(machine.byteCount / 2, machine.byteCount - others, space)
        if !fetches { share = min(share, MemoryPlan.cacheByteCountMax) }
        cacheByteCount = cache ?? max(MemoryPlan.cacheByteCountMin, share)
        demandByteCount = others + cacheByteCount
    }

    /// Why there is too little memory; nil where there is enough.
    var problem: String? {
        let available = machine.byteCount >> 20
        if cacheByteCount > machine.byteCount {
            return """
                a cache of \(cacheByteCount >> 20) MiB does not fit the \(available) MiB of memory that this process may \
                use: give a smaller --cache
                """
        }
        guard demandByteCount > machine.byteCount else { return nil }
        return """
            \(shardCount ?? machine.cpuCount) shards and a cache of \(cacheByteCount >> 20) MiB need about \
            \(demandByteCount >> 20) MiB of memory, and this process may use \(available) MiB: raise that limit, or \
            give fewer --shards or a smaller --cache
            """
    }

    static func == (one: MemoryPlan, other: MemoryPlan) -> Bool {
        one.cacheByteCount == other.cacheByteCount && one.shardCount == other.shardCount
            && one.savesMemory == other.savesMemory
    }
}

/// Bytes of address space, or of data, that this process may take beyond what it has; `.max`
/// without a limit.
private var usableSpace: Int {
    // proc_pid_statm(5): all pages first, those of data and stacks sixth.
    let pages = MemoryLimits.text("/proc/self/statm").split(whereSeparator: \.isWhitespace)
        .compactMap { Int($0) }
    let limits: [(clinux_limit, Int)] = [
        (CLINUX_LIMIT_ADDRESS_SPACE, 0), (CLINUX_LIMIT_DATA, 5),
    ]
    return limits.map { limit, column in
        let byteCount = clinux_limit_of(limit)
        guard byteCount != .max else { return Int.max }
        let used = column < pages.count ? pages[column] * MemoryLimits.pageByteCount : 0
        return max(0, Int(clamping: byteCount) - used)
    }.min() ?? .max
}
