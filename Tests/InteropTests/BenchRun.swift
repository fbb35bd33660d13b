import Foundation
import Testing

/// `bootstorm bench` as a child process, in a folder of its own.
final class BenchRun {
    let folder: URL
    private let child: ChildProcess

    /// - Parameter wrapper: what stands before the program on the command line.
    init(_ arguments: [String], wrapper: [String] = []) throws {
        folder = FileManager.default.temporaryDirectory
            .appending(path: "bootstorm-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let words = wrapper + [Bootstorm.executable.path, "bench"] + arguments
        child = try ChildProcess(
            URL(filePath: words[0]), Array(words.dropFirst()),
            output: folder.appending(path: "bench.out"))
    }

    deinit {
        child.kill()
        try? FileManager.default.removeItem(at: folder)
    }

    /// All that it has printed until now.
    var output: String { child.output }

    var lines: [Substring] { output.split(separator: "\n") }

    func terminate() { child.terminate() }

    func exitStatus() async throws -> Int32 { try await child.exitStatus(within: .seconds(60)) }

    /// Runs to the end.
    static func run(_ arguments: [String], wrapper: [String] = []) async throws -> BenchRun {
        let run = try BenchRun(arguments, wrapper: wrapper)
        _ = try await run.exitStatus()
        return run
    }

    /// Expects one line, which has `words` in it, and exit code 1.
    func expectRefusal(
        _ words: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let status = try await exitStatus()
        #expect(status == 1, sourceLocation: sourceLocation)
        #expect(lines.count == 1, "\(output)", sourceLocation: sourceLocation)
        #expect(output.hasPrefix("bootstorm: "), "\(output)", sourceLocation: sourceLocation)
        #expect(output.contains(words), "\(output)", sourceLocation: sourceLocation)
    }

    func written(_ name: String) -> String? {
        (try? Data(contentsOf: folder.appending(path: name))).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
