internal import CLinux
internal import SystemPackage
package import TFTPCore

/// Why a server does not start: one line that says what happened and what to do.
package enum StartError: Error, CustomStringConvertible {
    case root(String, errno: Int32)
    case snapshots(String)
    case listen(ListenAddress, errno: Int32)
    /// What the service manager has passed is not a bound UDP socket.
    case passedSocket(Int32)
    case transferSocket(errno: Int32)
    case portsExhausted(ClosedRange<UInt16>, shardCount: Int)
    case tooManyAddresses(Int)
    /// Threads cannot wake each other.
    case wakeup(errno: Int32)
    case ring(errno: Int32)
    case memory(Int)
    case thread(errno: Int32)

    package var description: String {
        switch self {
        case .root(let path, let errno):
            return "cannot serve \(path): \(text(errno)). Give a folder that this user may read."
        case .snapshots(let path):
            return """
                cannot serve \(path) with --snapshots: there is no 'current' in it that leads to a snapshot of this \
                folder. Publish one first: bootstorm publish FOLDER --to \(path).
                """
        case .listen(let listen, let errno):
            return "cannot listen on \(listen): \(text(errno)). \(wayOut(errno, listen))"
        case .passedSocket(let file):
            return """
                cannot listen on descriptor \(file) that the service manager passed: it is not a bound UDP socket; \
                use ListenDatagram= in the socket unit.
                """
        case .transferSocket(let errno):
            let wayOut = MachineLimit.wayOut(errno).map { " " + $0 } ?? ""
            return "cannot open a socket for transfers: \(text(errno)).\(wayOut)"
        case .wakeup(let errno):
            let wayOut = MachineLimit.wayOut(errno).map { " " + $0 } ?? ""
            return "cannot make an eventfd: \(text(errno)).\(wayOut)"
        case .portsExhausted(let ports, let shardCount):
            return """
                --ports \(ports.lowerBound)-\(ports.upperBound) has too few free ports for \
                \(shardCount) shards. Give a wider range, or fewer --shards.
                """
        case .tooManyAddresses(let count):
            return
                "\(count) addresses to listen on are too many. Listen on every address of the host instead."
        case .ring(let errno):
            return "cannot set up io_uring: \(text(errno)). \(ringWayOut(errno))"
        case .memory(let byteCount):
            let wayOut = MachineLimit.wayOut(12) ?? ""
            return "cannot reserve \(byteCount >> 20) MiB of address space. \(wayOut)"
        case .thread(let errno):
            let wayOut = MachineLimit.wayOut(errno).map { " " + $0 } ?? ""
            return "cannot start a thread: \(text(errno)).\(wayOut)"
        }
    }

    private func text(_ errno: Int32) -> String { Errno(rawValue: errno).description }

    private func wayOut(_ errno: Int32, _ listen: ListenAddress) -> String {
        switch errno {
        case 13, 1:
            return """
                Ports below 1024 need a privilege: use --listen :6969, or \
                'setcap cap_net_bind_service=+ep' on the program.
                """
        case 98:
            return "Another program has it: stop that one, or listen on another address or port."
        case 99:
            return "This host has no such address."
        default:
            return MachineLimit.wayOut(errno) ?? "Listen on another address or port."
        }
    }

    private func ringWayOut(_ errno: Int32) -> String {
        switch errno {
        case 1:
            return """
                Switched off here: 'sysctl kernel.io_uring_disabled=0' switches it on; in a container the \
                seccomp profile must allow io_uring_setup, io_uring_enter and io_uring_register.
                """
        case 38:
            return """
                The kernel has none, or the container's seccomp profile hides it; Linux 6.1 or \
                later is needed.
                """
        case 22:
            return "The kernel is too old: Linux 6.1 or later is needed."
        default:
            return MachineLimit.wayOut(errno) ?? "Linux 6.1 or later is needed."
        }
    }
}

extension ListenAddress: CustomStringConvertible {
    package var description: String { Endpoint(address: address, port: port).description }
}

extension Endpoint: CustomStringConvertible {
    package var description: String {
        // Without an address every one is meant, as other servers write it.
        if address == .unspecified { return "[::]:\(port)" }
        return address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }
}

extension Endpoint {
    /// Reads `ADDR:PORT`, `[ADDR]:PORT`, `:PORT` for every address, or `ADDR`; nil for anything
    /// else.
    package init?(text: String, defaultPort: UInt16) {
        if let whole = Address(numeric: text) {
            self.init(address: whole, port: defaultPort)
            return
        }
        guard let (host, port) = Endpoint.split(text, defaultPort: defaultPort) else { return nil }
        if host.isEmpty || host == "*" {
            self.init(address: .unspecified, port: port)
        } else if let address = Address(numeric: host) {
            self.init(address: address, port: port)
        } else {
            return nil
        }
    }

    /// The same with a host name where an address may stand. Waits for the resolver.
    package init?(resolving text: String, defaultPort: UInt16) {
        if let numeric = Endpoint(text: text, defaultPort: defaultPort) {
            self = numeric
            return
        }
        guard let (host, port) = Endpoint.split(text, defaultPort: defaultPort) else { return nil }
        var address = clinux_address()
        guard unsafe clinux_address_resolve(host, &address) == 0 else { return nil }
        self.init(address: Address(address), port: port)
    }

    private static func split(_ text: String, defaultPort: UInt16) -> (String, UInt16)? {
        guard !text.isEmpty else { return nil }
        var host = text[...]
        var port = defaultPort
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            guard let number = UInt16(text[text.index(after: colon)...]) else { return nil }
            port = number
            host = text[..<colon]
        }
        if host.hasPrefix("[") && host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return (String(host), port)
    }
}

extension Address: CustomStringConvertible {
    package var description: String {
        var text = InlineArray<64, CChar>(repeating: 0)
        var span = text.mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer { buffer in
            // 64 bytes hold the longest address, an interface name and the NUL.
            unsafe clinux_address_write(clinux_address(self), buffer.baseAddress)
            return unsafe String(cString: buffer.baseAddress!)
        }
    }

    /// Reads a numeric address, with `%interface` where it is link-local; nil when it is not one.
    package init?(numeric text: String) {
        var address = clinux_address()
        guard unsafe clinux_address_read(text, &address) == 0 else { return nil }
        self.init(address)
    }
}
