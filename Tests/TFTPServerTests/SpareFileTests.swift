import Foundation
import Testing

extension ServerTests {
    /// What a request for an upload makes on the disk before anything comes.
    struct SpareFileTests {
        private static func status(_ server: TestServer, _ name: String) -> stat {
            var status = stat()
            stat(server.scratch.path(name), &status)
            return status
        }

        private static func inode(_ server: TestServer, _ name: String) -> Int {
            Int(status(server, name).st_ino)
        }

        /// Inodes of this process's files beneath the root that have no name.
        private static func unnamedInodes(_ server: TestServer) -> [Int] {
            let folder = "/proc/self/fd"
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            return names.compactMap { name in
                let path = "\(folder)/\(name)"
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                guard let target, target.hasPrefix(server.scratch.root), target.contains("#")
                else { return nil }
                var status = stat()
                guard fstat(Int32(name) ?? -1, &status) == 0, status.st_nlink == 0 else {
                    return nil
                }
                return Int(status.st_ino)
            }
        }

        /// A request alone makes no file: the next upload gets the one that was made for it. One
        /// that something was written to is not used again.
        @Test func aFileThatNothingWasWrittenToIsUsedAgain() async throws {
            try await TestServer.serve {
                try $0.makeFolder("folder")
            } configure: {
                $0.upload = .create
            } body: { server in
                let socket = try UDPSocket("127.0.0.1")
                socket.send(Message.write("silent"), to: server.endpoint)
                let answer = try #require(socket.receive())
                let made = Self.unnamedInodes(server)
                // Some file systems have no files without a name.
                guard made.count == 1 else { return }
                socket.send(Message.error(0, "no").bytes, to: answer.source)
                let hasEnded = server.wait { server.server.activeTransferCount == 0 }
                #expect(hasEnded)
                let elsewhere = try server.put("folder/file", [1]).state
                #expect(elsewhere == .done)
                #expect(Self.inode(server, "folder/file") != made[0])
                let put = try server.put("file", [1, 2, 3]).state
                #expect(put == .done)
                #expect(Self.inode(server, "file") == made[0])
                #expect(server.scratch.read("file") == [1, 2, 3])
                #expect(Self.status(server, "file").st_mode & 0o777 == 0o644)
                let again = try server.put("other", [7]).state
                #expect(again == .done)
                #expect(Self.inode(server, "other") != made[0])
                #expect(server.scratch.read("file") == [1, 2, 3])
            }
        }

        /// As a flood of forged requests does: asks to write, and sends nothing. What was made for
        /// it is of no use to the upload to another folder that follows; then it is given up.
        private static func ask(
            _ name: String, _ socket: UDPSocket, _ server: TestServer
        ) throws -> [Int] {
            socket.send(Message.write(name), to: server.endpoint)
            let answer = try #require(socket.receive())
            socket.send(Message.error(0, "no").bytes, to: answer.source)
            let hasEnded = server.wait { server.server.activeTransferCount == 0 }
            #expect(hasEnded)
            let put = try server.put("elsewhere/file", [1]).state
            #expect(put == .done)
            return unnamedInodes(server)
        }

        /// Whether the name exists already, has another owner, or is one of several of its file.
        @Test func requestsForNamesThatExistMakeNoFileEither() async throws {
            let isRoot = geteuid() == 0
            try await TestServer.serve {
                try $0.makeFolder("elsewhere")
                for (name, mode) in [("file", 0o640), ("twin", 0o644), ("theirs", 0o666)] {
                    try $0.write(name, [7])
                    chmod($0.path(name), mode_t(mode))
                }
                Foundation.link($0.path("twin"), $0.path("other"))
                if isRoot { chown($0.path("theirs"), 65534, 4) }
            } configure: {
                $0.upload = .overwrite
            } body: { server in
                let socket = try UDPSocket("127.0.0.1")
                var made = try Self.ask("new", socket, server)
                // Some file systems have no files without a name.
                guard !made.isEmpty else { return }
                for name in ["file", "twin", "theirs"] {
                    let again = try Self.ask(name, socket, server)
                    #expect(again == made, "\(name)")
                }
                let put = try server.put("new", [1]).state
                #expect(put == .done)
                let new = Self.status(server, "new")
                #expect(made.contains(Int(new.st_ino)))
                // As if it had been made for this.
                #expect(new.st_mode & 0o777 == 0o644 && new.st_uid == geteuid())

                made = try Self.ask("twin", socket, server)
                let replaced = try server.put("file", [2]).state
                #expect(replaced == .done)
                #expect(made.contains(Self.inode(server, "file")))
                #expect(Self.status(server, "file").st_mode & 0o777 == 0o640)

                made = try Self.ask("new", socket, server)
                let given = try server.put("theirs", [3, 4]).state
                #expect(given == .done)
                let theirs = Self.status(server, "theirs")
                #expect(made.contains(Int(theirs.st_ino)))
                #expect(theirs.st_mode & 0o777 == 0o666)
                if isRoot { #expect(theirs.st_uid == 65534 && theirs.st_gid == 4) }
                #expect(server.scratch.read("theirs") == [3, 4])
            }
        }

        /// A folder that two mounts lead to: a file of one gets no name in the other.
        @Test(.enabled("only root may mount a file system") { Scratch.canMount })
        func aFileOfAnotherMountIsNotUsed() async throws {
            try await TestServer.serve {
                for name in ["folder", "mirror", "elsewhere"] { try $0.makeFolder(name) }
                let flags = UInt(MS_BIND)
                guard mount($0.path("folder"), $0.path("mirror"), nil, flags, nil) == 0 else {
                    throw SocketError(call: "mount")
                }
            } configure: {
                $0.upload = .create
            } body: { server in
                defer { umount2(server.scratch.path("mirror"), Int32(MNT_DETACH)) }
                let socket = try UDPSocket("127.0.0.1")
                _ = try Self.ask("folder/silent", socket, server)
                let put = try server.put("mirror/file", [1, 2]).state
                #expect(put == .done)
                #expect(server.scratch.read("folder/file") == [1, 2])
            }
        }
    }
}
