import Foundation
import TFTPNames
import TFTPServing
import Testing

@testable import TFTPServer

extension ServerTests {
    /// An expression that would take for ever on some names: these are refused, and other clients
    /// do not notice.
    struct RuleBombTests {
        private static let maps: [(String, @Sendable () throws -> NamePlan.Map)] = [
            (
                "rules",
                {
                    let match = RuleField("match", ["^(a+)+b$"], line: 1)
                    let rewrite = RuleField("rewrite", ["x"], line: 1)
                    return .rules(try RuleSet([(fields: [match, rewrite], line: 1)]))
                }
            ),
            ("hpa", { .hpa(try HPARules(Array("r ^(a*)*(a*)*\\1b$ x\n".utf8))) }),
            ("pcre", { .pcre(try PCRERules(Array("^(a+)+b$ x\n".utf8))) }),
        ]

        @Test(arguments: maps.indices)
        func noShardWaits(_ index: Int) async throws {
            let (kind, map) = Self.maps[index]
            try await TestServer.serve {
                try $0.write("file", Content.bytes(20_000))
            } configure: {
                $0.names.plan.map = try map()
            } body: { server in
                // From here on the shard knows what the name means.
                #expect(try server.get("file").bytes == Content.bytes(20_000), "\(kind)")
                let sockets = try (0..<200).map { _ in try UDPSocket() }
                for (number, socket) in sockets.enumerated() {
                    // Names of their own: what was found out about one does not help with others.
                    // With a b, or they would be ruled out without a look.
                    let name = String(repeating: "a", count: 60) + "b\(number)"
                    socket.send(Message.read(name), to: server.endpoint)
                }
                #expect(try server.get("file").bytes == Content.bytes(20_000), "\(kind)")
                let answeredCount = sockets.count { $0.receiveNow() != nil }
                #expect(answeredCount < sockets.count, "\(kind): the download has waited")
                let bomb = try Client(server.endpoint).run(
                    Download(String(repeating: "a", count: 60) + "b!"))
                guard case .refused = bomb.state else {
                    Issue.record("\(kind): \(bomb.state)")
                    return
                }
            }
        }
    }
}
