import Foundation

/// Bytes of memory that this process may use: the machine's, or less if its control group has a
/// limit (cgroup v2, memory.max).
var usableMemory: Int {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
    guard let line = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else {
        return machine
    }
    // A limit of any group on the way down holds.
    var folder = "/sys/fs/cgroup"
    var limits = [machine]
    for name in "./\(line.dropFirst("0::/".count))".split(separator: "/") {
        folder += "/" + name
        let text = try? String(contentsOfFile: folder + "/memory.max", encoding: .utf8)
        if let limit = text.flatMap({ Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }) {
            limits.append(limit)
        }
    }
    return limits.min() ?? machine
}
