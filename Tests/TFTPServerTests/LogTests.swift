import Logging
import Testing

extension ServerTests {
    /// One line for each transfer, at its end.
    struct LogTests {
        @Test func aDownload() async throws {
            try await TestServer.serve {
                try $0.write("file", Content.bytes(10_000))
            } body: { server in
                let client = try Client(server.endpoint)
                let options: [Option] = [.windowsize(4), .tsize(0), .timeout(3), .blksize(1000)]
                _ = client.run(Download("/file", options))
                let line = try #require(server.log.wait(for: "file").first)
                #expect(line.level == .info)
                #expect(line["client"] == "\(client.socket.endpoint)")
                #expect(line["direction"] == "RRQ")
                #expect(line["outcome"] == "done")
                #expect(line["bytes"] == "10000")
                #expect(line["mode"] == "octet")
                #expect(line["retransmissions"] == "0")
                #expect((0..<10).contains(Double(line["seconds"] ?? "") ?? -1))
                guard case .dictionary(let granted)? = line.metadata["options"] else {
                    Issue.record("no options in \(line)")
                    return
                }
                let numbers = granted.mapValues { "\($0)" }
                let wanted = [
                    "windowsize": "4", "tsize": "10000", "timeout": "3", "blksize": "1000",
                ]
                #expect(numbers == wanted)
                let begin = "\(client.socket.endpoint) RRQ \"file\" done: 10000 bytes in "
                #expect(line.text.hasPrefix(begin))
                let end =
                    " s, blksize 1000, windowsize 4, timeout 3, tsize 10000, 0 retransmissions"
                #expect(line.text.hasSuffix(end))
                #expect(server.log.lines(of: "file").count == 1)
            }
        }

        /// The bytes of a translated file are those that went over the wire.
        @Test(arguments: ["", "hi\n", String(repeating: "x\n", count: 700)])
        func aDownloadInNetascii(text: String) async throws {
            try await TestServer.serve {
                try $0.write("text", Array(text.utf8))
            } body: { server in
                let got = try server.get("text", [.blksize(500)], mode: "netascii")
                let line = try #require(server.log.wait(for: "text").first)
                #expect(line["bytes"] == "\(got.bytes.count)")
            }
        }

        @Test func anUpload() async throws {
            try await TestServer.serve(configure: { $0.upload = .create }) { server in
                let text = Content.text(3_000)
                _ = try server.put("new", Content.netascii(text), mode: "netascii")
                let line = try #require(server.log.wait(for: "new").first)
                #expect(line["direction"] == "WRQ")
                #expect(line["outcome"] == "done")
                #expect(line["mode"] == "netascii")
                #expect(line["bytes"] == "3000")
                #expect(line.text.contains("netascii"))
            }
        }

        @Test func refusals() async throws {
            try await TestServer.serve {
                try $0.makeFolder("folder")
            } body: { server in
                let cases: [(UInt8, String, String, UInt16, String)] = [
                    (1, "missing", "missing", 1, "no such file"),
                    (1, "../x", "../x", 2, "a link or .. leads outside of the served folders"),
                    (1, "folder", "folder", 2, "not a regular file"),
                    (2, "new", "new", 2, "uploads are not allowed"),
                ]
                for (opcode, name, logged, code, why) in cases {
                    _ = try Client(server.endpoint).run(
                        Download(request: Message.request(opcode, Array(name.utf8))))
                    let line = try #require(server.log.wait(for: logged).first)
                    #expect(line["outcome"] == "refused")
                    #expect(line["error"] == "\(code)")
                    #expect(line["direction"] == (opcode == 1 ? "RRQ" : "WRQ"))
                    // Boot loaders try many names that are not there.
                    #expect(line.level == (code == 1 ? .debug : .info))
                    #expect(line.text.contains("refused (ERROR \(code)): \(why)"))
                }
            }
        }

        /// A name cannot add a log line, nor colours on a terminal.
        @Test func namesAreMadePrintable() async throws {
            try await TestServer.serve { server in
                let name = Array("a\nb\u{1B}[31m\"\\".utf8) + [0xFF, 0x07]
                _ = try Client(server.endpoint).run(Download(request: Message.request(1, name)))
                let logged = #"a\x0ab\x1b[31m\"/\xff\x07"#
                let line = try #require(
                    server.log.wait(for: logged).first, "\(server.log.all.map(\.text))")
                #expect(line.text.utf8.allSatisfy { (0x20..<0x7F).contains($0) })
            }
        }

        @Test func aLongNameIsCut() async throws {
            try await TestServer.serve { server in
                let name = String(repeating: "x/", count: 200) + "y"
                _ = try server.get(name)
                let cut = String(name.prefix(239)) + "…"
                #expect(server.log.wait(for: cut).count == 1)
            }
        }

        /// The log gets behind what happens, and loses nothing that it does not tell of.
        @Test func everyTransferHasALine() async throws {
            try await TestServer.serve {
                try $0.write("file", [1, 2, 3])
            } body: { server in
                for _ in 0..<10 {
                    let swarm = try Swarm(
                        server.endpoint, downloads: Array(repeating: Download("file"), count: 50))
                    swarm.run(limit: .seconds(10))
                    #expect(swarm.downloads.allSatisfy { $0.bytes == [1, 2, 3] })
                }
                #expect(server.log.wait(for: "file", count: 500).count == 500)
                #expect(server.counter(.recordsDropped) == 0)
            }
        }
    }
}
