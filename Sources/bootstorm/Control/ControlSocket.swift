internal import Glibc

/// Why a request over the control socket fails.
enum ControlError: Error, CustomStringConvertible {
    case pathTooLong(String)
    /// No server listens there.
    case noServer(String)
    case denied(String)
    /// Another server listens there already.
    case inUse(String)
    case call(String, path: String, errno: Int32)
    /// The server's own words.
    case refused(String)
    case ended

    var description: String {
        switch self {
        case .pathTooLong(let path):
            "\(path) is too long for a socket; give a path of at most \(ControlPath.byteCountMax) bytes"
        case .noServer(let path):
            "no server answers at \(path); is it running, with the same --control?"
        case .denied(let path):
            "cannot connect to \(path): permission denied; run as the server's user or as root"
        case .inUse(let path):
            "another server answers at \(path); give this one another path with --control"
        case .call(let call, let path, let errno):
            "cannot \(call) \(path): \(unsafe String(cString: strerror(errno)))"
        case .refused(let text): text
        case .ended: "the server has ended the connection"
        }
    }
}

/// A Unix stream socket that carries lines.
struct ControlSocket {
    let file: Int32
    private var received: [UInt8] = []

    static let lineByteCountMax = 64 << 20

    init(file: Int32) { self.file = file }

    func end() { close(file) }

    // MARK: Making one

    /// Listens at `path`, for the owner of the process alone. A socket that a killed server has
    /// left is replaced.
    static func listen(at path: String) throws(ControlError) -> ControlSocket {
        var status = stat()
        if unsafe lstat(path, &status) == 0 {
            // Only a socket is replaced.
            guard status.st_mode & S_IFMT == S_IFSOCK else {
                throw .call("listen at", path: path, errno: EEXIST)
            }
            if try isAnswered(path) { throw .inUse(path) }
            unsafe unlink(path)
        }
        let file = try open(path)
        // The mode is right from the beginning: between bind and chmod anybody could connect.
        let mask = umask(0o177)
        let bound = try unsafe withAddress(path) { unsafe bind(file, $0, $1) }
        umask(mask)
        guard bound == 0, Glibc.listen(file, 16) == 0 else {
            let error = errno
            close(file)
            throw .call("listen at", path: path, errno: error)
        }
        return ControlSocket(file: file)
    }

    /// The next connection that waits; nil where the system gives none.
    func accept() -> ControlSocket? {
        let connection = Glibc.accept(file, nil, nil)
        guard connection >= 0 else { return nil }
        // Not for programs that this one starts.
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        return ControlSocket(file: connection)
    }

    /// Connects to the server at `path`.
    ///
    /// - Parameter waits: for room in the queue of a server that is behind with it.
    static func connect(to path: String, waits: Bool = true) throws(ControlError) -> ControlSocket {
        let file = try open(path, waits: waits)
        guard try unsafe withAddress(path, { unsafe Glibc.connect(file, $0, $1) }) == 0 else {
            let error = errno
            close(file)
            switch error {
            case ENOENT, ECONNREFUSED, ENOTDIR: throw .noServer(path)
            case EACCES, EPERM: throw .denied(path)
            default: throw .call("connect to", path: path, errno: error)
            }
        }
        return ControlSocket(file: file)
    }

    private static func isAnswered(_ path: String) throws(ControlError) -> Bool {
        do throws(ControlError) {
            try connect(to: path, waits: false).end()
            return true
        } catch {
            switch error {
            case .noServer: return false
            case .call(_, _, EAGAIN): return true
            default: throw error
            }
        }
    }

    private static func open(
        _ path: String, waits: Bool = true
    ) throws(ControlError) -> Int32 {
        guard path.utf8.count <= ControlPath.byteCountMax else { throw .pathTooLong(path) }
        let flags = waits ? SOCK_CLOEXEC.rawValue : SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        let kind = Int32(SOCK_STREAM.rawValue | flags)
        let file = socket(AF_UNIX, kind, 0)
        guard file >= 0 else { throw .call("make a socket for", path: path, errno: errno) }
        return file
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(ControlError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
            unsafe room.copyBytes(from: bytes)
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe body(pointer, length)
            }
        }
    }

    // MARK: Talking

    /// Calls fail after `seconds`.
    func limit(seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let length = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &time, length)
        unsafe setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &time, length)
    }

    /// False when the other end has gone, or reads too slowly.
    func write(line: [UInt8]) -> Bool {
        var rest = (line + [UInt8(ascii: "\n")])[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe send(file, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 || (count < 0 && errno == EINTR) else { return false }
            rest = rest.dropFirst(max(0, count))
        }
        return true
    }

    /// The next line without its end; nil when the other end has gone, says nothing for too long,
    /// or too much.
    mutating func readLine(byteCountMax: Int = lineByteCountMax) -> [UInt8]? {
        var seen = 0
        while true {
            if let end = received[seen...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeSubrange(...end)
                return line
            }
            seen = received.count
            guard seen < byteCountMax else { return nil }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe buffer.withUnsafeMutableBytes { room in
                unsafe read(file, room.baseAddress, room.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            received += buffer.prefix(count)
        }
    }

    /// Whether the other end has hung up, or says something, within `milliseconds`.
    func stirs(within milliseconds: Int32) -> Bool {
        var wanted = pollfd(file: file)
        return unsafe poll(&wanted, 1, milliseconds) != 0
    }
}

extension pollfd {
    init(file: Int32) { self.init(fd: file, events: Int16(POLLIN), revents: 0) }
}
