internal import CLinux
internal import SystemPackage

/// What a failed call says of the limits of this process and this machine, and how to get beyond
/// them.
enum MachineLimit {
    /// The way out after `error`; nil where it is not about a limit.
    static func wayOut(_ error: Errno) -> String? {
        switch error {
        case .tooManyOpenFiles:
            let count = clinux_limit_of(CLINUX_LIMIT_FILES)
            return """
                This process may open \(count) files: raise that limit (ulimit -n, LimitNOFILE= in a unit), or use fewer \
                shards.
                """
        case .tooManyOpenFilesInSystem:
            return "The machine has no file left: raise 'sysctl fs.file-max'."
        case .noMemory, .noBufferSpace:
            return memoryWayOut
        case .resourceTemporarilyUnavailable:
            return """
                No more threads are allowed: raise that limit (ulimit -u, TasksMax= in a unit), or use fewer shards.
                """
        default: return nil
        }
    }

    /// What a shard's ring and its buffers take of locked memory.
    private static let ringByteCount: UInt64 = 384 << 10
    private static let ringSizeShiftMax = 4

    /// By how many powers of two the rings of this number of shards have to shrink to stay within
    /// the limit of locked memory.
    static func ringSizeShift(shardCount: Int) -> Int {
        let limit = clinux_limit_of(CLINUX_LIMIT_LOCKED_MEMORY)
        // A quarter is left to others: all processes of the user share the limit.
        let room = limit / 4 * 3
        let rings = UInt64(shardCount + 1)
        return (0..<ringSizeShiftMax).first { (ringByteCount >> UInt64($0)) * rings <= room }
            ?? ringSizeShiftMax
    }

    /// The way out where a ring finds no memory: rings count as locked memory first of all.
    static func ringWayOut(_ error: Errno) -> String? {
        let locked = clinux_limit_of(CLINUX_LIMIT_LOCKED_MEMORY)
        let isLocked = error == .noMemory && processMemoryWayOut == nil && locked != .max
        guard isLocked else { return wayOut(error) }
        return """
            This user's rings may have \(locked >> 10) KiB of locked memory: raise that limit (ulimit -l, LimitMEMLOCK= in \
            a unit), or use fewer shards.
            """
    }

    private static var memoryWayOut: String {
        processMemoryWayOut ?? "Out of memory: use a smaller cache or fewer shards."
    }

    /// Which limit of this process its memory meets; nil where it has none.
    private static var processMemoryWayOut: String? {
        let data = clinux_limit_of(CLINUX_LIMIT_DATA)
        let space = clinux_limit_of(CLINUX_LIMIT_ADDRESS_SPACE)
        guard min(data, space) != .max else { return nil }
        let (byteCount, kind, names) =
            data < space
            ? (data, "data", "ulimit -d, LimitDATA= in a unit")
            : (space, "address space", "ulimit -v, LimitAS= in a unit")
        return """
            This process may have \(byteCount >> 20) MiB of \(kind): raise that limit (\(names)), or use a smaller cache \
            and fewer shards.
            """
    }
}
