import Foundation
import TFTPServer

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// Answers TFTP with what an HTTP store has. However many hosts ask for a file, it is fetched once
// for each version.
//
//     HTTPFront http://store.example.net/boot/ :6969
let store = URL(string: CommandLine.arguments[1])!
let scratch = FileManager.default.temporaryDirectory
let chunkByteCount = 4 << 20

/// Where the store has `name`; nil when the name would lead out of it.
func url(for name: String) -> URL? {
    guard !name.split(separator: "/").contains("..") else { return nil }
    return store.appending(path: name)
}

/// What tells one version of a file from the next, as far as the store says.
func version(of response: HTTPURLResponse) -> String? {
    response.value(forHTTPHeaderField: "ETag")
        ?? response.value(forHTTPHeaderField: "Last-Modified")
}

func ask(
    _ url: URL, _ method: String, range: Range<Int>? = nil, ifMatch tag: String? = nil
) async throws -> (Data, HTTPURLResponse) {
    var request = URLRequest(url: url)
    request.httpMethod = method
    if let range {
        let text = "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
        request.setValue(text, forHTTPHeaderField: "Range")
    }
    // A weak tag never matches (RFC 9110 §13.1.1).
    if let tag, !tag.hasPrefix("W/") { request.setValue(tag, forHTTPHeaderField: "If-Match") }
    let (data, response) = try await URLSession.shared.data(for: request)
    return (data, response as! HTTPURLResponse)
}

enum StoreError: Error {
    case status(Int)
    /// The file has been replaced meanwhile.
    case changed
    /// The store sends less than it said, or what was not asked for.
    case wrongPiece
}

/// Fetches piece after piece of what `head` tells of, as fast as the client takes them. A store
/// without ranges sends all at once.
@Sendable func fetch(
    _ url: URL, size: Int, as head: HTTPURLResponse, to writer: TFTPServer.Writer
) async throws {
    let tag = head.value(forHTTPHeaderField: "ETag")
    var offset = 0
    while offset < size {
        let end = min(offset + chunkByteCount, size)
        let (data, response) = try await ask(url, "GET", range: offset..<end, ifMatch: tag)
        guard [200, 206].contains(response.statusCode) else {
            throw response.statusCode == 412
                ? StoreError.changed : StoreError.status(response.statusCode)
        }
        // Not every store heeds If-Match, and pieces of two versions must not become one file.
        guard version(of: response) == version(of: head) else { throw StoreError.changed }
        // A 200 is the file from its beginning on, and an empty piece would be asked for again for
        // ever.
        guard !data.isEmpty, response.statusCode == 206 || offset == 0 else {
            throw StoreError.wrongPiece
        }
        try await writer.write(data)
        offset += data.count
    }
}

var configuration = TFTPServer.Configuration(root: scratch.path)
configuration.listen = [try TFTPServer.ListenAddress(CommandLine.arguments[2])]

let server = TFTPServer(configuration) { request in
    guard let url = url(for: request.name) else { return .refused() }
    let (_, head) = try await ask(url, "HEAD")
    guard head.statusCode == 200 else {
        return head.statusCode == 404 ? .notFound : .refused("store says \(head.statusCode)")
    }
    let size = Int(head.expectedContentLength)
    guard size >= 0 else { return .refused("store does not tell the size", code: .notDefined) }
    let key = version(of: head).map { "\(url) \($0)" }
    return .stream(size: UInt64(size), key: key) { writer in
        try await fetch(url, size: size, as: head, to: writer)
    }
}
try await server.run()
