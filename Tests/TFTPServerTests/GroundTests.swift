import Foundation
import Testing

extension ServerTests {
    /// The folder and the files that are served change beneath the server.
    struct GroundTests {
        static let options: [Option] = [.blksize(8192), .windowsize(8)]

        private static func move(_ from: String, _ to: String) throws {
            guard rename(from, to) == 0 else { throw SocketError(call: "rename \(from)") }
        }

        @Test func aRootThatIsReplaced() async throws {
            try await TestServer.serve {
                try $0.write("file", [1])
            } body: { server in
                let root = server.scratch.root
                let seen1 = try server.get("file").bytes
                #expect(seen1 == [1])
                try Self.move(root, root + ".old")
                let meanwhile = try server.get("file").state
                #expect(meanwhile == .refused(0, "Served folder is not available"))
                try FileManager.default.createDirectory(
                    atPath: root, withIntermediateDirectories: false)
                try server.scratch.write("file", [2, 2])
                let seen2 = try server.get("file").bytes
                #expect(seen2 == [2, 2])
                let seen3 = try server.get("missing").state
                #expect(seen3 == .refused(1, "File not found"))
                let isSaid = server.wait {
                    server.log.all.count { $0.text.contains("there is no folder") } == 1
                        && server.log.all.count { $0.text.contains("is there again") } == 1
                }
                #expect(isSaid)
            }
        }

        @Test func aRootBehindALink() async throws {
            let scratch = try Scratch()
            defer { scratch.remove() }
            for (name, bytes) in [("one", [1]), ("two", [2])] as [(String, [UInt8])] {
                try scratch.makeFolder(name)
                try scratch.write("\(name)/file", bytes)
            }
            try scratch.link("current", to: "one")
            try await TestServer.serve { _ in
            } configure: {
                $0.root = scratch.path("current")
            } body: { server in
                let seen4 = try server.get("file").bytes
                #expect(seen4 == [1])
                try scratch.link("next", to: "two")
                try Self.move(scratch.path("next"), scratch.path("current"))
                let seen5 = try server.get("file").bytes
                #expect(seen5 == [2])
            }
        }

        @Test(.enabled("only root may mount a file system") { Scratch.canMount })
        func aRootThatIsMountedOver() async throws {
            try await TestServer.serve {
                try $0.write("file", [1])
            } configure: {
                $0.upload = .create
            } body: { server in
                let seen6 = try server.get("file").bytes
                #expect(seen6 == [1])
                try server.scratch.mountSmallFileSystem()
                try server.scratch.write("file", [2, 2])
                let seen7 = try server.get("file").bytes
                #expect(seen7 == [2, 2])
                let seen8 = try server.put("new", [3]).state
                #expect(seen8 == .done)
                #expect(server.scratch.list() == ["file", "new"])
            }
        }

        /// It is sent as long as it was when it was asked for.
        @Test func aFileThatGrows() async throws {
            let old = Content.bytes((5 << 20) + 77)
            try await TestServer.serve {
                try $0.write("log", old)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = Download("log", Self.options)
                client.send(download.request)
                client.proceed(&download, until: 8)
                let file = open(server.scratch.path("log"), O_WRONLY | O_APPEND | O_CLOEXEC)
                defer { close(file) }
                #expect(write(file, "more", 4) == 4)
                client.proceed(&download)
                #expect(download.state == .done)
                #expect(download.bytes == old)
                let seen9 = try server.get("log", Self.options).bytes
                #expect(seen9 == old + Array("more".utf8))
            }
        }

        /// A longer file that replaces the content in place is not a file that has grown.
        @Test func aLongerFileInPlaceOfAnother() async throws {
            let old = Content.bytes(9 << 20, seed: 1)
            try await TestServer.serve {
                try $0.write("file", old)
            } body: { server in
                let client = try Client(server.endpoint)
                var download = Download("file", Self.options)
                client.send(download.request)
                client.proceed(&download, until: 8)
                try server.scratch.write("file", Content.bytes(10 << 20, seed: 2))
                client.proceed(&download)
                #expect(download.state == .refused(0, "File changed while it was read"))
                #expect(download.bytes == Array(old.prefix(download.bytes.count)))
            }
        }

        /// A file without readers keeps no file system from being unmounted.
        @Test(.enabled("only root may mount a file system") { Scratch.canMount })
        func anIdleFileIsClosed() async throws {
            let content = Content.bytes(3 << 20)
            try await TestServer.serve {
                try $0.makeFolder("disk")
                guard mount("none", $0.path("disk"), "tmpfs", 0, "size=8m") == 0 else {
                    throw SocketError(call: "mount")
                }
                try $0.write("disk/file", content)
            } body: { server in
                defer { umount2(server.scratch.path("disk"), Int32(MNT_DETACH)) }
                let seen10 = try server.get("disk/file", Self.options).bytes
                #expect(seen10 == content)
                let isUnmounted = server.wait(limit: .seconds(60)) {
                    umount2(server.scratch.path("disk"), 0) == 0
                }
                #expect(isUnmounted)
                let seen11 = try server.get("disk/file").state
                #expect(seen11 == .refused(1, "File not found"))
            }
        }
    }
}
