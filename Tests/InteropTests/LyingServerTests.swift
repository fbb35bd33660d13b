import Foundation
import Loopback
import Testing

/// `bootstorm bench` against servers that do wrong: it says exactly what.
@Suite struct LyingServerTests {
    /// Eight machines fetch 5,000 bytes each.
    private func storm(
        _ lie: LyingServer.Lie, honestCount: Int = 1, _ flags: [String] = []
    ) async throws -> BenchRun {
        let content = Content.bytes(5000)
        let server = try LyingServer(Array(content), lie, honestCount: honestCount)
        defer { server.stop() }
        let url = "tftp://127.0.0.1:\(server.endpoint.port)/file"
        return try await BenchRun.run([url, "--clients", "8"] + flags)
    }

    private func expect(
        _ run: BenchRun, status: Int32, _ lines: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let ended = try await run.exitStatus()
        #expect(ended == status, "\(run.output)", sourceLocation: sourceLocation)
        for line in lines {
            #expect(
                run.lines.contains { $0.wholeMatch(of: try! Regex(line)) != nil },
                "\(line) is not in: \(run.output)", sourceLocation: sourceLocation)
        }
    }

    @Test func honesty() async throws {
        let run = try await storm(.none)
        try await expect(
            run, status: 0,
            [
                "8 transfers, 0 failed, 40000 bytes in .*",
                "repeats +0 sent, 0 duplicates, 0 gaps, 0 strays, 0 malformed",
            ])
        #expect(!run.output.contains("wrong byte"))
    }

    /// The first fetch was right, so every other is compared with it.
    @Test func aWrongByte() async throws {
        let run = try await storm(.wrongByte(offset: 1100))
        try await expect(
            run, status: 1,
            [
                "0 transfers, 8 failed, .*", "failed +8 × wrong byte",
                "wrong byte +\"file\" block 3, offset 1100",
            ])
    }

    /// All are equally wrong, and the file itself tells.
    @Test func aWrongByteInEveryTransfer() async throws {
        let folder = FileManager.default.temporaryDirectory
        let file = folder.appending(path: "bootstorm-verify-\(UUID().uuidString)")
        try Content.bytes(5000).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let run = try await storm(
            .wrongByte(offset: 0), honestCount: 0, ["--verify", file.path])
        try await expect(
            run, status: 1,
            ["failed +8 × wrong byte", "wrong byte +\"file\" block 1, offset 0"])
    }

    /// One in twenty packets is lost: the machines' timers repair all of it.
    @Test func losses() async throws {
        let run = try await storm(.loss(each: 20), ["--client", "busybox"])
        try await expect(
            run, status: 0,
            [
                "8 transfers, 0 failed, 40000 bytes in .*",
                "repeats +[1-9]\\d* sent, 0 duplicates, 0 gaps, 0 strays, 0 malformed",
            ])
    }

    @Test(arguments: [
        ("busybox", "timed out: answers came from another port"),
        ("curl", "packet from another port"),
    ])
    func anotherPort(kind: String, cause: String) async throws {
        let run = try await storm(.otherPort, ["--client", kind])
        try await expect(
            run, status: 1,
            [
                "0 transfers, 8 failed, 4096 bytes in .*",
                "repeats +\\d+ sent, 0 duplicates, 0 gaps, [1-9]\\d* strays, 0 malformed",
                "failed +8 × \(cause)",
            ])
    }

    @Test func anotherAddress() async throws {
        let run = try await storm(.otherAddress, ["--client", "busybox"])
        try await expect(
            run, status: 1,
            [
                "0 transfers, 8 failed, 0 bytes in .*",
                "repeats +\\d+ sent, 0 duplicates, 0 gaps, [1-9]\\d* strays, 0 malformed",
                "failed +8 × timed out: answers came from another address",
            ])
    }

    @Test func anotherAddressFromTheFirst() async throws {
        let run = try await storm(.otherAddress, honestCount: 0)
        try await run.expectRefusal(
            "the first fetch of \"file\" failed: timed out: answers came from another address.")
    }

    @Test func anOverlongBlock() async throws {
        let run = try await storm(.overlongBlock)
        try await expect(run, status: 1, ["failed +8 × block longer than the blksize"])
    }

    @Test func anError() async throws {
        let run = try await storm(.error(3))
        try await expect(
            run, status: 1,
            ["failed +8 × ERROR 3 from the server", "received +8 × ERROR 3"])
    }

    @Test func silence() async throws {
        let run = try await storm(.silence, ["--client", "busybox"])
        try await expect(run, status: 1, ["failed +8 × timed out while receiving"])
    }
}
