package import SystemPackage
package import TFTPCore

/// Why a storm cannot start: one line that says what happened and what to do.
package enum StormError: Error, CustomStringConvertible {
    case noAnswer(Endpoint)
    case unreachable(Endpoint, Errno)
    case refused(name: String, code: UInt16)
    case tooLarge(name: String)
    case failed(name: String, cause: String)
    case unsealed(Endpoint)
    case name(String)
    case machines(countMax: Int)
    case descriptors(needed: Int, limit: Int)
    case addresses(first: Address, last: Address)
    case ports(needed: Int)
    case sockets(Errno)
    case ring(Errno)
    case thread

    package var description: String {
        switch self {
        case .noAnswer(let server):
            return "\(server) does not answer. Is a TFTP server listening there?"
        case .unreachable(let server, .connectionRefused):
            return
                "nothing listens on \(server) (ICMP port unreachable). Start the server, or give its port."
        case .unreachable(let server, let errno):
            return "\(server) cannot be reached: \(errno)."
        case .refused(let name, 1):
            return "the server has no file \"\(name)\". Name one that it has."
        case .refused(let name, let code):
            return "the server refuses \"\(name)\" with ERROR \(code)."
        case .tooLarge(let name):
            return
                "\"\(name)\" is larger than \(Storm.learnByteCountMax >> 30) GiB: too large to check."
        case .failed(let name, let cause):
            return "the first fetch of \"\(name)\" failed: \(cause)."
        case .unsealed(let server):
            return
                "\(server) answers without a seal. Does that server have the same seal key?"
        case .name(let name):
            return
                "\"\(name)\" is not a valid file name: at most \(MachineTable.nameByteCountMax) bytes, no NUL."
        case .machines(let countMax):
            return
                "too few sockets: away from 127.0.0.1 a thread has \(countMax) machines at most. Use fewer clients, or more threads."
        case .descriptors(let needed, let limit):
            return
                "too few file descriptors: \(needed) are needed, \(limit) allowed. Raise 'ulimit -n', or use fewer clients."
        case .addresses(let first, let last):
            return
                "too few addresses: the machines speak from \(first) to \(last), which are not all on this host. Use fewer clients, or give the loopback interface 127.0.0.0/8."
        case .ports(let needed):
            return
                "too few ports: \(needed) are needed. Widen net.ipv4.ip_local_port_range, or use fewer clients."
        case .sockets(let errno):
            return "cannot open the sockets: \(errno)."
        case .ring(let errno):
            return "cannot set up io_uring: \(errno)."
        case .thread:
            return "cannot start a thread."
        }
    }
}

extension StormError {
    /// Why every fetch of `name` failed.
    init(fetching name: String, from server: Endpoint, _ report: StormReport) {
        let cause = report.causes.keys.first
        if let errno = report.unreachable {
            self = .unreachable(server, errno)
        } else if let code = report.errorsByCode.keys.first {
            self = .refused(name: name, code: code)
        } else if cause == StormShard.tooLarge {
            self = .tooLarge(name: name)
        } else if cause == StormShard.unsealed {
            self = .unsealed(server)
        } else if report.packetsIn == 0, report.strayCount == 0, !report.wasInterrupted {
            self = .noAnswer(server)
        } else {
            self = .failed(name: name, cause: cause ?? "interrupted")
        }
    }
}
