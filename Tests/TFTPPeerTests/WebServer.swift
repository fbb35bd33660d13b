import Foundation
import Synchronization

/// An HTTP server on loopback that knows HEAD, GET, ranges and ETags, and nothing else; each
/// connection has a thread.
final class WebServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let files: Mutex<[String: File]>
    private let sentByteCount = Atomic(0)
    private let receivedCount = Atomic(0)

    struct File {
        var bytes: [UInt8]
        /// Nil: it sends none.
        var tag: String? = "\"1\""
        var hasRanges = true
        /// What it says of its size with a part of it; nil: what is so.
        var statedSize: Int?
        /// It says that it has ranges, and sends all of the file.
        var ignoresRanges = false
        var knowsHEAD = true
        /// It leads elsewhere.
        var location: String?
    }

    init(_ files: [String: File]) throws {
        self.files = Mutex(files)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // The two calls want the address as a socket address of no family.
        let isListening = unsafe withUnsafeMutableBytes(of: &address) { raw in
            let pointer = unsafe raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            return unsafe bind(listener, pointer, length) == 0 && listen(listener, 64) == 0
                && getsockname(listener, pointer, &length) == 0
        }
        guard isListening else { throw POSIXError(.EADDRINUSE) }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                Thread.detachNewThread { self.serve(connection) }
            }
        }
    }

    /// Ends it; connections end with their clients.
    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    var url: String { "http://127.0.0.1:\(port)/" }

    /// How many bytes of content went out.
    var byteCount: Int { sentByteCount.load(ordering: .relaxed) }

    /// How many requests came in.
    var requestCount: Int { receivedCount.load(ordering: .relaxed) }

    func change(_ name: String, _ body: (inout File) -> Void) {
        files.withLock { body(&$0[name]!) }
    }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        while let request = WebServer.request(connection) {
            receivedCount.add(1, ordering: .relaxed)
            let answer = self.answer(to: request)
            guard WebServer.send(Array(answer.head.utf8), connection) else { return }
            for start in stride(from: 0, to: answer.body.count, by: 64 << 10) {
                let piece = answer.body.dropFirst(start).prefix(64 << 10)
                guard WebServer.send(Array(piece), connection) else { return }
                sentByteCount.add(piece.count, ordering: .relaxed)
            }
        }
    }

    private func answer(to request: [String]) -> (head: String, body: ArraySlice<UInt8>) {
        let words = request[0].split(separator: " ")
        guard words.count == 3, let file = files.withLock({ $0[String(words[1].dropFirst())] })
        else {
            return ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", [])
        }
        if words[0] == "HEAD", !file.knowsHEAD {
            return ("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", [])
        }
        if let tag = file.tag, request.contains("If-None-Match: \(tag)") {
            return ("HTTP/1.1 304 Not Modified\r\nETag: \(tag)\r\n\r\n", [])
        }
        if let location = file.location {
            return (
                "HTTP/1.1 301 Moved\r\nLocation: \(location)\r\nContent-Length: 0\r\n\r\n", []
            )
        }
        var head = "HTTP/1.1 200 OK\r\n"
        var body = file.bytes[...]
        if file.hasRanges { head += "Accept-Ranges: bytes\r\n" }
        let range = request.first { $0.lowercased().hasPrefix("range: bytes=") }
        if file.hasRanges, !file.ignoresRanges, let range, words[0] == "GET" {
            let bounds = range.dropFirst("range: bytes=".count).split(separator: "-").compactMap {
                Int($0)
            }
            let last = bounds.count > 1 ? bounds[1] : .max
            body = file.bytes[bounds[0]...min(last, file.bytes.count - 1)]
            head = head.replacing("200 OK", with: "206 Partial Content")
            head +=
                "Content-Range: bytes \(body.startIndex)-\(body.endIndex - 1)/\(file.statedSize ?? file.bytes.count)\r\n"
        }
        if let tag = file.tag { head += "ETag: \(tag)\r\n" }
        head += "Content-Length: \(body.count)\r\n\r\n"
        return (head, words[0] == "HEAD" ? [] : body)
    }

    /// The lines of the next request.
    private static func request(_ connection: Int32) -> [String]? {
        var text: [UInt8] = []
        while !text.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            var byte: UInt8 = 0
            // The kernel writes one byte to a variable of one.
            guard unsafe recv(connection, &byte, 1, 0) == 1 else { return nil }
            text.append(byte)
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\r\n").map(String.init)
    }

    private static func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            // The array outlives the call.
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Foundation.send(
                    connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
