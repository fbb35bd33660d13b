internal import Glibc

/// What another process has used so far, as /proc tells.
struct ProcessUsage {
    var cpuSeconds: Double
    /// The most memory it ever had.
    var peakByteCount: Int

    /// nil if the process does not exist.
    init?(_ pid: Int32) {
        guard let stat = readText("/proc/\(pid)/stat"),
            let status = readText("/proc/\(pid)/status"),
            let close = stat.lastIndex(of: ")")
        else { return nil }
        // The name in parentheses may hold anything; user and system time are fields 14 and 15.
        let fields = stat[close...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13])
        else {
            return nil
        }
        cpuSeconds = (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        peakByteCount = line.flatMap { Int($0.split(separator: " ")[1]) }.map { $0 * 1024 } ?? 0
    }

    func since(_ earlier: ProcessUsage?) -> ProcessUsage {
        var difference = self
        difference.cpuSeconds -= earlier?.cpuSeconds ?? 0
        return difference
    }
}

/// The content of a small file; nil if it cannot be read.
func readText(_ path: String) -> String? {
    readBytes(path).map { String(decoding: $0, as: UTF8.self) }
}

func readBytes(_ path: String) -> [UInt8]? {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var content: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe room.withUnsafeMutableBytes {
            unsafe read(file, $0.baseAddress, $0.count)
        }
        guard count != 0 else { return content }
        guard count > 0 else { return nil }
        content.append(contentsOf: room[..<count])
    }
}
