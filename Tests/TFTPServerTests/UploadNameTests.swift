import Foundation
import TFTPNames
import Testing

@testable import TFTPServer

extension ServerTests {
    /// An upload goes to the file that a reader of the same name gets.
    struct UploadNameTests {
        private func rules(_ fields: (String, [String])...) throws -> NamePlan.Map {
            let fields = fields.map { RuleField($0.0, $0.1, line: 1) }
            return .rules(try RuleSet([(fields: fields, line: 1)]))
        }

        /// Puts one byte, and expects that a reader gets it, and that `file` has it.
        private func put(_ server: TestServer, _ name: String, _ byte: UInt8, in file: String)
            throws
        {
            let state = try server.put(name, [byte]).state
            #expect(state == .done, "\(name)")
            #expect(server.scratch.read(file) == [byte], "\(name)")
            let seen = try server.get(name).bytes
            #expect(seen == [byte], "\(name)")
        }

        @Test(arguments: [false, true])
        func linksThatTheKernelDoesNotFollow(hasRules: Bool) async throws {
            try await TestServer.serve {
                try $0.makeFolder("open")
                for name in ["file", "open/file"] { try $0.write(name, [7]) }
                try $0.link("open/absolute", to: "/file")
                try $0.link("open/whole", to: $0.path("file"))
                try $0.link("folder", to: "/open")
                try $0.link("open/dangling", to: "new")
                try $0.link("open/away", to: "/etc/passwd")
            } configure: {
                $0.upload = .overwrite
                $0.createFolders = true
                if hasRules {
                    $0.names.plan.map = try rules(("match", ["^x$"]), ("rewrite", ["y"]))
                }
            } body: { server in
                try put(server, "open/absolute", 1, in: "file")
                try put(server, "open/whole", 2, in: "file")
                try put(server, "folder/file", 3, in: "open/file")
                try put(server, "folder/more", 4, in: "open/more")
                // A link to a file that is not there makes that file, as open(2) does.
                try put(server, "open/dangling", 5, in: "open/new")
                let away = try server.put("open/away", [1]).state
                #expect(away == .refused(2, "Access violation"))
                let links = ["open/absolute", "open/whole", "folder", "open/dangling"]
                for link in links {
                    let target = try? FileManager.default.destinationOfSymbolicLink(
                        atPath: server.scratch.path(link))
                    #expect(target != nil, "\(link)")
                }
                #expect(server.scratch.outsiders().keys.sorted() == ["outside/secret"])
            }
        }

        @Test(arguments: [TFTPServer.Configuration.Upload.existing, .overwrite])
        func theFolderOfAClient(upload: TFTPServer.Configuration.Upload) async throws {
            try await TestServer.serve {
                try $0.makeFolder("127.0.0.1")
                try $0.write("127.0.0.1/mine", [7])
                for name in ["mine", "shared"] { try $0.write(name, [8]) }
            } configure: {
                $0.upload = upload
                $0.names.plan.clientFolder = .ip
            } body: { server in
                try put(server, "mine", 1, in: "127.0.0.1/mine")
                #expect(server.scratch.read("mine") == [8])
                try put(server, "shared", 2, in: "shared")
                // A new file goes where every client finds it.
                guard upload == .overwrite else { return }
                try put(server, "new", 3, in: "new")
            }
        }

        /// Of several names the first that exists, and for a new file the last.
        @Test func severalNames() async throws {
            try await TestServer.serve {
                try $0.makeFolder("a")
                try $0.write("a/cfg", [7])
                try $0.write("cfg", [8])
            } configure: {
                $0.upload = .overwrite
                $0.names.plan.map = try rules(
                    ("match", ["^([a-z]+)$"]), ("try", ["a/$1", "$1"]))
            } body: { server in
                try put(server, "cfg", 1, in: "a/cfg")
                #expect(server.scratch.read("cfg") == [8])
                try put(server, "other", 2, in: "other")
            }
        }

        /// A file that another name leads to exists, so it is not made once more.
        @Test func aNewNameOnly() async throws {
            try await TestServer.serve {
                try $0.makeFolder("127.0.0.1")
                try $0.write("127.0.0.1/mine", [7])
            } configure: {
                $0.upload = .create
                $0.names.plan.clientFolder = .ip
            } body: { server in
                let state = try server.put("mine", [1]).state
                #expect(state == .refused(6, "File already exists"))
                #expect(server.scratch.list() == ["127.0.0.1", "127.0.0.1/mine"])
            }
        }

        @Test func anyCase() async throws {
            try await TestServer.serve {
                try $0.makeFolder("open")
                try $0.makeFolder("closed")
                try $0.write("open/w", [7])
            } configure: {
                $0.upload = .overwrite
                $0.createFolders = true
                $0.names.plan.isAnyCase = true
                $0.names.plan.map = try rules(("match", ["^closed/"]), ("deny", ["no"]))
            } body: { server in
                try put(server, "open/W", 1, in: "open/w")
                try put(server, #"\Open\W"#, 2, in: "open/w")
                try put(server, "OPEN/new", 3, in: "open/new")
                try put(server, "OPEN/sub/new", 4, in: "open/sub/new")
                // A rule for a folder holds in any case of its letters.
                let state = try server.put("CLOSED/x", [1]).state
                #expect(state == .refused(2, "no"))
                #expect(
                    server.scratch.list() == [
                        "closed", "open", "open/new", "open/sub", "open/sub/new", "open/w",
                    ])
            }
        }

        /// The root's own path in front of a name, where rules see it.
        @Test func theRootsPathInFront() async throws {
            try await TestServer.serve {
                try $0.makeFolder("open")
                try $0.write("open/w", [7])
            } configure: {
                $0.upload = .overwrite
                $0.names.plan.isAnyCase = true
            } body: { server in
                try put(server, server.scratch.path("open/w"), 1, in: "open/w")
                try put(server, server.scratch.path("open/new"), 2, in: "open/new")
                #expect(server.scratch.list() == ["open", "open/new", "open/w"])
            }
        }
    }
}
