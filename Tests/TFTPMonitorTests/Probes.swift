import Foundation
import Glibc

struct ProbeError: Error {
    let text: String
}

/// HTTP by hand, one connection a request.
enum HTTPProbe {
    static func get(_ url: URL) async throws -> String {
        let head = "GET \(url.path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        // The listener's handlers run on the pool of threads that this would block.
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try raw(port: url.port ?? 80, head) })
            }
        }
    }

    static func raw(port: Int, _ text: String) throws -> String {
        let file = try open(port: port)
        defer { close(file) }
        guard let answer = exchange(file, text) else { throw ProbeError(text: "no end") }
        return answer
    }

    static func open(port: Int) throws -> Int32 {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard connectTo(file, port) == 0 else { throw ProbeError(text: "connect: \(errno)") }
        return file
    }

    /// Sends a text, and reads what comes until the other end closes; nil when it does not within
    /// 10 s.
    static func exchange(_ file: Int32, _ text: String) -> String? {
        _ = Array(text.utf8).withUnsafeBytes {
            Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            guard count >= 0 || errno != EAGAIN else { return nil }
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private func connectTo(_ file: Int32, _ port: Int) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(file, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// A lockstep TFTP client of a few lines.
final class DatagramProbe {
    private let port: Int

    init(_ address: String) throws {
        guard let port = Int(address.split(separator: ":").last ?? "") else {
            throw ProbeError(text: "no port in \(address)")
        }
        self.port = port
    }

    func send(_ packet: [UInt8]) throws {
        let file = open()
        defer { close(file) }
        post(file, packet, port)
    }

    /// Reads all of it, or until an ERROR.
    func read(_ name: String, options: String = "") throws {
        let file = open()
        defer { close(file) }
        let blksize = options.isEmpty ? 512 : 1000
        post(file, [0, 1] + Array("\(name)\0octet\0\(options)".utf8), port)
        while true {
            let (packet, from) = try receive(file)
            switch packet[1] {
            case 5: return
            case 6: post(file, [0, 4, 0, 0], from)
            default:
                post(file, [0, 4, packet[2], packet[3]], from)
                if packet.count < blksize + 4 { return }
            }
        }
    }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let file = open()
        defer { close(file) }
        post(file, [0, 2] + Array("\(name)\0octet\0".utf8), port)
        let (_, from) = try receive(file)
        post(file, [0, 3, 0, 1] + bytes, from)
        _ = try receive(file)
    }

    private func open() -> Int32 {
        let file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return file
    }

    private func post(_ file: Int32, _ packet: [UInt8], _ port: Int) {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                packet.withUnsafeBytes {
                    sendto(
                        file, $0.baseAddress, $0.count, 0, target,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    private func receive(_ file: Int32) throws -> ([UInt8], Int) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let count = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { from in
                buffer.withUnsafeMutableBytes {
                    recvfrom(file, $0.baseAddress, $0.count, 0, from, &length)
                }
            }
        }
        guard count > 3 else { throw ProbeError(text: "nothing came: \(errno)") }
        return (Array(buffer.prefix(count)), Int(UInt16(bigEndian: address.sin_port)))
    }
}
