import Foundation
import TFTPServer

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

// Answers TFTP with what an HTTP store has. However many hosts ask for a file, it is fetched once for each version.
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

func ask(_ url: URL, _ method: String, range: Range<Int>? = nil) async throws -> (
    Data, HTTPURLResponse
) {
    var request = URLRequest(url: url)
    request.httpMethod = method
    if let range {
        let text = "bytes=\(range.lowerBound)-\(range.upperBound - 1)"
        request.setValue(text, forHTTPHeaderField: "Range")
    }
    let (data, response) = try await URLSession.shared.data(for: request)
    return (data, response as! HTTPURLResponse)
}

struct StoreError: Error { var status: Int }

/// Fetches piece after piece, as fast as the client takes them. A store without ranges sends all at once.
@Sendable func fetch(_ url: URL, size: Int, to writer: TFTPServer.Writer) async throws {
    var offset = 0
    while offset < size {
        let end = min(offset + chunkByteCount, size)
        let (data, response) = try await ask(url, "GET", range: offset..<end)
        guard [200, 206].contains(response.statusCode) else {
            throw StoreError(status: response.statusCode)
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
    let version =
        head.value(forHTTPHeaderField: "ETag")
        ?? head.value(forHTTPHeaderField: "Last-Modified")
    let key = version.map { "\(url) \($0)" }
    return .stream(size: UInt64(size), key: key) { writer in
        try await fetch(url, size: size, to: writer)
    }
}
try await server.run()
