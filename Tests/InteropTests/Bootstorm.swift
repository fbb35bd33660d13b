import Foundation
import Testing

/// A running `bootstorm serve` with a root of its own, as a child process.
///
/// The server binds port 0 and says which port it got, so no two of them meet.
final class Bootstorm: Sendable {
    /// The folder that is served; empty at first.
    let root: URL

    /// The UDP port that it listens on at 127.0.0.1.
    let port: UInt16

    /// Where the root and what the clients fetch lie. Removed at the end.
    private let folder: URL

    private let child: ChildProcess

    /// The program under test: it is built next to the test bundle that runs now.
    static var executable: URL {
        if let path = ProcessInfo.processInfo.environment["BOOTSTORM_EXECUTABLE"] {
            return URL(filePath: path)
        }
        return URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appending(path: "bootstorm")
    }

    /// Starts a server and returns when it listens.
    private init(_ flags: [String]) async throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "bootstorm-interop-\(UUID().uuidString)")
        root = folder.appending(path: "root")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        child = try ChildProcess(
            Bootstorm.executable, ["serve", root.path, "--listen", "127.0.0.1:0"] + flags,
            output: folder.appending(path: "server.out"))
        do {
            port = try await Bootstorm.port(listening: child)
        } catch {
            child.kill()
            try? FileManager.default.removeItem(at: folder)
            throw error
        }
    }

    /// Serves while `body` runs, then ends the server as an operator does (SIGTERM): it must exit
    /// 0.
    static func serve(
        _ flags: [String] = [], _ body: (Bootstorm) async throws -> Void
    ) async throws {
        let server = try await Bootstorm(flags)
        do {
            try await body(server)
        } catch {
            server.discard()
            throw error
        }
        server.child.terminate()
        // The clients are done, so nothing is left to drain.
        let status = try? await server.child.exitStatus(within: .seconds(20))
        #expect(status == 0, "the server printed: \(server.output)")
        server.discard()
    }

    private func discard() {
        child.kill()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Waits for the line `listening on 127.0.0.1:PORT`.
    static func port(listening child: ChildProcess) async throws -> UInt16 {
        let deadline = ContinuousClock.now + .seconds(20)
        // Looked at once more when the time is over: on a busy machine the pause itself may have
        // taken it all.
        while true {
            let isLastLook = ContinuousClock.now >= deadline || !child.isRunning
            let line = child.output.firstMatch(of: /listening on 127\.0\.0\.1:(\d+)\n/)
            if let line, let port = UInt16(line.1) { return port }
            guard !isLastLook else { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw InteropError("the server does not listen; it printed: \(child.output)")
    }
}

extension Bootstorm {
    /// Stops the process where it is (SIGSTOP), until `resume`.
    func pause() { child.signal(SIGSTOP) }

    /// Has a stopped process continue (SIGCONT).
    func resume() { child.signal(SIGCONT) }

    /// All that the server has printed until now.
    var output: String { child.output }

    /// Puts a file into the root.
    func publish(_ content: Data, as name: String) throws {
        try content.write(to: root.appending(path: name))
    }

    /// What lies in the root under a name; nil when nothing does.
    func published(_ name: String) -> Data? {
        try? Data(contentsOf: root.appending(path: name))
    }

    /// A place for a file of a client's own.
    func local(_ name: String) -> URL {
        folder.appending(path: "local-\(name)")
    }

    /// Runs a client to its end, in a folder where it may write, and returns its exit code.
    ///
    /// A client that hangs is killed after a minute. The slowest transfer here, 40 MiB in blocks of
    /// 512, takes a few seconds.
    func run(_ client: Client, _ arguments: [String]) async throws -> Run {
        let child = try ChildProcess(
            client.executable, client.prefix + arguments,
            output: folder.appending(path: "client.out"))
        let status = try await child.exitStatus(within: .seconds(60))
        return Run(status: status, output: child.output)
    }

    /// How a client ended.
    struct Run {
        let status: Int32
        let output: String
    }
}
