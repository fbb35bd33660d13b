import Foundation
import Testing

extension InteropTests {
    /// `bootstorm get` and `put` against the servers that are out there, and through a bad network.
    struct OwnClient {
        /// Options of get and put.
        static let optionSets = [
            ["--no-options"],
            ["--blksize", "1468", "--windowsize", "16"],
            [],
        ]

        @Test(
            .enabled(if: PeerServer.tftpdHPA.isAvailable, PeerServer.tftpdHPA.isMissing),
            arguments: optionSets)
        func getsFromTftpdHPA(options: [String]) async throws {
            try await getsAll(from: .tftpdHPA, options)
        }

        @Test(
            .enabled(if: PeerServer.atftpd.isAvailable, PeerServer.atftpd.isMissing),
            arguments: optionSets)
        func getsFromAtftpd(options: [String]) async throws {
            try await getsAll(from: .atftpd, options)
        }

        @Test(
            .enabled(if: PeerServer.dnsmasq.isAvailable, PeerServer.dnsmasq.isMissing),
            arguments: optionSets)
        func getsFromDnsmasq(options: [String]) async throws {
            try await getsAll(from: .dnsmasq, options)
        }

        @Test(
            .enabled(if: PeerServer.fbtftp.isAvailable, PeerServer.fbtftp.isMissing),
            arguments: optionSets)
        func getsFromFbtftp(options: [String]) async throws {
            try await getsAll(from: .fbtftp, options)
        }

        @Test(
            .enabled(if: PeerServer.tftpdHPA.isAvailable, PeerServer.tftpdHPA.isMissing),
            arguments: optionSets)
        func putsOnTftpdHPA(options: [String]) async throws {
            try await putsAll(on: .tftpdHPA, options)
        }

        @Test(
            .enabled(if: PeerServer.atftpd.isAvailable, PeerServer.atftpd.isMissing),
            arguments: optionSets)
        func putsOnAtftpd(options: [String]) async throws {
            try await putsAll(on: .atftpd, options)
        }

        /// 5 % of the packets are lost, and as many come in another order.
        @Test(arguments: [["--blksize", "1468"], ["--no-options"]])
        func throughABadNetwork(options: [String]) async throws {
            try await Bootstorm.serve(["--upload", "overwrite"]) { server in
                let relay = try ChildProcess(
                    Bootstorm.executable,
                    [
                        "relay", "--listen", "127.0.0.1:0", "--server", "127.0.0.1:\(server.port)",
                        "--impair", "loss=5%,reorder=5%",
                    ], output: server.local("relay.out"))
                defer { relay.kill() }
                let port = try await Bootstorm.port(listening: relay)
                let content = Content.bytes(options.contains("1468") ? 1 << 20 : 20_000)
                try server.publish(content, as: "file.bin")
                let got = server.local("got.bin")
                let get = try await run(
                    ["get", "127.0.0.1:\(port)/file.bin", "-o", got.path] + options, near: got)
                #expect(get.status == 0, "\(get.output)")
                let isSame = (try? Data(contentsOf: got)) == content
                #expect(isSame, "\(get.output)")
                let put = try await run(
                    ["put", got.path, "127.0.0.1:\(port)/put.bin"] + options, near: got)
                #expect(put.status == 0, "\(put.output)")
                let isStored = server.published("put.bin") == content
                #expect(isStored, "\(put.output)")
            }
        }

        @Test(.enabled(if: PeerServer.tftpdHPA.isAvailable, PeerServer.tftpdHPA.isMissing))
        func noPartFromTftpdHPA() async throws { try await getsNoPart(from: .tftpdHPA) }

        @Test(.enabled(if: PeerServer.dnsmasq.isAvailable, PeerServer.dnsmasq.isMissing))
        func noPartFromDnsmasq() async throws { try await getsNoPart(from: .dnsmasq) }

        @Test func aPartFromOurs() async throws {
            try await Bootstorm.serve([]) { server in
                let content = Content.bytes(1_200_000)
                try server.publish(content, as: "file.bin")
                let got = server.local("got.bin")
                let done = try await run(
                    [
                        "get", "127.0.0.1:\(server.port)/file.bin", "-o", got.path, "--offset",
                        "1M",
                        "--length", "2000",
                    ], near: got)
                #expect(done.status == 0, "\(done.output)")
                #expect(done.output.contains("2000 bytes in"))
                #expect(done.output.contains("offset 1048576"))
                let isSame = (try? Data(contentsOf: got)) == content[1_048_576..<1_050_576]
                #expect(isSame)
            }
        }

        /// A process that is blocked in a write to a full pipe can still be interrupted.
        @Test func aPipeWithoutReader() async throws {
            try await Bootstorm.serve([]) { server in
                try server.publish(Content.bytes(1_200_000), as: "file.bin")
                let pipe = server.local("pipe")
                try #require(mkfifo(pipe.path, 0o600) == 0)
                let reader = open(pipe.path, O_RDWR | O_NONBLOCK)
                defer { close(reader) }
                let get = try ChildProcess(
                    Bootstorm.executable,
                    ["get", "127.0.0.1:\(server.port)/file.bin", "-o", pipe.path],
                    output: server.local("get.out"))
                defer { get.kill() }
                let end = ContinuousClock.now + .seconds(20)
                var poller = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
                while poll(&poller, 1, 0) == 0, ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(5))
                }
                #expect(poller.revents != 0, "\(get.output)")
                get.terminate()
                #expect(try await get.exitStatus(within: .seconds(20)) == 130, "\(get.output)")
            }
        }

        // MARK: -

        /// The server knows nothing of parts and would send the beginning of the file: exit code 7,
        /// and nothing stays.
        private func getsNoPart(from peer: PeerServer) async throws {
            let folder = try ScratchFolder()
            defer { folder.remove() }
            try Content.bytes(100_000).write(to: folder.root.appending(path: "file"))
            try await peer.serve(folder.root) { address in
                let done = try await run(
                    ["get", "\(address)/file", "-o", folder.out.path + "/", "--offset", "5000"],
                    near: folder.out)
                #expect(done.status == 7, "\(done.output)")
                let left = try FileManager.default.contentsOfDirectory(atPath: folder.out.path)
                #expect(!left.contains("file"))
            }
        }

        /// Gets a file of every size, all at once.
        private func getsAll(from peer: PeerServer, _ options: [String]) async throws {
            let folder = try ScratchFolder()
            defer { folder.remove() }
            for count in Content.byteCounts {
                try Content.bytes(count).write(to: folder.root.appending(path: "\(count)"))
            }
            try await peer.serve(folder.root) { address in
                let files = Content.byteCounts.map { "\(address)/\($0)" }
                let done = try await run(
                    ["get", "-o", folder.out.path + "/"] + options + files, near: folder.out)
                #expect(done.status == 0, "\(done.output)")
                for count in Content.byteCounts {
                    let got = try? Data(contentsOf: folder.out.appending(path: "\(count)"))
                    let isSame = got == Content.bytes(count)
                    #expect(isSame, "\(count) bytes: \(done.output)")
                }
            }
        }

        /// Puts a file of every size, one after the other.
        private func putsAll(on peer: PeerServer, _ options: [String]) async throws {
            let folder = try ScratchFolder()
            defer { folder.remove() }
            chmod(folder.root.path, 0o777)
            try await peer.serve(folder.root) { address in
                for count in Content.byteCounts {
                    let source = folder.out.appending(path: "\(count)")
                    try Content.bytes(count).write(to: source)
                    let done = try await run(
                        ["put", source.path, "\(address)/\(count)"] + options, near: folder.out)
                    #expect(done.status == 0, "\(count) bytes: \(done.output)")
                    // Some acknowledge the last block before they have written it.
                    let target = folder.root.appending(path: "\(count)")
                    let isSame = try await eventually {
                        (try? Data(contentsOf: target)) == Content.bytes(count)
                    }
                    #expect(isSame, "\(count) bytes: \(done.output)")
                }
            }
        }

        private func eventually(_ condition: () -> Bool) async throws -> Bool {
            let deadline = ContinuousClock.now + .seconds(5)
            while ContinuousClock.now < deadline {
                if condition() { return true }
                try await Task.sleep(for: .milliseconds(10))
            }
            return condition()
        }

        private func run(_ arguments: [String], near folder: URL) async throws -> Bootstorm.Run {
            let child = try ChildProcess(
                Bootstorm.executable, arguments,
                output: folder.deletingLastPathComponent().appending(path: "client.out"))
            let status = try await child.exitStatus(within: .seconds(60))
            return Bootstorm.Run(status: status, output: child.output)
        }
    }
}

/// A folder to serve and one to write to. Gone at the end.
private struct ScratchFolder {
    let path = FileManager.default.temporaryDirectory
        .appending(path: "bootstorm-peers-\(UUID().uuidString)")
    var root: URL { path.appending(path: "root") }
    var out: URL { path.appending(path: "out") }

    init() throws {
        for folder in [root, out] {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        // Some servers read as another user.
        chmod(path.path, 0o755)
    }

    func remove() { try? FileManager.default.removeItem(at: path) }
}
