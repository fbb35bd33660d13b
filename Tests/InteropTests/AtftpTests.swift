import Foundation
import Testing

extension InteropTests {
    /// atftp asks for what it is told to, `windowsize` (RFC 7440) included.
    @Suite(.enabled(if: Client.atftp.isInstalled, Client.atftp.isMissing))
    struct Atftp {
        /// The options of one RRQ or WRQ, as atftp's arguments have them.
        static let optionSets = [
            [],
            ["blksize 1468"],
            ["windowsize 16"],
            ["windowsize 16", "blksize 1468"],
        ]

        @Test(arguments: optionSets, Content.byteCounts)
        func gets(options: [String], byteCount: Int) async throws {
            try await checkGet(.atftp, byteCount: byteCount) {
                arguments(options)
                    + ["--get", "-r", $0.name, "-l", $0.local, $0.host, $0.port]
            }
        }

        @Test(arguments: optionSets, Content.byteCounts)
        func puts(options: [String], byteCount: Int) async throws {
            try await checkPut(.atftp, byteCount: byteCount) {
                arguments(options)
                    + ["--put", "-l", $0.local, "-r", $0.name, $0.host, $0.port]
            }
        }

        /// Without this the tests above would pass with a server that knows no options.
        @Test func isGrantedWhatItAsksFor() async throws {
            try await Bootstorm.serve { server in
                try server.publish(Content.bytes(513), as: "file.bin")
                let transfer = Transfer("file.bin", server: server)
                let run = try await server.run(
                    .atftp,
                    ["--trace"] + arguments(["windowsize 16", "blksize 1468"]) + [
                        "--get", "-r", transfer.name, "-l", transfer.local,
                        transfer.host, transfer.port,
                    ])
                let oack = run.output.split(separator: "\n").first { $0.contains("OACK") }
                #expect(oack?.contains("windowsize: 16,") == true, "\(run.output)")
                #expect(oack?.contains("blksize: 1468,") == true, "\(run.output)")
            }
        }

        private func arguments(_ options: [String]) -> [String] {
            options.flatMap { ["--option", $0] }
        }
    }
}
