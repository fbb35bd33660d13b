import Foundation
import Testing

extension InteropTests {
    /// A machine that leaves the server no room is told in one line, and the process ends: it never
    /// waits for what cannot come.
    struct StartLimits {
        private static let hasSetpriv = FileManager.default.isExecutableFile(
            atPath: "/usr/bin/setpriv")

        /// Runs `serve` with `flags` after `limits` of the shell.
        private func end(
            _ limits: String, _ flags: [String], as becomes: String = ""
        ) async throws -> Bootstorm.Run {
            let folder = FileManager.default.temporaryDirectory.appending(
                path: "bootstorm-limits-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let serve = "\"$0\" serve . --listen 127.0.0.1:0 --control none \"$@\""
            let line = "\(limits); exec \(becomes) \(serve)"
            let child = try ChildProcess(
                URL(filePath: "/bin/sh"), ["-c", line, Bootstorm.executable.path] + flags,
                output: folder.appending(path: "out"))
            defer { child.kill() }
            let status = try await child.exitStatus(within: .seconds(60))
            return Bootstorm.Run(status: status, output: child.output)
        }

        private func expectLine(_ run: Bootstorm.Run, _ words: String) {
            #expect(run.status == 1, "\(run.output)")
            #expect(run.output.contains(words), "\(run.output)")
            #expect(run.output.count { $0 == "\n" } == 1, "\(run.output)")
        }

        /// Where no thread can start, the tasks of the runtime would wait for ever.
        @Test(arguments: [20_480, 60_000, 120_000])
        func littleData(kilobytes: Int) async throws {
            let run = try await end("ulimit -d \(kilobytes)", [])
            expectLine(run, "ulimit -d")
        }

        /// Started as a user of its own, since the limit counts all threads of a user.
        @Test(
            .enabled(if: getuid() == 0 && hasSetpriv, "needs root and setpriv"),
            arguments: [1, 3, 6])
        func fewThreads(count: Int) async throws {
            let user = 4_200_000 + count
            let run = try await end(
                "true", [],
                as: """
                    setpriv --reuid \(user) --regid \(user) --clear-groups prlimit --nproc=\(count):\(count)
                    """)
            expectLine(run, "ulimit -u")
        }

        @Test func aCacheLargerThanTheMemory() async throws {
            expectLine(try await end("true", ["--cache", "1T"]), "--cache")
        }
    }
}
