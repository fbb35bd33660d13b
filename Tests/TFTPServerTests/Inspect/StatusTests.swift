import Testing

@testable import TFTPServer

extension ServerTests {
    /// What `status` says of a machine that does not boot: one line each.
    struct StatusTests {
        /// The explanation of the only transfer that runs, once it contains `text`.
        private func explanation(_ server: TestServer, containing text: String) -> String? {
            var line: String?
            _ = server.wait {
                line = server.server.status()?.running.first?.explanation
                return line?.contains(text) == true
            }
            return line
        }

        private func problem(_ server: TestServer, _ name: String) -> ProblemStatus? {
            var found: ProblemStatus?
            _ = server.wait {
                found = server.server.status()?.problems.first { $0.name == name }
                return found != nil
            }
            return found
        }

        @Test func aNameThatIsMissing() async throws {
            try await TestServer.serve { server in
                for _ in 0..<2 { _ = try server.get("vmlinux") }
                let isCounted = server.wait { problem(server, "vmlinux")?.count == 2 }
                #expect(isCounted)
                let missing = try #require(problem(server, "vmlinux"))
                #expect(missing.reason == "not_found")
                #expect(missing.line.hasSuffix("refused (ERROR 1): no such file"))
            }
        }

        @Test func missesByKindOfName() async throws {
            try await TestServer.serve { server in
                for name in ["pxelinux.cfg/C0000201", "/pxelinux.cfg/C0", "fs.lst", "vmlinuz"] {
                    _ = try server.get(name)
                }
                let counted = server.wait {
                    server.server.status()?.totals.misses
                        == ["pxelinux.cfg/IP": 2, "*.lst": 1, "other": 1]
                }
                #expect(counted, "\(server.server.status()?.totals.misses ?? [:])")
            }
        }

        @Test func aRequestThatIsRefused() async throws {
            try await TestServer.serve {
                try $0.makeFolder("boot")
            } body: { server in
                _ = try server.get("boot")
                let refused = try #require(problem(server, "boot"))
                #expect(refused.reason == "not_regular")
                #expect(refused.line.hasSuffix("refused (ERROR 2): not a regular file"))
                #expect(server.server.status()?.totals.refusals == ["not_regular": 1])
            }
        }

        @Test func aMachineThatGoesSilent() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(100_000))
            } body: { server in
                let client = try Client(server.endpoint)
                var download = Download("file")
                client.send(download.request)
                client.proceed(&download, until: 3)
                let line = try #require(explanation(server, containing: "silent for "))
                #expect(line.contains("behind block "))
                let status = try #require(server.server.status())
                #expect(status.running.first?.client == "\(client.socket.endpoint)")
                #expect(status.phases["sending"] == 1)
            }
        }

        /// Nothing that was sent arrives: a firewall, usually.
        @Test func aMachineThatHearsNothing() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(100_000))
            } body: { server in
                let client = try Client(server.endpoint)
                client.send(Download("file").request)
                let line = try #require(explanation(server, containing: "silent for "))
                #expect(line.contains("nothing was acknowledged"))
            }
        }

        @Test func aMachineThatLoads() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(512 * 100))
            } body: { server in
                let client = try Client(server.endpoint)
                var download = Download("file")
                client.send(download.request)
                for block in 1...50 {
                    client.proceed(&download, until: UInt64(block))
                    let row = server.server.status()?.running.first
                    if row?.explanation.hasPrefix("loads ") == true, row?.byteCount ?? 0 > 0 {
                        #expect(row?.sizeByteCount == 51_200)
                        return
                    }
                }
                Issue.record("never loading")
            }
        }
    }
}
