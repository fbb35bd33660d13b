import Foundation
import Glibc
import Testing

extension InteropTests {
    /// Root starts a server whose user may make no files in root's folder. Uploads make files there
    /// all the same; what root alone may read or write, clients may not.
    @Suite(.enabled(if: Client.curl.isInstalled && geteuid() == 0))
    struct OwnersFolder {
        private func status(
            _ server: Bootstorm, _ name: String, putting content: String? = nil
        ) async throws -> Int32 {
            let url = Transfer(name, server: server).url
            guard let content else {
                let local = Transfer("got", server: server).local
                return try await server.run(.curl, ["-o", local, url]).status
            }
            try Data(content.utf8).write(to: server.local("new"))
            let local = Transfer("new", server: server).local
            return try await server.run(.curl, ["-T", local, url]).status
        }

        private func make(_ server: Bootstorm, _ name: String, mode: Int) throws {
            try server.publish(Data("old".utf8), as: name)
            try FileManager.default.setAttributes(
                [.posixPermissions: mode], ofItemAtPath: server.root.appending(path: name).path)
        }

        @Test func clientsMayDoWhatAllUsersMay() async throws {
            try await Bootstorm.serve(["--upload", "overwrite", "--create-dirs"]) { server in
                for (folder, mode) in [("open", 0o755), ("closed", 0o700)] {
                    try FileManager.default.createDirectory(
                        at: server.root.appending(path: folder), withIntermediateDirectories: false,
                        attributes: [.posixPermissions: mode])
                }
                try make(server, "loader", mode: 0o644)
                try make(server, "prepared", mode: 0o666)
                try make(server, "open/file", mode: 0o644)
                try make(server, "closed/file", mode: 0o644)
                #expect(try await status(server, "loader") == 0)
                #expect(try await status(server, "open/file") == 0)
                #expect(try await status(server, "closed/file") != 0)
                for name in ["loader", "open/file", "closed/file", "closed/made"] {
                    #expect(try await status(server, name, putting: "new") != 0, "\(name)")
                }
                #expect(server.published("loader") == Data("old".utf8))
                #expect(server.published("open/file") == Data("old".utf8))
                #expect(server.published("closed/file") == Data("old".utf8))
                for name in ["prepared", "made", "made", "open/made", "new/folder/made"] {
                    #expect(try await status(server, name, putting: "new") == 0, "\(name)")
                    #expect(server.published(name) == Data("new".utf8))
                }
            }
        }
    }
}
