import Foundation
import Testing

/// Real clients get and put files through a real server, and the bytes are compared.
///
/// One at a time: each case has a server of its own, and a slow machine would make clients time
/// out.
@Suite(.serialized)
enum InteropTests {}

extension InteropTests {
    /// Where a client's file lies at both ends, and how to reach the server.
    struct Transfer {
        let name: String
        let local: String
        let port: String
        let host = "127.0.0.1"
        var url: String { "tftp://\(host):\(port)/\(name)" }

        init(_ name: String, server: Bootstorm) {
            self.name = name
            local = server.local(name).path
            port = String(server.port)
        }
    }

    /// Serves a file, lets the client get it, and compares.
    static func checkGet(
        _ client: Client, byteCount: Int, sourceLocation: SourceLocation = #_sourceLocation,
        arguments: (Transfer) -> [String]
    ) async throws {
        try await Bootstorm.serve { server in
            let content = Content.bytes(byteCount)
            try server.publish(content, as: "file.bin")
            let transfer = Transfer("file.bin", server: server)
            let run = try await server.run(client, arguments(transfer))
            let got = try? Data(contentsOf: server.local("file.bin"))
            expect(run, of: client, on: server, sourceLocation: sourceLocation)
            // Not `==` within the macro, which would print 40 MiB.
            let isEqual = got == content
            #expect(
                isEqual, "got \(got?.count ?? -1) bytes; \(report(run, server))",
                sourceLocation: sourceLocation)
        }
    }

    /// Lets the client put a file, and compares what is in the root then.
    static func checkPut(
        _ client: Client, byteCount: Int, sourceLocation: SourceLocation = #_sourceLocation,
        arguments: (Transfer) -> [String]
    ) async throws {
        try await Bootstorm.serve(["--upload", "create"]) { server in
            let content = Content.bytes(byteCount)
            try content.write(to: server.local("file.bin"))
            let transfer = Transfer("file.bin", server: server)
            let run = try await server.run(client, arguments(transfer))
            let put = server.published("file.bin")
            expect(run, of: client, on: server, sourceLocation: sourceLocation)
            let isEqual = put == content
            #expect(
                isEqual, "put \(put?.count ?? -1) bytes; \(report(run, server))",
                sourceLocation: sourceLocation)
        }
    }

    /// A client that is content exits with 0. Not so tftp-hpa's, whose exit code says little: it is
    /// 0 after an ERROR too.
    private static func expect(
        _ run: Bootstorm.Run, of client: Client, on server: Bootstorm,
        sourceLocation: SourceLocation
    ) {
        guard client != .tftpHPA else { return }
        #expect(run.status == 0, "\(report(run, server))", sourceLocation: sourceLocation)
    }

    /// What both ends printed.
    private static func report(_ run: Bootstorm.Run, _ server: Bootstorm) -> String {
        """
        the client printed: \(run.output.suffix(1_000))
        the server printed: \(server.output.suffix(1_000))
        """
    }
}
