import Foundation
import Testing

extension ServerTests {
    /// What becomes of a file that an upload overwrites in place, where the old one is kept.
    struct UploadBackupTests {
        /// A file that is overwritten in place stays the file that it is, and its old content is
        /// kept.
        @Test(arguments: [true, false])
        func aBackupOfAFileThatStays(isDurable: Bool) async throws {
            let old = Content.bytes(600_000, seed: 1)
            try await TestServer.serve {
                try $0.write("file", old)
                Foundation.link($0.path("file"), $0.path("twin"))
                try $0.link("link", to: "file")
                try $0.write("empty", [])
                Foundation.link($0.path("empty"), $0.path("void"))
            } configure: {
                $0.upload = .overwrite
                $0.backupSuffix = ".old"
                $0.durableUploads = isDurable
            } body: { server in
                let state1 = try server.put("file", [1]).state
                #expect(state1 == .done)
                #expect(server.scratch.read("twin") == [1])
                #expect(server.scratch.read("file.old") == old)
                let state2 = try server.put("link", [2]).state
                #expect(state2 == .done)
                #expect(server.scratch.read("twin") == [2])
                #expect(server.scratch.read("link.old") == [1])
                let state3 = try server.put("empty", [3]).state
                #expect(state3 == .done)
                #expect(server.scratch.read("void") == [3])
                #expect(server.scratch.read("empty.old") == [])
                #expect(
                    server.scratch.list() == [
                        "empty", "empty.old", "file", "file.old", "link", "link.old", "twin",
                        "void",
                    ])
            }
        }

        /// A backup that cannot have its name leaves the file as it was.
        @Test func aBackupThatFails() async throws {
            try await TestServer.serve {
                try $0.write("file", [7])
                Foundation.link($0.path("file"), $0.path("twin"))
                try $0.makeFolder("file.old")
            } configure: {
                $0.upload = .overwrite
                $0.backupSuffix = ".old"
            } body: { server in
                let state = try server.put("file", [1]).state
                #expect(state != .done)
                #expect(server.scratch.read("twin") == [7])
                #expect(server.wait { server.scratch.list() == ["file", "file.old", "twin"] })
            }
        }
    }
}
