internal import FoundationEssentials
internal import Logging
internal import TFTPCore
internal import TFTPLoad
internal import TFTPPeer
internal import TFTPReactor
internal import TFTPServer

/// A server of tune's own on 127.0.0.1, with a file of its own.
struct TuneServer {
    let endpoint: Endpoint
    let name: String
    let content: Reference

    private static let fileName = "tune.bin"
    private static let fileByteCount = 16 << 20
    private static let cacheByteCount = 64 << 20

    /// Serves while `body` runs, and leaves nothing behind.
    static func serve<Result>(
        pacing: Bool, _ body: (TuneServer) async throws -> Result
    ) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "bootstorm-tune-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let content = try makeFile(in: folder)
        var configuration = TFTPServer.Configuration(root: folder.path)
        configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
        configuration.shards = 1
        configuration.cacheSize = cacheByteCount
        configuration.pacing = pacing
        let server = TFTPServer(
            configuration, logger: Logger(label: "tune") { _ in SwiftLogNoOpLogHandler() })
        async let running: Void = server.run()
        let addresses = try await server.waitUntilListening()
        guard let endpoint = addresses.first.flatMap({ Endpoint(text: $0, defaultPort: 69) }) else {
            preconditionFailure("a server that listens has an address")
        }
        let result = try await body(
            TuneServer(endpoint: endpoint, name: fileName, content: content))
        server.stop(drain: .zero)
        try await running
        return result
    }

    private static func makeFile(in folder: URL) throws -> Reference {
        var word: UInt64 = 1
        let content = (0..<fileByteCount).map { _ in
            word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: word >> 56)
        }
        let file = OutputFile(folder.appendingPathComponent(fileName).path)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try LocalFile(writing: file.path).write(content)
        } catch {
            throw OutputError(path: file.path, reason: failureReason(error))
        }
        return Reference(content)
    }
}
