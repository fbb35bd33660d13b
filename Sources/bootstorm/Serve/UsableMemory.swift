internal import FoundationEssentials
internal import Glibc

/// Bytes of memory that this process may use: the machine's, or less if its control group has a
/// limit (v1 or v2).
var usableMemory: Int {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let files = MemoryLimits.files(
        groups: MemoryLimits.text("/proc/self/cgroup"),
        mounts: MemoryLimits.text("/proc/self/mountinfo"))
    // A limit of any group on the way down holds.
    let limits = files.compactMap { MemoryLimits.limit(MemoryLimits.text($0)) }
    return limits.reduce(machine, min)
}

/// Where control groups say how much memory a process may use.
enum MemoryLimits {
    static let pageByteCount = Int(getpagesize())

    /// A hierarchy of control groups that limits memory.
    private struct Hierarchy {
        let mountPoint: Substring
        /// The group that is at the mount point.
        let root: Substring
        let isUnified: Bool
    }

    static func text(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }

    /// A limit as the kernel writes it; nil for none.
    static func limit(_ text: String) -> Int? {
        let word = text.split(whereSeparator: \.isWhitespace).first ?? ""
        return Int(word)
    }

    /// The files that limit a process, given what /proc/self/cgroup and /proc/self/mountinfo say.
    static func files(groups: String, mounts: String) -> [String] {
        let hierarchies = mounts.split(separator: "\n").compactMap(hierarchy)
        var files: [String] = []
        for line in groups.split(separator: "\n") {
            let fields = line.split(
                separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isUnified = fields[0] == "0" && fields[1].isEmpty
            guard isUnified || fields[1].split(separator: ",").contains("memory") else { continue }
            for hierarchy in hierarchies where hierarchy.isUnified == isUnified {
                files += limitFiles(of: fields[2], in: hierarchy)
            }
        }
        return files
    }

    /// Reads a line of mountinfo (proc_pid_mountinfo(5)).
    private static func hierarchy(_ line: Substring) -> Hierarchy? {
        let fields = line.split(separator: " ")
        guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else {
            return nil
        }
        let isUnified = fields[dash + 1] == "cgroup2"
        let hasMemory =
            fields[dash + 1] == "cgroup"
            && fields[dash + 3].split(separator: ",").contains("memory")
        guard isUnified || hasMemory else { return nil }
        return Hierarchy(mountPoint: fields[4], root: fields[3], isUnified: isUnified)
    }

    /// Those of a group and of all groups around it that can be seen.
    private static func limitFiles(of group: Substring, in hierarchy: Hierarchy) -> [String] {
        // In a container the group's path may be the host's while only the inside is mounted.
        var inside = group
        if hierarchy.root != "/" {
            let isBelow = group == hierarchy.root || group.hasPrefix(hierarchy.root + "/")
            inside = isBelow ? group.dropFirst(hierarchy.root.count) : ""
        }
        var folder = String(hierarchy.mountPoint)
        var folders = [folder]
        for name in inside.split(separator: "/") where name != ".." {
            folder += "/" + name
            folders.append(folder)
        }
        let names =
            hierarchy.isUnified ? ["memory.max", "memory.high"] : ["memory.limit_in_bytes"]
        return folders.flatMap { folder in names.map { "\(folder)/\($0)" } }
    }
}
