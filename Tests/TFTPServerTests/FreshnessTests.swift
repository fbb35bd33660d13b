import Foundation
import Testing

extension ServerTests {
    /// Files that change while they are served.
    struct FreshnessTests {
        /// Larger than what is read ahead of a client that has just begun: extents of 1 MiB, two
        /// ahead.
        static let large = 9 << 20
        static let options: [Option] = [.blksize(8192), .windowsize(8)]

        @Test(arguments: [100_000, large])
        func aReplacedFileIsKeptByWhoHasBegun(byteCount: Int) async throws {
            let old = Content.bytes(byteCount, seed: 1)
            let new = Content.bytes(byteCount, seed: 2)
            try await TestServer.serve {
                try $0.write("file", old)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", Self.options), until: 8)
                try server.scratch.replace("file", new)
                #expect(try server.get("file", Self.options).bytes == new)
                client.proceed(&download)
                #expect(download.state == .done)
                #expect(download.bytes == old)
                #expect(try server.get("file", Self.options).bytes == new)
            }
        }

        /// Another size, so that the old content cannot come from a cache by the name.
        @Test func everyRequestSeesTheFileOfItsTime() async throws {
            try await TestServer.serve { server in
                for round in 0..<30 {
                    let content = Content.bytes(round * 400, seed: UInt64(round))
                    if round % 2 == 0 {
                        try server.scratch.replace("file", content)
                    } else {
                        try server.scratch.write("file", content)
                    }
                    let got = try server.get("file", [.tsize(0), .blksize(1024)])
                    #expect(got.bytes == content, "round \(round)")
                    #expect(got.granted?.number("tsize") == content.count)
                }
            }
        }

        /// The same size and the same modification time, set back by a program: still another file.
        @Test func theSameSizeAndTimeIsStillAnotherFile() async throws {
            try await TestServer.serve {
                try $0.write("file", Array(repeating: 1, count: 3000))
            } body: { server in
                let path = server.scratch.path("file")
                let time = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate]
                #expect(try server.get("file").bytes.first == 1)
                // What the kernel's clock for files does not tell apart is not told apart.
                usleep(20_000)
                try server.scratch.write("file", Array(repeating: 2, count: 3000))
                try FileManager.default.setAttributes(
                    [.modificationDate: time as Any], ofItemAtPath: path)
                #expect(try server.get("file").bytes.first == 2)
            }
        }

        /// What was not read before the file was cut is lost: the client gets an ERROR, and no
        /// client gets an end that looks complete.
        @Test(arguments: [0, 1000, (4 << 20) + 5])
        func aFileCutShortWhileItIsRead(byteCount: Int) async throws {
            let old = Content.bytes(Self.large)
            try await TestServer.serve {
                try $0.write("file", old)
                try $0.write("other", Content.bytes(3000))
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", Self.options), until: 8)
                truncate(server.scratch.path("file"), byteCount)
                client.proceed(&download)
                if case .refused(let code, let text) = download.state {
                    #expect(code == 0)
                    #expect(text == "File changed while it was read")
                } else {
                    Issue.record("neither whole nor refused: \(download.state)")
                }
                #expect(download.bytes == Array(old.prefix(download.bytes.count)))
                #expect(try server.get("other").bytes == Content.bytes(3000))
                let again = try server.get("file", Self.options)
                #expect(again.bytes == Array(old.prefix(byteCount)))
                let line = server.log.wait(for: "file").first { $0["outcome"] == "failed" }
                #expect(line?.level == .warning)
            }
        }

        /// Every client of the file gets an ERROR, not only the one that requested the extent.
        @Test func everyClientOfACutFileFails() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(Self.large))
            } body: { server in
                var pairs: [(Client, Download)] = []
                for _ in 0..<8 {
                    let client = try Client(server.endpoint)
                    let download = client.run(Download("file", Self.options), until: 8)
                    pairs.append((client, download))
                }
                truncate(server.scratch.path("file"), 10)
                for (client, download) in pairs {
                    var download = download
                    client.proceed(&download)
                    guard case .refused(0, _) = download.state else {
                        Issue.record("neither whole nor refused: \(download.state)")
                        continue
                    }
                }
                #expect(server.wait { server.server.activeTransferCount == 0 })
            }
        }

        @Test func aFileThatVanishes() async throws {
            let content = Content.bytes(Self.large)
            try await TestServer.serve {
                try $0.write("file", content)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = client.run(Download("file", Self.options), until: 8)
                unlink(server.scratch.path("file"))
                let late = try server.get("file")
                #expect(late.state == .refused(1, "File not found"))
                client.proceed(&download)
                #expect(download.bytes == content)
                try server.scratch.write("file", [9])
                #expect(try server.get("file").bytes == [9])
            }
        }

        /// Images without a name are released, or a busy folder of images fills the disk with files
        /// that no name leads to.
        @Test func aReplacedFileIsLetGoOf() async throws {
            try await TestServer.serve { server in
                for round in 0..<8 {
                    let content = Content.bytes(2 << 20, seed: UInt64(round))
                    try server.scratch.replace("file", content)
                    #expect(try server.get("file", Self.options).bytes == content)
                }
                #expect(server.wait { server.server.activeTransferCount == 0 })
                // It looks for such files every ten seconds.
                let isLetGo = server.wait(limit: .seconds(20)) {
                    let all = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
                    let open = (all ?? []).compactMap {
                        try? FileManager.default.destinationOfSymbolicLink(
                            atPath: "/proc/self/fd/\($0)")
                    }
                    return !open.contains {
                        $0.hasPrefix(server.scratch.root) && $0.hasSuffix("(deleted)")
                    }
                }
                #expect(isLetGo, "deleted files are still open")
                #expect(try server.get("file", Self.options).state == .done)
            }
        }
    }
}
