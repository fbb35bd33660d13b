import Foundation
import Logging
import TFTPServer
import Testing

@testable import bootstorm

/// A control socket with a server behind it.
struct ControlTests {
    /// Asks on a thread of its own: the server's answers need the pool that this would block.
    private func ask(_ path: String, _ request: ControlRequest) async throws -> ControlReply {
        let option = try ControlOption.parse(["--control", path])
        return try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try option.answer(to: request) })
            }
        }
    }

    private func withServer(_ body: @Sendable (String, String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "control-\(UUID())")
            .path
        try FileManager.default.createDirectory(
            atPath: folder + "/root", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("content".utf8).write(to: URL(filePath: folder + "/root/file"))
        var configuration = TFTPServer.Configuration(root: folder + "/root")
        configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
        configuration.shards = 1
        let server = TFTPServer(
            configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await server.run() }
        let address = try await server.waitUntilListening()[0]
        let path = folder + "/control.sock"
        let control = ControlServer(
            try ControlSocket.listen(at: path), at: path, .init(server: server))
        try control.start()
        try await body(path, address)
        control.end()
        #expect(!FileManager.default.fileExists(atPath: path))
        server.stop(drain: .zero)
        try await running.value
    }

    @Test func statusTellsTheServer() async throws {
        try await withServer { path, address in
            let reply = try await ask(path, .init(verb: "status"))
            let status = try #require(reply.status)
            #expect(status.listening == [address])
            #expect(status.upload == "deny")
            #expect(status.shards.count == 1)
            #expect(status.running.isEmpty)
            #expect(status.uptimeSeconds >= 0)
        }
    }

    @Test func onlyTheOwnerMayAsk() async throws {
        try await withServer { path, _ in
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect((mode as? NSNumber)?.intValue == 0o600)
        }
    }

    @Test func aVerbThatTheServerDoesNotKnow() async throws {
        try await withServer { path, _ in
            let requests = [
                ControlRequest(verb: "dance"), ControlRequest(verb: "reload"),
                ControlRequest(verb: "trace", client: "no-address"),
            ]
            for request in requests {
                await #expect(throws: ControlError.self) { try await ask(path, request) }
            }
        }
    }

    @Test func aPathInUseIsNotTakenAndAStaleOneIs() async throws {
        try await withServer { path, _ in
            #expect(throws: ControlError.self) { try ControlSocket.listen(at: path) }
        }
        let stale = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).sock").path
        try ControlSocket.listen(at: stale).end()
        #expect(FileManager.default.fileExists(atPath: stale))
        try ControlSocket.listen(at: stale).end()
        try FileManager.default.removeItem(atPath: stale)
    }

    @Test func whereNoServerListens() throws {
        let option = try ControlOption.parse(["--control", "/nonexistent/control.sock"])
        #expect(throws: ControlError.self) { try option.answer(to: .init(verb: "status")) }
        let long = "/" + String(repeating: "x", count: 200)
        #expect(throws: ControlError.self) { try ControlSocket.connect(to: long) }
    }
}
