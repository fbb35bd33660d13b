import Foundation
import Glibc
import SystemPackage
import TFTPClient
import Testing

/// The client puts files on our own server.
@Suite(.serialized)
struct PutTests {
    @Test(arguments: GetTests.optionSets.indices)
    func puts(index: Int) async throws {
        let options = GetTests.optionSets[index]
        try await Served.run { served in
            for count in GetTests.byteCounts {
                let bytes = content(count)
                let summary = try await served.client.put(
                    bytes, as: "file", to: served.server, options: options)
                #expect(served.folder.published("file") == bytes, "\(count) bytes")
                #expect(summary.byteCount == UInt64(count))
            }
        }
    }

    @Test func putsAFile() async throws {
        try await Served.run { served in
            let bytes = content(3_000_000)
            let path = served.folder.target("source")
            try Data(bytes).write(to: URL(filePath: path.string))
            let summary = try await served.client.put(
                contentsOf: path, as: "file", to: served.server,
                options: .init(blksize: 1468, windowsize: 16))
            #expect(served.folder.published("file") == bytes)
            #expect(summary.tsize == 3_000_000)
        }
    }

    @Test func putsANamedPipe() async throws {
        try await Served.run { served in
            let bytes = content(300_000)
            let path = served.folder.target("pipe")
            try #require(mkfifo(path.string, 0o600) == 0)
            Thread.detachNewThread {
                FileHandle(forWritingAtPath: path.string)?.write(Data(bytes))
            }
            _ = try await served.client.put(contentsOf: path, as: "file", to: served.server)
            #expect(served.folder.published("file") == bytes)
        }
    }

    /// A pipe without a writer does not block.
    @Test func aPipeWithoutAnotherEnd() async throws {
        try await Served.run { served in
            try served.folder.publish([1], as: "file")
            let (source, target) = (served.folder.target("in"), served.folder.target("out"))
            for path in [source, target] { try #require(mkfifo(path.string, 0o600) == 0) }
            let putting = Task {
                try await served.client.put(contentsOf: source, as: "copy", to: served.server)
            }
            let getting = Task {
                try await served.client.get("file", from: served.server, to: target)
            }
            let end = ContinuousClock.now + .seconds(20)
            while !isOpen(source.string), ContinuousClock.now < end { await Task.yield() }
            #expect(isOpen(source.string))
            putting.cancel()
            getting.cancel()
            await #expect(throws: (any Error).self) { try await putting.value }
            await #expect(throws: (any Error).self) { try await getting.value }
        }
    }

    /// Whether this process has opened the file at `path`.
    private func isOpen(_ path: String) -> Bool {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return files.contains {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)"))
                == path
        }
    }

    @Test func getsIntoANamedPipe() async throws {
        try await Served.run { served in
            let bytes = content(300_000)
            try served.folder.publish(bytes, as: "file")
            let path = served.folder.target("pipe")
            try #require(mkfifo(path.string, 0o600) == 0)
            let (got, source) = AsyncStream<Data>.makeStream()
            Thread.detachNewThread {
                let reader = FileHandle(forReadingAtPath: path.string)
                source.yield((try? reader?.readToEnd()) ?? Data())
                source.finish()
            }
            _ = try await served.client.get("file", from: served.server, to: path)
            for await data in got { #expect(Array(data) == bytes) }
        }
    }

    @Test func putsASequence() async throws {
        try await Served.run { served in
            let pieces = (0..<50).map { content(10_000, seed: UInt64($0)) }
            let stream = AsyncStream { continuation in
                for piece in pieces { continuation.yield(piece) }
                continuation.finish()
            }
            _ = try await served.client.put(
                stream, as: "file", to: served.server, options: .init(blksize: 1024, windowsize: 8))
            #expect(served.folder.published("file") == pieces.flatMap { $0 })
        }
    }

    /// What comes slowly is sent as it comes.
    @Test func putsASlowSequence() async throws {
        try await Served.run { served in
            let stream = AsyncStream {
                continuation in
                Task {
                    for number in 0..<5 {
                        try? await Task.sleep(for: .milliseconds(50))
                        continuation.yield(content(700, seed: UInt64(number)))
                    }
                    continuation.finish()
                }
            }
            _ = try await served.client.put(
                stream, as: "file", to: served.server, options: .init(windowsize: 4))
            #expect(served.folder.published("file") == (0..<5).flatMap { content(700, seed: $0) })
        }
    }

    private struct Broken: Error, Equatable {}

    @Test func aSequenceThatThrowsEndsTheTransfer() async throws {
        try await Served.run { served in
            let stream = AsyncThrowingStream<[UInt8], any Error> { continuation in
                continuation.yield(content(10_000))
                continuation.finish(throwing: Broken())
            }
            await #expect(throws: Broken()) {
                try await served.client.put(stream, as: "file", to: served.server)
            }
            #expect(served.folder.published("file") == nil)
        }
    }

    private static let impatient: TFTPClient.Options = {
        var options = TFTPClient.Options(windowsize: 4)
        options.sourcePatience = .milliseconds(300)
        return options
    }()

    @Test func aSequenceThatStallsEndsByItsOwnPatience() async throws {
        try await Served.run { served in
            let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
            continuation.yield(content(1_000))
            let start = ContinuousClock.now
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.put(
                    stream, as: "file", to: served.server, options: Self.impatient)
            }
            #expect(failure == .sourceStalled(after: .milliseconds(300)))
            #expect(ContinuousClock.now - start < .seconds(4))
            #expect(served.folder.published("file") == nil)
            continuation.finish()
        }
    }

    /// A pipe that stays open without a write.
    @Test(arguments: [TFTPClient.Options.Mode.octet, .netascii])
    func aPipeThatStallsEndsByItsOwnPatience(mode: TFTPClient.Options.Mode) async throws {
        try await Served.run { served in
            let path = served.folder.target("pipe")
            #expect(mkfifo(path.string, 0o600) == 0)
            let writer = open(path.string, O_RDWR)
            defer { close(writer) }
            let bytes = content(1_000)
            #expect(write(writer, bytes, bytes.count) == bytes.count)
            var options = Self.impatient
            options.mode = mode
            let given = options
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.put(
                    contentsOf: path, as: "file", to: served.server, options: given)
            }
            guard case .sourceStalled = failure else { return #expect(Bool(false)) }
            #expect(served.folder.published("file") == nil)
        }
    }

    /// Without a patience of its own, a pipe may take its time; but a cancelled put does not wait
    /// for it.
    @Test func aPipeThatStallsCanBeCancelled() async throws {
        try await Served.run { served in
            let path = served.folder.target("pipe")
            #expect(mkfifo(path.string, 0o600) == 0)
            let writer = open(path.string, O_RDWR)
            defer { close(writer) }
            let running = Task {
                try await served.client.put(contentsOf: path, as: "file", to: served.server)
            }
            try await Task.sleep(for: .milliseconds(700))
            let start = ContinuousClock.now
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            #expect(ContinuousClock.now - start < .seconds(1))
            #expect(served.folder.published("file") == nil)
        }
    }

    /// A stream ends when its task is cancelled: what came until then is not the file.
    @Test func aCancelledSequenceIsNotTakenForComplete() async throws {
        try await Served.run { served in
            let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
            continuation.yield(content(1_000))
            let running = Task {
                try await served.client.put(stream, as: "file", to: served.server)
            }
            try await Task.sleep(for: .milliseconds(200))
            running.cancel()
            await #expect(throws: CancellationError.self) { try await running.value }
            try await Task.sleep(for: .milliseconds(100))
            #expect(served.folder.published("file") == nil)
            continuation.finish()
        }
    }

    /// The server has timed out, and ends the wait for the sequence.
    @Test func aServerThatTimesOutEndsTheWait() async throws {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        continuation.yield(content(100))
        let failure = try await ScriptedServer.run { server in
            server.request()
            server.reply(.ack(0))
            server.reply(.error(0, "enough"))
        } body: { server in
            let client = try TFTPClient()
            return await #expect(throws: TFTPClient.Failure.self) {
                try await client.put(stream, as: "file", to: server)
            }
        }
        #expect(failure == .refused(code: 0, message: "enough"))
        continuation.finish()
    }

    /// The part that has been read before is not sent.
    @Test func putsAnOpenFileFromWhereItStands() async throws {
        try await Served.run { served in
            let bytes = content(10_000)
            let path = served.folder.target("source")
            try Data(bytes).write(to: URL(filePath: path.string))
            let file = try FileDescriptor.open(path, .readOnly)
            defer { try? file.close() }
            #expect(try file.seek(offset: 3_000, from: .start) == 3_000)
            let summary = try await served.client.put(
                contentsOf: file, as: "file", to: served.server, options: .init(blksize: 1468))
            #expect(served.folder.published("file") == Array(bytes[3_000...]))
            #expect(summary.tsize == 7_000)
        }
    }

    @Test func translatesText() async throws {
        try await Served.run { served in
            let lines = text(100_000)
            var options = TFTPClient.Options(blksize: 1024, windowsize: 4)
            options.mode = .netascii
            _ = try await served.client.put(lines, as: "file", to: served.server, options: options)
            #expect(served.folder.published("file") == lines)
            let path = served.folder.target("source")
            try Data(lines).write(to: URL(filePath: path.string))
            _ = try await served.client.put(
                contentsOf: path, as: "other", to: served.server, options: options)
            #expect(served.folder.published("other") == lines)
        }
    }

    @Test func isRefused() async throws {
        try await Served.run {
            $0.upload = .deny
        } body: { served in
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.put(content(100), as: "file", to: served.server)
            }
            guard case .refused(code: 2, _) = failure else { return #expect(Bool(false)) }
        }
    }

    @Test func aMissingSourceSendsNothing() async throws {
        try await Served.run { served in
            let failure = await #expect(throws: TFTPClient.Failure.self) {
                try await served.client.put(
                    contentsOf: served.folder.target("missing"), as: "file", to: served.server)
            }
            guard case .file = failure else { return #expect(Bool(false)) }
        }
    }
}
