import Foundation
import Testing

extension InteropTests {
    /// The client of tftp-hpa asks for no option, sends netascii unless told otherwise, and leaves
    /// every repetition of DATA to the server.
    @Suite(.enabled(if: Client.tftpHPA.isInstalled, Client.tftpHPA.isMissing))
    struct TFTPHPA {
        @Test(arguments: Content.byteCounts)
        func gets(byteCount: Int) async throws {
            try await checkGet(.tftpHPA, byteCount: byteCount) {
                ["-m", "binary", $0.host, $0.port, "-c", "get", $0.name, $0.local]
            }
        }

        @Test(arguments: Content.byteCounts)
        func puts(byteCount: Int) async throws {
            try await checkPut(.tftpHPA, byteCount: byteCount) {
                ["-m", "binary", $0.host, $0.port, "-c", "put", $0.local, $0.name]
            }
        }

        /// The client translates back, so what it writes is what the server has. A server that did
        /// not translate would lose the CRs before LFs here.
        @Test func getsNetascii() async throws {
            try await Bootstorm.serve { server in
                let text = Content.text(5_000)
                try server.publish(text, as: "file.txt")
                let transfer = Transfer("file.txt", server: server)
                let run = try await server.run(
                    .tftpHPA,
                    [
                        "-m", "ascii", transfer.host, transfer.port,
                        "-c", "get", transfer.name, transfer.local,
                    ])
                let got = try Data(contentsOf: server.local("file.txt"))
                #expect(got == text, "\(run.output)")
            }
        }

        @Test func putsNetascii() async throws {
            try await Bootstorm.serve(["--upload", "create"]) { server in
                let text = Content.text(5_000)
                try text.write(to: server.local("file.txt"))
                let transfer = Transfer("file.txt", server: server)
                let run = try await server.run(
                    .tftpHPA,
                    [
                        "-m", "ascii", transfer.host, transfer.port,
                        "-c", "put", transfer.local, transfer.name,
                    ])
                #expect(server.published("file.txt") == text, "\(run.output)")
            }
        }

        @Test func isToldThatAFileIsMissing() async throws {
            try await Bootstorm.serve { server in
                let transfer = Transfer("missing", server: server)
                let run = try await server.run(
                    .tftpHPA,
                    [
                        "-m", "binary", transfer.host, transfer.port,
                        "-c", "get", transfer.name, transfer.local,
                    ])
                #expect(run.output.contains("Error code 1"), "\(run.output)")
            }
        }
    }
}
