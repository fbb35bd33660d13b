import Foundation
import Synchronization

/// A child process whose output goes to a file, so that a full pipe cannot stop it.
final class ChildProcess: Sendable {
    private let process: Process

    /// Where standard output and standard error go.
    private let outputURL: URL

    /// The exit code, once there is one; 128 and the signal's number when a signal ended it.
    private let exitStatus = Mutex<Int32?>(nil)

    /// Starts a program. It runs in the folder of its output file and reads nothing.
    ///
    /// - Parameter environment: variables in addition to our own.
    init(
        _ executable: URL, _ arguments: [String], output: URL, environment: [String: String] = [:]
    ) throws {
        process = Process()
        outputURL = output
        try Data().write(to: output)
        let handle = try FileHandle(forWritingTo: output)
        defer { try? handle.close() }
        process.executableURL = executable
        process.arguments = arguments
        if !environment.isEmpty {
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        }
        process.currentDirectoryURL = output.deletingLastPathComponent()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handle
        process.standardError = handle
        process.terminationHandler = { [weak self] ended in
            let status = ended.terminationStatus
            let isSignal = ended.terminationReason == .uncaughtSignal
            self?.exitStatus.withLock { $0 = isSignal ? 128 + status : status }
        }
        try ChildProcess.withNoSignalBlocked { try process.run() }
    }

    /// A child inherits the signal mask of the thread that starts it. The threads that tests run on
    /// block nearly every signal, and such a child would not receive SIGTERM, nor its own alarm.
    private static func withNoSignalBlocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var previous = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        try body()
    }

    var isRunning: Bool { exitStatus.withLock { $0 == nil } }

    /// All that it has printed until now.
    var output: String {
        guard let data = try? Data(contentsOf: outputURL) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    /// Asks it to end (SIGTERM).
    func terminate() {
        if isRunning { process.terminate() }
    }

    /// Sends it a signal.
    func signal(_ number: Int32) {
        if isRunning { _ = Foundation.kill(process.processIdentifier, number) }
    }

    /// Ends it at once (SIGKILL).
    func kill() {
        if isRunning { _ = Foundation.kill(process.processIdentifier, SIGKILL) }
    }

    /// Waits for its end. When it takes longer it is killed, and that is an error.
    func exitStatus(within limit: Duration) async throws -> Int32 {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let status = exitStatus.withLock({ $0 }) { return status }
            // Looked at rather than waited for: no thread of the test's pool is held up.
            try await Task.sleep(for: .milliseconds(2))
        }
        kill()
        let name = process.executableURL?.lastPathComponent ?? "the child"
        throw InteropError("\(name) ran longer than \(limit); it printed: \(output.suffix(2_000))")
    }
}

/// What went wrong other than that bytes differ.
struct InteropError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
