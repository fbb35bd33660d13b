internal import CLinux
package import SystemPackage

/// Why a server does not start: one line that says what happened and what to do.
package enum StartError: Error, CustomStringConvertible {
    case root(String, Errno)
    /// openat2(2), by which every file is opened.
    case openat2(Errno)
    /// `current` in the folder of snapshots does not lead to a snapshot of it.
    case snapshots(String)
    case listen(ListenAddress, Errno)
    /// What the service manager has passed is not a bound UDP socket.
    case passedSocket(Int32)
    case transferSocket(Errno)
    case portsExhausted(ClosedRange<UInt16>, shardCount: Int)
    case tooManyAddresses(Int)
    /// Threads cannot wake each other.
    case wakeup(Errno)
    case ring(Errno)
    /// Bytes of address space.
    case memory(Int)
    case thread(Errno)
    /// The machine's limits do not let this number of threads run.
    case threads(Int, Errno)

    package var description: String {
        switch self {
        case .root(let path, let error):
            "cannot serve \(path): \(error). Give a folder that this user may read."
        case .openat2(let error):
            """
            cannot open files with openat2: \(error). Linux 6.1 or later is needed, and in a container a seccomp profile \
            that allows openat2.
            """
        case .snapshots(let path):
            """
            cannot serve the snapshots of \(path): there is no 'current' in it that leads to a snapshot of this \
            folder. Publish one first.
            """
        case .listen(let listen, let error):
            "cannot listen on \(listen): \(error). \(StartError.listenWayOut(error))"
        case .passedSocket(let file):
            """
            cannot listen on descriptor \(file) that the service manager passed: it is not a bound UDP socket, or it is connected; \
            use ListenDatagram= in the socket unit.
            """
        case .transferSocket(let error):
            "cannot open a socket for transfers: \(StartError.limit(error))"
        case .wakeup(let error): "cannot make an eventfd: \(StartError.limit(error))"
        case .portsExhausted(let ports, let shardCount):
            """
            too few ports of \(ports.lowerBound)-\(ports.upperBound) are free for \(shardCount) shards. Give a wider \
            range, or fewer shards.
            """
        case .tooManyAddresses(let count):
            "\(count) addresses to listen on are too many. Listen on every address of the host instead."
        case .ring(let error): "cannot set up io_uring: \(error). \(StartError.ringWayOut(error))"
        case .memory(let byteCount):
            """
            cannot reserve \(byteCount >> 20) MiB of address space. \
            \(MachineLimit.wayOut(.noMemory) ?? "Use a smaller cache.")
            """
        case .thread(let error): "cannot start a thread: \(StartError.limit(error))"
        case .threads(let count, let error):
            "cannot start \(count) threads: \(StartError.limit(error))"
        }
    }

    private static func limit(_ error: Errno) -> String {
        MachineLimit.wayOut(error).map { "\(error). \($0)" } ?? "\(error)."
    }

    private static func listenWayOut(_ error: Errno) -> String {
        switch error {
        case .permissionDenied, .notPermitted:
            """
            Ports below 1024 need a privilege: listen on a higher port, or \
            'setcap cap_net_bind_service=+ep' on the program.
            """
        case .addressInUse:
            "Another program has it: stop that one, or listen on another address or port."
        case .addressNotAvailable: "This host has no such address."
        default: MachineLimit.wayOut(error) ?? "Listen on another address or port."
        }
    }

    private static func ringWayOut(_ error: Errno) -> String {
        switch error {
        case .notPermitted:
            """
            Switched off here: 'sysctl kernel.io_uring_disabled=0' switches it on; in a container the \
            seccomp profile must allow io_uring_setup, io_uring_enter and io_uring_register.
            """
        case .noFunction:
            """
            The kernel has none, or the container's seccomp profile hides it; Linux 6.1 or \
            later is needed.
            """
        case .invalidArgument: "The kernel is too old: Linux 6.1 or later is needed."
        default: MachineLimit.ringWayOut(error) ?? "Linux 6.1 or later is needed."
        }
    }
}
