import Dispatch
import Foundation
import Synchronization
import TFTPNames
import Testing

extension ServerTests {
    /// Uploads to names that exist, and what the flags for uploads do.
    struct UploadPlaceTests {
        private static func mode(_ server: TestServer, _ name: String) -> Int {
            let attributes = try? FileManager.default.attributesOfItem(
                atPath: server.scratch.path(name))
            return attributes?[.posixPermissions] as? Int ?? -1
        }

        private static func inode(_ server: TestServer, _ name: String) -> Int {
            let attributes = try? FileManager.default.attributesOfItem(
                atPath: server.scratch.path(name))
            return attributes?[.systemFileNumber] as? Int ?? -1
        }

        /// Its own permission bits decide, also where the server is root, and stay.
        @Test func permissionBitsDecide() async throws {
            try await TestServer.serve {
                for (name, mode) in [("golden", 0o444), ("mine", 0o640), ("open", 0o666)] {
                    try $0.write(name, [7])
                    chmod($0.path(name), mode_t(mode))
                }
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let seen1 = try server.put("golden", [1]).state
                #expect(seen1 == .refused(2, "Access violation"))
                #expect(server.scratch.read("golden") == [7])
                for (name, mode) in [("mine", 0o640), ("open", 0o666)] {
                    let seen2 = try server.put(name, [1, 2]).state
                    #expect(seen2 == .done)
                    #expect(server.scratch.read(name) == [1, 2])
                    #expect(Self.mode(server, name) == mode)
                }
                #expect(server.scratch.list() == ["golden", "mine", "open"])
            }
        }

        @Test(.enabled("only root may give files away") { geteuid() == 0 })
        func anotherOwnersFile() async throws {
            try await TestServer.serve {
                for (name, mode) in [("theirs", 0o644), ("shared", 0o666)] {
                    try $0.write(name, [7])
                    chmod($0.path(name), mode_t(mode))
                    chown($0.path(name), 65534, 4)
                }
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let seen3 = try server.put("theirs", [1]).state
                #expect(seen3 == .refused(2, "Access violation"))
                let seen4 = try server.put("shared", [1]).state
                #expect(seen4 == .done)
                var status = stat()
                #expect(stat(server.scratch.path("shared"), &status) == 0)
                #expect(status.st_uid == 65534 && status.st_gid == 4)
                #expect(server.scratch.read("shared") == [1])
            }
        }

        /// A file with several names, or behind a link, stays the file that it is.
        @Test func aFileOfSeveralNamesIsRewritten() async throws {
            let old = Content.bytes(500_000, seed: 1)
            try await TestServer.serve {
                try $0.write("file", old)
                Foundation.link($0.path("file"), $0.path("twin"))
                try $0.makeFolder("folder")
                try $0.link("folder/link", to: "../file")
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let inode = Self.inode(server, "file")
                for (seed, name) in ["file", "folder/link"].enumerated() {
                    // Shorter, and then longer than a piece that is copied at once.
                    let new = Content.bytes(300_000 + seed * 400_000, seed: UInt64(10 + seed))
                    let seen5 = try server.put(name, new, [.blksize(8192)]).state
                    #expect(seen5 == .done)
                    #expect(server.scratch.read("twin") == new, "\(name)")
                    let seen6 = try server.get("file", [.blksize(8192)]).bytes
                    #expect(seen6 == new)
                }
                #expect(Self.inode(server, "file") == inode)
                #expect(server.scratch.list() == ["file", "folder", "folder/link", "twin"])
            }
        }

        /// tftpd-hpa without --create writes files that exist, and makes none.
        @Test func existingFilesOnly() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                try $0.write("golden", [8])
                chmod($0.path("golden"), 0o444)
                symlink("nowhere", $0.path("dangling"))
            } configure: {
                $0.upload = .existing
                $0.createFolders = true
            } body: { server in
                let written = try server.put("file", [1, 2]).state
                #expect(written == .done)
                #expect(server.scratch.read("file") == [1, 2])
                for name in ["new", "dangling", "folder/new"] {
                    let missing = try server.put(name, [1]).state
                    #expect(missing == .refused(1, "File not found"))
                }
                let golden = try server.put("golden", [1]).state
                #expect(golden == .refused(2, "Access violation"))
                #expect(server.scratch.list() == ["dangling", "file", "golden"])
            }
        }

        /// What comes out of it is one of them, whole.
        @Test func twoRewritesOfOneFile() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                Foundation.link($0.path("file"), $0.path("twin"))
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let contents = (1...2).map { Content.bytes(2 << 20, seed: UInt64($0)) }
                let clients = try contents.map { _ in try Client(server.endpoint) }
                var uploads = contents.map { Upload("file", $0, [.blksize(8192)]) }
                for index in 0..<2 {
                    clients[index].send(uploads[index].request)
                    clients[index].proceed(&uploads[index], until: 256)
                }
                for index in 0..<2 {
                    clients[index].proceed(&uploads[index])
                    #expect(uploads[index].state == .done)
                }
                let content = try #require(server.scratch.read("twin"))
                #expect(contents.contains(content))
            }
        }

        /// The name leads to another file at the end: nothing that is acknowledged is in a file
        /// that has lost its name.
        @Test func aRewrittenFileThatIsReplaced() async throws {
            try await TestServer.serve {
                for name in ["file", "other"] { try $0.write(name, [7]) }
                Foundation.link($0.path("file"), $0.path("twin"))
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let client = try Client(server.endpoint)
                var upload = Upload("file", Content.bytes(3000))
                client.send(upload.request)
                client.proceed(&upload, until: 3)
                #expect(rename(server.scratch.path("other"), server.scratch.path("file")) == 0)
                client.proceed(&upload)
                #expect(upload.state == .refused(0, "File changed while it was read"))
                #expect(server.scratch.read("file") == [7])
            }
        }

        /// A backslash that a map file lets through is a letter, also in the name of what is kept.
        @Test func aBackupStaysInItsFolder() async throws {
            let name = #"..\outside\kept"#
            try await TestServer.serve {
                try $0.write(name, [7])
            } configure: {
                $0.upload = .overwrite
                $0.backupSuffix = ".old"
                $0.names.plan.map = .hpa(try HPARules(Array("r ^none$ nothing\n".utf8)))
            } body: { server in
                let state = try server.put(name, [1]).state
                #expect(state == .done)
                #expect(server.scratch.list() == [name, name + ".old"])
                #expect(server.scratch.outsiders().keys.sorted() == ["outside/secret"])
            }
        }

        /// An upload that is broken off leaves a file that is rewritten as it was.
        @Test func aRewriteThatIsGivenUp() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                Foundation.link($0.path("file"), $0.path("twin"))
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let client = try Client(server.endpoint)
                _ = client.run(
                    Upload("file", Content.bytes(300_000), [.blksize(1000)]), until: 200)
                client.send(Message.error(0, "never mind").bytes)
                #expect(server.wait { server.server.activeTransferCount == 0 })
                #expect(server.scratch.read("twin") == [7])
                #expect(server.scratch.list() == ["file", "twin"])
            }
        }

        /// More clients ask while a file is rewritten than the store can look for at once. They
        /// begin before the last block but one, and ask a bounded number of times: the upload ends
        /// also where the machine is slow and loses some of its packets to them.
        @Test func manyAskDuringARewrite() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                Foundation.link($0.path("file"), $0.path("twin"))
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let bytes = Content.bytes(48 << 20)
                let client = try Client(server.endpoint)
                client.limit = .seconds(60)
                let blockCount = UInt64(bytes.count / 65_464 + 1)
                var upload = client.run(
                    Upload("file", bytes, [.blksize(65_464)]), until: blockCount - 2)
                #expect(upload.state == .running)

                let sockets = try (0..<900).map { _ in try UDPSocket() }
                let isOver = Mutex(false)
                let asked = DispatchGroup()
                let endpoint = server.endpoint
                DispatchQueue.global().async(group: asked) {
                    let request = Message.read("file")
                    for _ in 0..<20 where !isOver.withLock({ $0 }) {
                        for socket in sockets { socket.send(request, to: endpoint) }
                        usleep(10_000)
                    }
                }
                client.proceed(&upload)
                isOver.withLock { $0 = true }
                asked.wait()
                #expect(upload.state == .done)
                #expect(server.scratch.read("twin") == bytes)
                let again = try server.get("twin", [.blksize(65_464), .windowsize(16)])
                #expect(again.state == .done)
            }
        }

        @Test func theUmask() async throws {
            for (mask, mode) in [(0, 0o666), (0o022, 0o644), (0o077, 0o600)] {
                try await TestServer.serve(configure: {
                    $0.upload = .create
                    $0.uploadUmask = UInt16(mask)
                    $0.createFolders = true
                }) { server in
                    let seen7 = try server.put("new", [1]).state
                    #expect(seen7 == .done)
                    #expect(Self.mode(server, "new") == mode)
                    let seen8 = try server.put("folder/new", [1]).state
                    #expect(seen8 == .done)
                    #expect(Self.mode(server, "folder/new") == mode)
                }
            }
        }

        /// Folders are made for what is complete, and never outside.
        @Test func foldersAreMadeAtTheEnd() async throws {
            try await TestServer.serve {
                try $0.link("out", to: $0.outside)
            } configure: {
                $0.upload = .create
                $0.createFolders = true
            } body: { server in
                let client = try Client(server.endpoint)
                var upload = client.run(Upload("a/b/c/new", Content.bytes(3000)), until: 3)
                #expect(server.scratch.list() == ["out"])
                client.proceed(&upload)
                #expect(upload.state == .done)
                #expect(server.scratch.read("a/b/c/new") == Content.bytes(3000))
                let seen9 = try server.put("a/b/other", [1]).state
                #expect(seen9 == .done)
                let outside = try server.put("out/d/new", [1]).state
                #expect(outside == .refused(2, "Access violation"))
                #expect(server.scratch.outsiders().keys.sorted() == ["outside/secret"])
                // More folders than anybody needs.
                let deep = (0..<20).map { "d\($0)" }.joined(separator: "/")
                let seen10 = try server.put("\(deep)/new", [1]).state
                #expect(seen10 == .refused(2, "File name too long"))
                let long = String(repeating: "x", count: 256)
                for name in [long, "\(long)/new", "a/\(long)/new"] {
                    let seen = try server.put(name, [1]).state
                    #expect(seen == .refused(2, "File name too long"), "\(name)")
                }
                // It cannot be there to read.
                let read = try server.get(long).state
                #expect(read == .refused(1, "File not found"))
            }
        }

        @Test func theOldFileIsKept() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
            } configure: {
                $0.upload = .overwrite
                $0.backupSuffix = ".old"
            } body: { server in
                for round in 1...3 as ClosedRange<UInt8> {
                    let seen11 = try server.put("file", [round]).state
                    #expect(seen11 == .done)
                    #expect(server.scratch.read("file") == [round])
                    #expect(server.scratch.read("file.old") == [round == 1 ? 7 : round - 1])
                }
                let seen12 = try server.put("new", [1]).state
                #expect(seen12 == .done)
                #expect(server.scratch.list() == ["file", "file.old", "new"])
            }
        }

        @Test func reservedNames() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                for name in ["-rf", "folder/-x", "a\u{1B}[2J", "a\nb", "a\u{7F}"] {
                    let state = try server.put(name, [1]).state
                    #expect(state == .refused(2, "Access violation"), "\(name)")
                }
                #expect(server.scratch.list() == [])
                let seen13 = try server.put("a-b", [1]).state
                #expect(seen13 == .done)
            }
        }

        /// What a killed server has left goes; what another one is writing, and what only looks
        /// like it, stays.
        @Test func leftoversAreRemoved() async throws {
            let names = [
                ".bootstorm-upload-1", "folder/.bootstorm-upload-2", "folder/.bootstorm-upload-3",
                "folder/bootstorm-upload-4",
            ]
            var lock: Int32 = -1
            defer { close(lock) }
            try await TestServer.serve {
                try $0.makeFolder("folder")
                for name in names { try $0.write(name, [1]) }
                lock = open($0.path(names[2]), O_RDONLY | O_CLOEXEC)
                flock(lock, LOCK_EX)
            } configure: {
                $0.upload = .create
            } body: { server in
                let isClean = server.wait {
                    server.scratch.list() == ["folder", names[2], names[3]]
                }
                #expect(isClean, "\(server.scratch.list())")
            }
        }
    }
}
