import Foundation
import Testing

extension InteropTests {
    /// busybox requests `tsize`, and `blksize` when it is not 512. It connects its socket to the
    /// first sender of an answer.
    @Suite(.enabled(if: Client.busybox.isInstalled, Client.busybox.isMissing))
    struct Busybox {
        @Test(arguments: ["512", "1468", "65464"], Content.byteCounts)
        func gets(blksize: String, byteCount: Int) async throws {
            try await checkGet(.busybox, byteCount: byteCount) {
                ["-g", "-r", $0.name, "-l", $0.local, "-b", blksize, $0.host, $0.port]
            }
        }

        @Test func isToldThatAFileIsMissing() async throws {
            try await Bootstorm.serve { server in
                let transfer = Transfer("missing", server: server)
                let run = try await server.run(
                    .busybox,
                    ["-g", "-r", transfer.name, "-l", transfer.local, transfer.host, transfer.port])
                #expect(run.status == 1)
                #expect(run.output.contains("server error: (1)"), "\(run.output)")
            }
        }
    }
}
