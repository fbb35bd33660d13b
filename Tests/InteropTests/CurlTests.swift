import Foundation
import Testing

extension InteropTests {
    /// curl asks for `tsize`, `blksize` and `timeout`, and is the strictest about the OACK: it
    /// takes `tsize` 0 for an error, so the server must leave that out for an empty file.
    @Suite(.enabled(if: Client.curl.isInstalled, Client.curl.isMissing))
    struct Curl {
        @Test(arguments: Content.byteCounts)
        func gets(byteCount: Int) async throws {
            try await checkGet(.curl, byteCount: byteCount) { ["-o", $0.local, $0.url] }
        }

        @Test(arguments: Content.byteCounts)
        func getsInLargeBlocks(byteCount: Int) async throws {
            try await checkGet(.curl, byteCount: byteCount) {
                ["--tftp-blksize", "1468", "-o", $0.local, $0.url]
            }
        }

        /// Not the largest one: it takes long, and tftp-hpa gets that without options.
        @Test(arguments: Content.byteCounts.dropLast())
        func getsWithoutOptions(byteCount: Int) async throws {
            try await checkGet(.curl, byteCount: byteCount) {
                ["--tftp-no-options", "-o", $0.local, $0.url]
            }
        }

        @Test(arguments: Content.byteCounts)
        func puts(byteCount: Int) async throws {
            try await checkPut(.curl, byteCount: byteCount) { ["-T", $0.local, $0.url] }
        }

        /// curl writes the bytes unchanged, so the local file shows netascii as on the wire.
        @Test func getsNetascii() async throws {
            try await Bootstorm.serve { server in
                let text = Content.text(5_000)
                try server.publish(text, as: "file.txt")
                let transfer = Transfer("file.txt", server: server)
                let run = try await server.run(
                    .curl, ["-o", transfer.local, "\(transfer.url);mode=netascii"])
                #expect(run.status == 0, "\(run.output)")
                let got = try Data(contentsOf: server.local("file.txt"))
                #expect(got == Content.netascii(text))
            }
        }

        /// What curl makes of the codes of our ERROR packets.
        enum ExitCode {
            static let fileNotFound: Int32 = 68
            static let accessViolation: Int32 = 69
            static let fileExists: Int32 = 73
        }

        @Test func isToldThatAFileIsMissing() async throws {
            try await Bootstorm.serve { server in
                let transfer = Transfer("missing", server: server)
                let run = try await server.run(.curl, ["-o", transfer.local, transfer.url])
                #expect(run.status == ExitCode.fileNotFound, "\(run.output)")
            }
        }

        /// Dots are written so that curl does not resolve them itself.
        @Test(arguments: ["%2e%2e/secret", "a/%2e%2e/%2e%2e/secret", "%5c%2e%2e%5csecret", "link"])
        func neverLeavesTheRoot(path: String) async throws {
            try await Bootstorm.serve { server in
                let secret = server.root.deletingLastPathComponent().appending(path: "secret")
                try Data("secret".utf8).write(to: secret)
                try FileManager.default.createDirectory(
                    at: server.root.appending(path: "a"), withIntermediateDirectories: false)
                try FileManager.default.createSymbolicLink(
                    at: server.root.appending(path: "link"), withDestinationURL: secret)
                let transfer = Transfer("", server: server)
                let run = try await server.run(
                    .curl, ["--path-as-is", "-o", transfer.local, transfer.url + path])
                #expect(run.status == ExitCode.accessViolation, "\(run.output)")
            }
        }

        @Test func isDeniedAnUploadByDefault() async throws {
            try await Bootstorm.serve { server in
                try Data("new".utf8).write(to: server.local("file"))
                let transfer = Transfer("file", server: server)
                let run = try await server.run(.curl, ["-T", transfer.local, transfer.url])
                #expect(run.status == ExitCode.accessViolation, "\(run.output)")
                #expect(server.published("file") == nil)
            }
        }

        @Test func doesNotReplaceAFileWhereUploadsOnlyCreate() async throws {
            try await Bootstorm.serve(["--upload", "create"]) { server in
                try server.publish(Data("old".utf8), as: "file")
                try Data("new".utf8).write(to: server.local("file"))
                let transfer = Transfer("file", server: server)
                let run = try await server.run(.curl, ["-T", transfer.local, transfer.url])
                #expect(run.status == ExitCode.fileExists, "\(run.output)")
                #expect(server.published("file") == Data("old".utf8))
            }
        }

        @Test func replacesAFileWhereUploadsOverwrite() async throws {
            try await Bootstorm.serve(["--upload", "overwrite"]) { server in
                try server.publish(Data("old and longer".utf8), as: "file")
                // Root's server takes uploads for files that all users may write.
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o666],
                    ofItemAtPath: server.root.appending(path: "file").path)
                try Data("new".utf8).write(to: server.local("file"))
                let transfer = Transfer("file", server: server)
                let run = try await server.run(.curl, ["-T", transfer.local, transfer.url])
                #expect(run.status == 0, "\(run.output)")
                #expect(server.published("file") == Data("new".utf8))
            }
        }
    }
}
