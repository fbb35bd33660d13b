import Foundation
import Loopback
import Testing

/// What `bootstorm bench` reports when a storm cannot start, and after one.
@Suite(.serialized) struct BenchTests {
    // MARK: Before the storm

    /// Nothing listens: the host reports it (ICMP), and the bench does not wait for a time-out.
    @Test(arguments: [[], ["--verify", "/dev/null"]])
    func aPortThatIsClosed(flags: [String]) async throws {
        let port = try LoopbackSocket().endpoint.port
        let run = try await BenchRun.run(["tftp://127.0.0.1:\(port)/file"] + flags)
        try await run.expectRefusal("nothing listens on 127.0.0.1:\(port)")
    }

    @Test func aServerThatIsSilent() async throws {
        let deaf = try LoopbackSocket()
        let run = try await BenchRun.run(["tftp://127.0.0.1:\(deaf.endpoint.port)/file"])
        try await run.expectRefusal("does not answer")
    }

    @Test func theFileIsMissing() async throws {
        try await Bootstorm.serve { server in
            for flags in [[], ["--verify", "/dev/null"]] {
                let run = try await BenchRun.run([server.url("missing")] + flags)
                try await run.expectRefusal("the server has no file \"missing\"")
            }
        }
    }

    @Test func theHostIsUnknown() async throws {
        // Too long for a host name, so no resolver is asked.
        let host = String(repeating: "x", count: 64)
        let run = try await BenchRun.run(["tftp://\(host)/file"])
        try await run.expectRefusal("no such host: \(host)")
    }

    @Test(arguments: ["0.0.0.0", "127.0.0.1:0", "255.255.255.255", "224.0.0.1", "[ff02::1]"])
    func anAddressOfNoServer(host: String) async throws {
        let run = try await BenchRun.run(["tftp://\(host)/file"])
        try await run.expectRefusal("\(host) is not the address of a server")
    }

    @Test func tooFewFileDescriptors() async throws {
        try await Bootstorm.serve(["--listen", "[::1]:0"]) { server in
            try server.publish(Content.bytes(513), as: "file")
            let port = try #require(server.output.firstMatch(of: /\[::1\]:(\d+)/)?.1)
            let run = try await BenchRun.run(
                ["tftp://[::1]:\(port)/file", "--clients", "500"], wrapper: limit(files: 256))
            try await run.expectRefusal(
                "too few file descriptors: 1032 are needed, 256 allowed")
        }
    }

    @Test func tooManyMachinesForOneThread() async throws {
        try await Bootstorm.serve(["--listen", "[::1]:0"]) { server in
            try server.publish(Content.bytes(513), as: "file")
            let port = try #require(server.output.firstMatch(of: /\[::1\]:(\d+)/)?.1)
            let run = try await BenchRun.run(
                ["tftp://[::1]:\(port)/file", "--clients", "9000"])
            try await run.expectRefusal("8192 machines at most")
        }
    }

    /// In a network namespace whose loopback interface has one address.
    @Test(.enabled(if: canUnshare, "unshare and ip are not there, or not allowed"))
    func tooFewAddresses() async throws {
        let oneAddress =
            "ip link set lo up && ip address flush dev lo && ip address add 127.0.0.1/32 dev lo "
            + "&& exec \"$@\""
        let run = try await BenchRun.run(
            ["tftp://127.0.0.1/file", "--clients", "3"],
            wrapper: ["/usr/bin/unshare", "--net", "/bin/sh", "-c", oneAddress, "sh"])
        try await run.expectRefusal(
            "too few addresses: the machines speak from 127.1.0.1 to 127.1.0.3")
    }

    /// A report that cannot be written is refused before the first request.
    @Test(arguments: ["--json", "--csv", "--plot"])
    func unwritablePaths(flag: String) async throws {
        let server = try LoopbackSocket()
        let run = try await BenchRun.run([
            "tftp://127.0.0.1:\(server.endpoint.port)/file", flag, "/nowhere/report.svg",
        ])
        try await run.expectRefusal(
            "cannot write /nowhere/report.svg: No such file or directory")
        #expect(server.receive(withinMilliseconds: 0) == nil)
    }

    static let wrongUsage: [([String], String)] = [
        (["--plot", "report.gif"], "report.gif: a picture is FILE.svg or FILE.png"),
        (["--plot", "report"], "a picture is FILE.svg or FILE.png"),
        (["--transfers", "1", "--seconds", "1"], "exclude each other"),
        (["--clients", "0"], "--clients is 1 to 100000"), (["--client", "amiga"], "amiga"),
        (["--impair", "loss=200%"], "loss"), (["--rate", "nan"], "--rate is 0.001 to"),
        (["--ramp=-1"], "--ramp is 0 to 86400 seconds"), (["--seconds", "nan"], "more than 0"),
        ((0..<17).flatMap { _ in ["--client", "grub"] }, "--client is given 16 times at most"),
    ]

    @Test(arguments: wrongUsage)
    func wrongUsageIsExit64(flags: [String], words: String) async throws {
        let server = try LoopbackSocket()
        let run = try BenchRun(["tftp://127.0.0.1:\(server.endpoint.port)/file"] + flags)
        #expect(try await run.exitStatus() == 64)
        #expect(run.output.contains(words), "\(run.output)")
        #expect(server.receive(withinMilliseconds: 0) == nil)
    }

    @Test func noSuchProcess() async throws {
        let run = try await BenchRun.run([
            "tftp://127.0.0.1/file", "--server-pid", "2147483647",
        ])
        try await run.expectRefusal("--server-pid 2147483647: no such process")
    }

    // MARK: After the storm

    @Test func everyFormatTellsTheSame() async throws {
        try await Bootstorm.serve { server in
            try server.publish(Content.bytes(100_000), as: "a <b> & \"c\"")
            let run = try BenchRun([
                server.url("a <b> & \"c\""), "--clients", "20", "--transfers", "100",
                "--client", "ipxe", "--client", "edk2:2", "--json", "report.json", "--csv",
                "report.csv", "--plot", "report.svg",
            ])
            #expect(try await run.exitStatus() == 0, "\(run.output)")
            #expect(
                run.output.hasPrefix("100 transfers, 0 failed, 10000000 bytes in "),
                "\(run.output)")
            let json = try #require(run.written("report.json"))
            #expect(json.contains("\"transfers\" : 100,"))
            #expect(json.contains("\"seed\" : 1,"))
            let rows = try #require(run.written("report.csv")).split(separator: "\n")
            #expect(rows.first == "seconds,bytes,packets,transfers,failed,running,late")
            #expect(rows.dropFirst().map { $0.integer(column: 1) }.reduce(0, +) == 10_000_000)
            #expect(rows.dropFirst().map { $0.integer(column: 3) }.reduce(0, +) == 100)
            let svg = try #require(run.written("report.svg"))
            #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n"))
            #expect(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;"))
        }
    }

    @Test(.enabled(if: hasConverter, "rsvg-convert is not installed"))
    func drawsPNG() async throws {
        try await Bootstorm.serve { server in
            try server.publish(Content.bytes(5000), as: "file")
            let run = try BenchRun([server.url("file"), "--plot", "report.png"])
            #expect(try await run.exitStatus() == 0, "\(run.output)")
            let png = try Data(contentsOf: run.folder.appending(path: "report.png"))
            #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        }
    }

    @Test func saysHowToGetPNG() async throws {
        let run = try BenchRun(
            ["tftp://127.0.0.1/file", "--plot", "report.png"],
            wrapper: ["/usr/bin/env", "PATH=/nowhere"])
        #expect(try await run.exitStatus() == 64)
        #expect(run.output.contains("PNG needs rsvg-convert (Debian: librsvg2-bin)"))
    }

    /// Interrupted in its middle, it tells what it has found so far.
    @Test func anInterruptedStormReports() async throws {
        // A request that is under way at that moment stays unanswered, and the server need not wait
        // for it.
        try await Bootstorm.serve(["--drain", "0"]) { server in
            try server.publish(Content.bytes(5000), as: "file")
            let run = try BenchRun([
                server.url("file"), "--clients", "5", "--seconds", "50", "--json",
                "report.json",
            ])
            try await server.waitForLines(20)
            run.terminate()
            #expect(try await run.exitStatus() == 0, "\(run.output)")
            let first = try #require(run.lines.first)
            #expect(
                first.contains(" transfers, 0 failed, ") && first.hasSuffix("(interrupted)"))
            #expect(run.written("report.json")?.contains("\"interrupted\" : true") == true)
        }
    }

    private func limit(files: Int) -> [String] {
        ["/bin/sh", "-c", "ulimit -n \(files) && exec \"$@\"", "sh"]
    }

    static let hasConverter = FileManager.default.isExecutableFile(
        atPath: "/usr/bin/rsvg-convert")

    /// Whether a network namespace can be made here.
    static let canUnshare: Bool = {
        let probe = Process()
        probe.executableURL = URL(filePath: "/usr/bin/unshare")
        probe.arguments = ["--net", "/bin/sh", "-c", "ip link set lo up"]
        probe.standardError = FileHandle.nullDevice
        guard (try? probe.run()) != nil else { return false }
        probe.waitUntilExit()
        return probe.terminationStatus == 0
    }()
}

extension Bootstorm {
    func url(_ name: String) -> String { "tftp://127.0.0.1:\(port)/\(name)" }

    /// Waits until the server has logged this number of lines.
    func waitForLines(_ count: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < deadline {
            if output.split(separator: "\n").count >= count { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw InteropError("the server logs nothing; it printed: \(output)")
    }
}

extension Substring {
    fileprivate func integer(column: Int) -> Int {
        Int(split(separator: ",")[column]) ?? -1
    }
}
