import Foundation
import Logging
import Loopback
import Synchronization
import TFTPClient
import TFTPServer
import Testing

extension InteropTests {
    /// Every twentieth ACK is lost, on the way of a file of 3 MiB.
    ///
    /// A sender that forgets what it has sent before a repeat drops the ACK of a whole window, and
    /// the transfer never ends.
    struct LostACKs {
        /// 12 and 13 are on either side of the burst that a sender paces.
        static let windowsizes = isWhole ? [1, 4, 12, 13, 16, 32, 64] : [1, 13, 64]
        /// The matrix of docs/PERFORMANCE.md, which takes five minutes: a lost ACK costs a lockstep
        /// client the shortest time-out, 200 ms.
        private static let isWhole =
            ProcessInfo.processInfo.environment["BOOTSTORM_LOST_ACKS"] == "all"
        private static let blksize = 1468
        private static let limit = Duration.seconds(60)

        /// 3 MiB, or enough for three lost ACKs.
        private static func content(_ windowsize: Int) -> Data {
            Content.bytes(isWhole ? 3 << 20 : min(3 << 20, 65 * windowsize * blksize))
        }

        @Test(
            .enabled(if: Client.atftp.isInstalled, Client.atftp.isMissing), arguments: windowsizes)
        func atftpGets(windowsize: Int) async throws {
            let options = ["blksize 1468", "windowsize \(windowsize)"]
            try await gets("atftp", windowsize) { port, local in
                let arguments = options.flatMap { ["--option", $0] }
                return (
                    Client.atftp.executable,
                    arguments + ["--get", "-r", "file.bin", "-l", local, "127.0.0.1", "\(port)"]
                )
            }
        }

        @Test(.enabled(if: Client.curl.isInstalled, Client.curl.isMissing))
        func curlGets() async throws {
            try await gets("curl", 1) { port, local in
                (
                    Client.curl.executable,
                    Client.curl.prefix + [
                        "--tftp-blksize", "1468", "-o", local, "tftp://127.0.0.1:\(port)/file.bin",
                    ]
                )
            }
        }

        @Test(arguments: windowsizes)
        func bootstormGets(windowsize: Int) async throws {
            try await gets("bootstorm get", windowsize) { port, local in
                (
                    Bootstorm.executable,
                    ["get", "127.0.0.1:\(port)/file.bin", "-o", local]
                        + LostACKs.options(windowsize)
                )
            }
        }

        @Test(arguments: windowsizes)
        func bootstormPuts(windowsize: Int) async throws {
            try await withFolder { folder in
                try await LostACKs.serve(folder, pacing: true) { port in
                    try await put(folder, to: port, windowsize)
                }
            }
        }

        @Test(
            .enabled(if: PeerServer.atftpd.isAvailable, PeerServer.atftpd.isMissing),
            arguments: windowsizes)
        func bootstormPutsToAtftpd(windowsize: Int) async throws {
            try await withFolder { folder in
                chmod(folder.appending(path: "root").path, 0o777)
                try await PeerServer.atftpd.serve(folder.appending(path: "root")) { address in
                    let port = try #require(UInt16(address.split(separator: ":").last ?? ""))
                    try await put(folder, to: port, windowsize)
                }
            }
        }

        // MARK: -

        private static func options(_ windowsize: Int) -> [String] {
            ["--blksize", "1468", "--windowsize", "\(windowsize)"]
        }

        /// Runs a client against a server that paces and against one that does not.
        private func gets(
            _ client: String, _ windowsize: Int,
            _ command: (_ port: UInt16, _ local: String) -> (URL, [String])
        ) async throws {
            let what = "\(client), window \(windowsize)"
            let content = LostACKs.content(windowsize)
            var times: [Duration] = []
            for pacing in LostACKs.isWhole ? [false, true] : [true] {
                try await withFolder { folder in
                    try content.write(to: folder.appending(path: "root/file.bin"))
                    let local = folder.appending(path: "local")
                    try await LostACKs.serve(folder, pacing: pacing) { port in
                        try await LostACKs.lose(port) { port in
                            let (program, arguments) = command(port, local.path)
                            times.append(try await run(program, arguments, in: folder))
                        }
                    }
                    let isSame = (try? Data(contentsOf: local)) == content
                    #expect(isSame, "\(what), pacing \(pacing)")
                }
            }
            guard LostACKs.isWhole else { return }
            print("lost ACKs: \(what):", times)
            #expect(times[1] <= times[0] * 2, "\(what): \(times)")
        }

        private func put(_ folder: URL, to port: UInt16, _ windowsize: Int) async throws {
            let local = folder.appending(path: "local")
            let content = LostACKs.content(windowsize)
            try content.write(to: local)
            // atftpd does not repeat the last ACK, so a client cannot know that it was sent.
            let last = UInt16(content.count / LostACKs.blksize + 1)
            try await LostACKs.lose(port, sparing: last) { port in
                let arguments =
                    ["put", local.path, "127.0.0.1:\(port)/put.bin"] + LostACKs.options(windowsize)
                let time = try await run(Bootstorm.executable, arguments, in: folder)
                if LostACKs.isWhole { print("lost ACKs: put, window \(windowsize):", time) }
            }
            // Some servers acknowledge the last block before they have written it.
            let stored = folder.appending(path: "root/put.bin")
            let deadline = ContinuousClock.now + .seconds(5)
            while (try? Data(contentsOf: stored)) != content, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(10))
            }
            let isSame = (try? Data(contentsOf: stored)) == content
            #expect(isSame, "window \(windowsize)")
        }

        private func run(
            _ program: URL, _ arguments: [String], in folder: URL
        ) async throws -> Duration {
            let began = ContinuousClock.now
            let child = try ChildProcess(
                program, arguments, output: folder.appending(path: "client.out"))
            let status = try await child.exitStatus(within: LostACKs.limit)
            #expect(status == 0, "\(child.output.suffix(1000))")
            return ContinuousClock.now - began
        }

        /// A server of this process, which ends with `body`.
        private static func serve(
            _ folder: URL, pacing: Bool, _ body: (UInt16) async throws -> Void
        ) async throws {
            var configuration = TFTPServer.Configuration(
                root: folder.appending(path: "root").path)
            configuration.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
            configuration.shards = 1
            configuration.upload = .create
            configuration.pacing = pacing
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let server = TFTPServer(configuration, logger: logger)
            let running = Task { try await server.run() }
            let address = try await server.waitUntilListening()[0]
            let result = await Swift.Result.catching {
                try await body(try #require(UInt16(address.split(separator: ":").last ?? "")))
            }
            server.stop(drain: .zero)
            try await running.value
            try result.get()
        }

        /// Drops every twentieth ACK of either end, but that of the block `spared`.
        private static func lose(
            _ port: UInt16, sparing spared: UInt16? = nil, _ body: (UInt16) async throws -> Void
        ) async throws {
            let counter = AckCounter()
            try await MiddleMan.stand(
                before: TFTPClient.Server(host: "127.0.0.1", port: port),
                rule: { way, bytes in
                    guard bytes.count == 4, bytes[1] == 4, counter.isTwentieth else {
                        return [(way, bytes)]
                    }
                    let block = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
                    return block == spared ? [(way, bytes)] : []
                }, body: { address, _ in try await body(address.port) })
        }

        private func withFolder(_ body: (URL) async throws -> Void) async throws {
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "bootstorm-acks-\(UUID().uuidString)")
            try FileManager.default.createDirectory(
                at: folder.appending(path: "root"), withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            chmod(folder.path, 0o755)
            try await body(folder)
        }
    }
}

private final class AckCounter: Sendable {
    private let count = Mutex(0)

    /// Whether the ACK of this call is lost.
    var isTwentieth: Bool {
        count.withLock { count in
            count += 1
            return count.isMultiple(of: 20)
        }
    }
}
