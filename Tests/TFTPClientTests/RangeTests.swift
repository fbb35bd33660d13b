import Foundation
import TFTPClient
import Testing

/// A part of a file: from a server that knows the options, and from others.
@Suite(.serialized)
struct RangeTests {
    private static let patience = Duration.milliseconds(400)

    private static func options(
        _ offset: UInt64, _ length: UInt64?, blksize: UInt16 = 1468, windowsize: UInt16 = 16
    ) -> TFTPClient.Options {
        var options = TFTPClient.Options(
            blksize: blksize, windowsize: windowsize, patience: .seconds(20))
        options.offset = offset
        options.length = length
        return options
    }

    // MARK: Granted

    @Test func partsOfManySizes() async throws {
        try await Served.run { served in
            let bytes = content(1_000_000)
            try served.folder.publish(bytes, as: "file")
            for offset in [0, 1, 1468, 500_000, 999_999, 1_000_000] {
                for length in [nil, 0, 1, 1468, 300_000, 1 << 40] as [Int?] {
                    for windowsize: UInt16 in [1, 16] {
                        let options = Self.options(
                            UInt64(offset), length.map { UInt64($0) }, windowsize: windowsize)
                        let download = try await served.client.get(
                            "file", from: served.server, options: options)
                        let wanted = bytes.dropFirst(offset).prefix(length ?? .max)
                        #expect(download.bytes == Array(wanted), "\(offset) \(length ?? -1)")
                        #expect(download.summary.byteCount == UInt64(wanted.count))
                        #expect(download.summary.tsize == 1_000_000)
                        let isWhole = offset == 0 && length == nil
                        #expect(download.summary.offset == (isWhole ? nil : UInt64(offset)))
                        #expect(download.summary.length == length.map { _ in UInt64(wanted.count) })
                    }
                }
            }
        }
    }

    @Test func toAFileAndAsChunks() async throws {
        try await Served.run { served in
            let bytes = content(3_000_000)
            try served.folder.publish(bytes, as: "file")
            let wanted = Array(bytes[1_000_001..<2_000_001])
            let options = Self.options(1_000_001, 1_000_000)
            let monitor = TFTPClient.Monitor()
            let summary = try await served.client.get(
                "file", from: served.server, to: served.folder.target("part"), options: options,
                monitor: monitor)
            #expect(served.folder.got("part") == wanted)
            #expect(summary.byteCount == 1_000_000)
            #expect("\(summary)".contains(", offset 1000001"))
            #expect(monitor.progress?.totalByteCount == 1_000_000)
            var got: [UInt8] = []
            for try await chunk in served.client.chunks(
                "file", from: served.server, options: options)
            {
                got += chunk
            }
            #expect(got == wanted)
        }
    }

    /// The parts of a file, all at once from one client, are the file.
    @Test func partsAtOnce() async throws {
        try await Served.run { served in
            let bytes = content(2_500_000)
            try served.folder.publish(bytes, as: "file")
            let parts = try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
                for part in 0..<25 {
                    let options = Self.options(UInt64(part) * 100_000, 100_000)
                    group.addTask {
                        let download = try await served.client.get(
                            "file", from: served.server, options: options)
                        return (part, download.bytes)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect((0..<25).flatMap { parts[$0] ?? [] } == bytes)
        }
    }

    /// Limits are those of the part, not of the file.
    @Test func limits() async throws {
        try await Served.run { served in
            try served.folder.publish(content(10_000), as: "file")
            for length in [nil, 1000] as [UInt64?] {
                let got = try await served.client.get(
                    "file", from: served.server, options: Self.options(9000, length), sizeMax: 1000)
                #expect(got.bytes == Array(content(10_000)[9000...]))
                await #expect(throws: TFTPClient.Failure.tooLarge(sizeMax: 999)) {
                    try await served.client.get(
                        "file", from: served.server, options: Self.options(9000, length),
                        sizeMax: 999)
                }
            }
        }
    }

    @Test func beyondTheEnd() async throws {
        try await Served.run { served in
            try served.folder.publish(content(100), as: "file")
            let refusal = TFTPClient.Failure.refused(
                code: 8, message: "Offset beyond the end of the file")
            await #expect(throws: refusal) {
                try await served.client.get(
                    "file", from: served.server, options: Self.options(101, nil))
            }
        }
    }

    @Test func whatCanNotBeAskedFor() async throws {
        try await Served.run { served in
            let server = served.server
            var text = Self.options(1, nil)
            text.mode = .netascii
            var plain = Self.options(0, 5)
            plain.negotiates = false
            for options in [text, plain] {
                let failure = await #expect(throws: TFTPClient.Failure.self) {
                    try await served.client.get("file", from: server, options: options)
                }
                guard case .invalidOptions = failure else {
                    Issue.record("\(String(describing: failure))")
                    continue
                }
            }
            await #expect(
                throws: TFTPClient.Failure.invalidOptions("offset and length are for getting")
            ) {
                try await served.client.put(
                    [1], as: "new", to: server, options: Self.options(0, 5))
            }
            #expect(served.folder.published("new") == nil)
        }
    }

    // MARK: Not granted

    /// Asks a scripted server for a part of a file. Returns what it threw; nothing may have been
    /// delivered.
    private func failure(
        _ options: TFTPClient.Options,
        _ script: @escaping @Sendable (ScriptedServer) -> Void
    ) async throws -> TFTPClient.Failure? {
        try await ScriptedServer.run(script) { server in
            let client = try TFTPClient()
            var delivered: [UInt8] = []
            do {
                for try await chunk in client.chunks("file", from: server, options: options) {
                    delivered += chunk
                }
                Issue.record("it was taken for done")
                return nil
            } catch let failure as TFTPClient.Failure {
                #expect(delivered.isEmpty)
                return failure
            }
        }
    }

    /// The OACK says nothing of the part, or only half.
    @Test(arguments: [
        ["blksize", "1468"], ["tsize", "5000"], ["offset", "7"], ["length", "5"],
        ["blksize", "1468", "length", "5", "tsize", "5000"],
    ])
    func anOACKWithout(words: [String]) async throws {
        let failure = try await failure(Self.options(7, 5)) { server in
            #expect(server.request()?.options["offset"] == "7")
            server.reply(.oack(words))
            #expect(server.next() == .error(8, "Offset and length are needed"))
        }
        #expect(failure == .rangeIgnored)
    }

    /// A server without options sends DATA 1 at once: the beginning of the file.
    @Test func noOACK() async throws {
        for options in [Self.options(7, nil), Self.options(0, 5)] {
            let failure = try await failure(options) { server in
                server.request()
                server.reply(.data(1, content(512)))
                #expect(server.next() == .error(8, "Offset and length are needed"))
            }
            #expect(failure == .rangeIgnored)
        }
    }

    /// A server that refuses options is not asked once more without: that would be another part.
    @Test(arguments: [UInt16(8), 4])
    func refused(code: UInt16) async throws {
        let failure = try await failure(Self.options(7, nil)) { server in
            server.request()
            server.reply(.error(code, "no options"))
            #expect(server.listener.receive(milliseconds: 100) == nil)
        }
        #expect(failure == .refused(code: code, message: "no options"))
    }

    @Test func anotherPart() async throws {
        let cases = [
            (["offset", "8", "length", "5"], "offset is another than was asked"),
            (["offset", "7", "length", "6"], "length is larger than was asked"),
        ]
        for (words, problem) in cases {
            let failure = try await failure(Self.options(7, 5)) { server in
                server.request()
                server.reply(.oack(words))
                #expect(server.errorCode() == 8)
            }
            #expect(failure == .negotiationFailed(problem))
        }
    }

    /// More or fewer bytes than were granted.
    @Test(arguments: [4, 6])
    func anotherNumberOfBytes(byteCount: Int) async throws {
        let failure = try await ScriptedServer.run { server in
            server.request()
            server.reply(.oack(["offset", "7", "length", "5", "tsize", "5000"]))
            #expect(server.next() == .ack(0))
            server.reply(.data(1, content(byteCount)))
            #expect(server.errorCode() != nil)
        } body: { server in
            await #expect(throws: TFTPClient.Failure.self) {
                try await TFTPClient().get("file", from: server, options: Self.options(7, 5))
            }
        }
        #expect(failure == .wrongSize(announced: 5, received: UInt64(byteCount)))
    }
}
