internal import FoundationEssentials
internal import Glibc
internal import TFTPPeer
internal import TFTPReactor

/// What a server needs of the machine.
enum MachineCheck {
    static func all() -> [Finding] {
        [kernel(), ring(), files(), receiveBuffers(), port()]
    }

    // MARK: Judgements, of values

    static let kernelMin = (6, 1)

    /// - Parameter release: as uname(2) tells, for instance `6.12.9-arch1-1`.
    static func kernel(release: String) -> Finding {
        let numbers = release.split(separator: "-")[0].split(separator: ".").compactMap { Int($0) }
        guard numbers.count >= 2, (numbers[0], numbers[1]) >= kernelMin else {
            return Finding(
                .fail, "kernel",
                "\(release) is too old: Linux \(kernelMin.0).\(kernelMin.1) or later is needed")
        }
        return Finding(.ok, "kernel", release)
    }

    private static let filesMin: UInt64 = 4096

    static func files(hard: UInt64) -> Finding {
        guard hard >= filesMin else {
            return Finding(
                .warn, "open files",
                "\(hard) at most: raise the hard limit to \(filesMin) (LimitNOFILE= in a unit)")
        }
        return Finding(.ok, "open files", hard == .max ? "no limit" : "\(hard) at most")
    }

    private static let receiveBufferMin = 4 << 20

    /// - Parameter isForced: whether this process may go beyond the limit (CAP_NET_ADMIN).
    static func receiveBuffers(max: Int, isForced: Bool) -> Finding {
        guard max < receiveBufferMin, !isForced else {
            return Finding(.ok, "receive buffers", "\(receiveBufferMin >> 20) MiB each")
        }
        return Finding(
            .warn, "receive buffers",
            """
            \(max) bytes each, and bursts of requests are lost: sysctl -w net.core.rmem_max=\(receiveBufferMin)
            """)
    }

    static func port(errno: Int32) -> Finding {
        switch errno {
        case 0: Finding(.ok, "port 69", "free, and may be used")
        case EADDRINUSE: Finding(.warn, "port 69", "taken by another program")
        case EACCES:
            Finding(
                .fail, "port 69",
                """
                not allowed: start as root, give the program CAP_NET_BIND_SERVICE, use bootstorm.socket, or --listen :6969
                """)
        default: Finding(.fail, "port 69", unsafe String(cString: strerror(errno)))
        }
    }

    // MARK: Looking

    private static func kernel() -> Finding {
        let release =
            (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))
            ?? "unknown"
        return kernel(release: release.trimmingWhitespace())
    }

    private static func ring() -> Finding {
        do {
            let isRestricted = try Reactor.probe()
            return isRestricted
                ? Finding(.ok, "io_uring", "works, restricted to the requests in use")
                : Finding(
                    .warn, "io_uring", "works, but this kernel cannot restrict it to some requests")
        } catch {
            return Finding(.fail, "io_uring", "\(error)")
        }
    }

    private static func files() -> Finding {
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return files(hard: UInt64(limit.rlim_max))
    }

    private static func receiveBuffers() -> Finding {
        let text = try? String(contentsOfFile: "/proc/sys/net/core/rmem_max", encoding: .utf8)
        let value = text.flatMap { Int($0.trimmingWhitespace()) }
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var wanted = Int32(receiveBufferMin)
        let result = unsafe setsockopt(
            socket, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, socklen_t(MemoryLayout<Int32>.size))
        return receiveBuffers(max: value ?? .max, isForced: result == 0)
    }

    private static func port() -> Finding {
        let socket = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(69).bigEndian
        let result = unsafe withUnsafePointer(to: &name) { name in
            unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return port(errno: result == 0 ? 0 : errno)
    }
}
