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
        /// What it says of the time when the file was written.
        var lastModified: String?
        /// The body has no length, and comes in chunks.
        var isChunked = false
        /// Answers that it breaks off, each after this number of bytes.
        var breaks: [Int] = []
        /// What the file has after an answer that it has broken off; nil: the same.
        var laterBytes: [UInt8]?
        /// Statuses that it answers with first.
        var failures: [Int] = []
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
            let body = answer.body.prefix(answer.breakByteCount ?? .max)
            for start in stride(from: 0, to: body.count, by: 64 << 10) {
                let piece = Array(body.dropFirst(start).prefix(64 << 10))
                let frame =
                    answer.isChunked ? ("\(String(piece.count, radix: 16))\r\n", "\r\n") : ("", "")
                let bytes = Array(frame.0.utf8) + piece + Array(frame.1.utf8)
                guard WebServer.send(bytes, connection) else { return }
                sentByteCount.add(piece.count, ordering: .relaxed)
            }
            guard answer.breakByteCount == nil else { return }
            if answer.isChunked { _ = WebServer.send(Array("0\r\n\r\n".utf8), connection) }
        }
    }

    private struct Answer {
        var head: String
        var body: ArraySlice<UInt8> = []
        var isChunked = false
        /// The connection is closed after this number of bytes.
        var breakByteCount: Int?

        /// One without a body.
        init(_ status: String, _ fields: String = "") {
            head = "HTTP/1.1 \(status)\r\n\(fields)Content-Length: 0\r\n\r\n"
        }

        init(head: String, body: ArraySlice<UInt8>) { (self.head, self.body) = (head, body) }
    }

    /// The file as it is now; breaks and failures are those of one answer each.
    private func next(_ name: String) -> (file: File, failure: Int?, breakByteCount: Int?)? {
        files.withLock { files in
            guard let file = files[name] else { return nil }
            if let failure = file.failures.first {
                files[name]?.failures.removeFirst()
                return (file, failure, nil)
            }
            if !file.breaks.isEmpty {
                files[name]?.breaks.removeFirst()
                if let later = file.laterBytes { files[name]?.bytes = later }
            }
            return (file, nil, file.breaks.first)
        }
    }

    private func answer(to request: [String]) -> Answer {
        let words = request[0].split(separator: " ")
        guard words.count == 3,
            let (file, failure, breakByteCount) = next(String(words[1].dropFirst()))
        else { return Answer("404 Not Found") }
        if let failure { return Answer("\(failure) Failure") }
        if words[0] == "HEAD", !file.knowsHEAD { return Answer("405 Method Not Allowed") }
        if let tag = file.tag, request.contains("If-None-Match: \(tag)") {
            return Answer("304 Not Modified", "ETag: \(tag)\r\n")
        }
        if let location = file.location {
            return Answer("301 Moved", "Location: \(location)\r\n")
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
        if let date = file.lastModified { head += "Last-Modified: \(date)\r\nDate: \(date)\r\n" }
        head +=
            file.isChunked
            ? "Transfer-Encoding: chunked\r\n\r\n" : "Content-Length: \(body.count)\r\n\r\n"
        var answer = Answer(head: head, body: words[0] == "HEAD" ? [] : body)
        answer.isChunked = file.isChunked
        answer.breakByteCount = breakByteCount
        return answer
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
