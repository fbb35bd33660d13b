import Foundation
import Glibc
import TFTPClient

/// A server that does what a test says, on a thread of its own: answers wrongly, late, from
/// elsewhere, or not at all.
///
/// Written from the RFCs and not with the library's codec, which it is to judge.
final class ScriptedServer: @unchecked Sendable {
    /// Where requests come in.
    let listener: UDPSocket
    /// Where answers come from.
    let tid: UDPSocket
    /// The sender of the latest request.
    private(set) var client = sockaddr_in()

    private init() throws {
        listener = try UDPSocket()
        tid = try UDPSocket()
    }

    /// Runs `script` while `body` runs, and returns when both are done.
    static func run<Result: Sendable>(
        _ script: @escaping @Sendable (ScriptedServer) -> Void,
        body: (TFTPClient.Server) async throws -> Result
    ) async throws -> Result {
        let server = try ScriptedServer()
        let (ending, scripted) = AsyncStream<Never>.makeStream()
        Thread.detachNewThread {
            script(server)
            scripted.finish()
        }
        let address = TFTPClient.Server(host: "127.0.0.1", port: server.listener.port)
        let result = await Swift.Result {
            try await withTaskExecutorPreference(OwnThread()) { try await body(address) }
        }
        for await _ in ending {}
        return try result.get()
    }

    /// Waits for a request; nil when none comes.
    @discardableResult
    func request() -> Packet? {
        guard let (bytes, source) = listener.receive(milliseconds: 5_000) else { return nil }
        client = source
        return Packet(bytes)
    }

    /// What comes next to the TID; nil when nothing does.
    @discardableResult
    func next(milliseconds: Int = 5_000) -> Packet? {
        tid.receive(milliseconds: milliseconds).flatMap { Packet($0.bytes) }
    }

    func reply(_ packets: Packet..., from socket: UDPSocket? = nil) {
        for packet in packets { (socket ?? tid).send(packet.bytes, to: client) }
    }

    /// Takes what comes until an ERROR, and returns its code.
    func errorCode(milliseconds: Int = 5_000) -> UInt16? {
        while let packet = next(milliseconds: milliseconds) {
            if case .error(let code, _) = packet { return code }
        }
        return nil
    }
}

/// Runs tasks one after the other on a thread of their own: other tests keep Swift's few threads
/// busy for seconds.
final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "bootstorm.test")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

/// A TFTP packet as a server sees it.
enum Packet: Equatable, Sendable {
    case request(UInt8, name: String, options: [String: String])
    case data(UInt16, [UInt8])
    case ack(UInt16)
    case error(UInt16, String)
    case oack([String])

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 4, bytes[0] == 0 else { return nil }
        let field = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        switch bytes[1] {
        case 1, 2:
            let words = bytes[2...].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard bytes.last == 0, words.count >= 2, words.count.isMultiple(of: 2) else {
                return nil
            }
            var options: [String: String] = [:]
            for index in stride(from: 2, to: words.count, by: 2) {
                options[words[index]] = words[index + 1]
            }
            self = .request(bytes[1], name: words[0], options: options)
        case 3: self = .data(field, Array(bytes[4...]))
        case 4 where bytes.count == 4: self = .ack(field)
        case 5 where bytes.last == 0:
            self = .error(field, String(decoding: bytes[4..<(bytes.count - 1)], as: UTF8.self))
        default: return nil
        }
    }

    var bytes: [UInt8] {
        switch self {
        case .request(let opcode, let name, _): [0, opcode] + Array(name.utf8) + [0]
        case .data(let block, let payload): [0, 3, UInt8(block >> 8), UInt8(block & 255)] + payload
        case .ack(let block): [0, 4, UInt8(block >> 8), UInt8(block & 255)]
        case .error(let code, let text): [0, 5, 0, UInt8(code)] + Array(text.utf8) + [0]
        case .oack(let words): [0, 6] + words.flatMap { Array($0.utf8) + [0] }
        }
    }

    var options: [String: String] {
        guard case .request(_, _, let options) = self else { return [:] }
        return options
    }
}

/// A UDP socket whose every wait has an end.
final class UDPSocket: @unchecked Sendable {
    let file: Int32
    let port: UInt16

    /// - Parameter address: numeric, on the loopback network.
    init(_ address: String = "127.0.0.1") throws {
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, address, &name.sin_addr)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 ? getsockname(file, $0, &length) : -1
            }
        }
        guard status == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        self.file = file
        port = UInt16(bigEndian: name.sin_port)
    }

    deinit { close(file) }

    /// Takes datagrams no more: the kernel answers them as those to a closed port.
    ///
    /// The port stays taken. Once closed, it would be the next socket's of another test, which
    /// would answer.
    func leavePort() {
        var unused = sockaddr_in()
        unused.sin_family = sa_family_t(AF_INET)
        unused.sin_port = port.bigEndian
        inet_pton(AF_INET, "127.255.255.254", &unused.sin_addr)
        let status = withUnsafePointer(to: &unused) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(status == 0, "connect() of a bound socket: errno \(errno)")
    }

    func send(_ bytes: [UInt8], to target: sockaddr_in) {
        var target = target
        withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                _ = bytes.withUnsafeBytes {
                    sendto(
                        file, $0.baseAddress, $0.count, 0, name,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    func receive(milliseconds: Int) -> (bytes: [UInt8], source: sockaddr_in)? {
        var poller = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
        guard poll(&poller, 1, Int32(milliseconds)) > 0 else { return nil }
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var bytes = [UInt8](repeating: 0, count: 70_000)
        let count = withUnsafeMutablePointer(to: &source) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                bytes.withUnsafeMutableBytes {
                    recvfrom(file, $0.baseAddress, $0.count, 0, name, &length)
                }
            }
        }
        guard count >= 0 else { return nil }
        return (Array(bytes[..<count]), source)
    }
}
