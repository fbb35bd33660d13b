import Foundation
import TFTPClient
import TFTPServer
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

/// Snapshots that say all that they have.
@Suite(.timeLimit(.minutes(1))) struct IndexTests {
    @Test func theLastBytesWaitForTheDigest() async throws {
        let bytes = content(200_000)
        let gate = DigestGate(Digest(of: bytes))
        var passed: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 30_000) {
            for piece in await gate.pass(Array(bytes[start..<min(start + 30_000, bytes.count)])) {
                passed += piece
            }
        }
        #expect(passed.count < bytes.count)
        passed += try await gate.end()
        #expect(passed == bytes)
        let other = DigestGate(Digest(of: [1]))
        _ = await other.pass(bytes)
        await #expect(throws: SourceFailure.wrongDigest) { try await other.end() }
    }

    /// A folder is published as contents, and a node that has nothing serves it by their digests.
    @Test func contentsByDigest() async throws {
        let source = try makeFolder()
        let store = try makeFolder()
        defer {
            for folder in [source, store] { try? FileManager.default.removeItem(at: folder) }
        }
        try FileManager.default.createDirectory(
            at: source.appending(path: "boot"), withIntermediateDirectories: true)
        let kernel = content(300_000)
        try Data(kernel).write(to: source.appending(path: "boot/vmlinuz"))
        try Data().write(to: source.appending(path: "empty"))
        let key = PeerNode.SigningKey()
        let publisher = try ContentPublisher(
            .folder(store.path), access: PeerNode.OriginAccess(), key: key)
        let first = try await publisher.publish(source.path, as: "monday")
        #expect(first.files == 2 && first.sent == 2)
        #expect(try await publisher.publish(source.path, as: "tuesday").sent == 0)
        let text = try String(
            contentsOf: store.appending(path: "index/monday"), encoding: .utf8)
        let index = try #require(SetIndex(text))
        #expect(Signature.isSigned(text, by: [key.trusted]))
        let file = try #require(index["boot/vmlinuz"])
        let blob = try Data(contentsOf: store.appending(path: SetIndex.path(of: file.digest)))
        #expect(blob == Data(kernel))
    }

    /// What is published in a new folder that `body` fills.
    private static func publish(
        into store: URL, as set: String = "monday", _ body: (URL) throws -> Void
    ) async throws -> (files: Int, sent: Int) {
        let source = try makeFolder()
        defer { try? FileManager.default.removeItem(at: source) }
        try body(source)
        return try await ContentPublisher(
            .folder(store.path), access: PeerNode.OriginAccess(), key: nil
        ).publish(source.path, as: set)
    }

    /// A snapshot keeps its content; the same content may be published again.
    @Test func aNameThatIsTaken() async throws {
        let store = try makeFolder()
        defer { try? FileManager.default.removeItem(at: store) }
        for _ in 0..<2 {
            _ = try await Self.publish(into: store) {
                try Data([1]).write(to: $0.appending(path: "kernel"))
            }
        }
        let index = try Data(contentsOf: store.appending(path: "index/monday"))
        await #expect(throws: ContentPublisher.Failure.exists(set: "monday")) {
            try await Self.publish(into: store) {
                try Data([2]).write(to: $0.appending(path: "kernel"))
            }
        }
        #expect(try Data(contentsOf: store.appending(path: "index/monday")) == index)
        await #expect(throws: ContentPublisher.Failure.invalidName("../x")) {
            try await Self.publish(into: store, as: "../x") { _ in }
        }
    }

    /// A content of which a power failure has left a part is written again.
    @Test func aContentThatIsShort() async throws {
        let store = try makeFolder()
        defer { try? FileManager.default.removeItem(at: store) }
        let bytes = content(1000)
        let place = store.appending(path: SetIndex.path(of: Digest(of: bytes)))
        for set in ["a", "b"] {
            let count = try await Self.publish(into: store, as: set) {
                try Data(bytes).write(to: $0.appending(path: "kernel"))
            }
            #expect(count.sent == 1)
            #expect(try Data(contentsOf: place) == Data(bytes))
            try Data(bytes.dropLast()).write(to: place)
        }
    }

    /// A link is published as the file that it leads to; what cannot be published is named.
    @Test func linksAndOtherNames() async throws {
        let store = try makeFolder()
        defer { try? FileManager.default.removeItem(at: store) }
        let files = FileManager.default
        let count = try await Self.publish(into: store) { folder in
            try Data([1]).write(to: folder.appending(path: "vmlinuz-6.12"))
            try files.createSymbolicLink(
                atPath: folder.appending(path: "vmlinuz").path,
                withDestinationPath: "vmlinuz-6.12")
        }
        #expect(count.files == 2 && count.sent == 1)
        let text = try String(contentsOf: store.appending(path: "index/monday"), encoding: .utf8)
        #expect(SetIndex(text)?["vmlinuz"]?.digest == Digest(of: [1]))
        for target in ["/etc/hostname", "nothing", "."] {
            await #expect(throws: ContentPublisher.Failure.invalidLink("a")) {
                try await Self.publish(into: store, as: "b") { folder in
                    try files.createSymbolicLink(
                        atPath: folder.appending(path: "a").path, withDestinationPath: target)
                }
            }
        }
        await #expect(throws: ContentPublisher.Failure.notFile("pipe")) {
            try await Self.publish(into: store, as: "b") { folder in
                #expect(unsafe mkfifo(folder.appending(path: "pipe").path, 0o600) == 0)
            }
        }
        let failure = await #expect(throws: ContentPublisher.Failure.self) {
            try await Self.publish(into: store, as: "b") { folder in
                let name = Array(folder.path.utf8) + [UInt8(ascii: "/"), 0xFF, 0]
                // The array ends with a NUL, and is there until the call returns.
                let file = unsafe name.withUnsafeBytes {
                    unsafe open(
                        $0.baseAddress!.assumingMemoryBound(to: CChar.self), O_CREAT | O_WRONLY,
                        0o600)
                }
                #expect(file >= 0)
                close(file)
            }
        }
        #expect("\(try #require(failure))".contains("is not UTF-8"))
    }

    /// A node with a snapshot of an index alone, of which `origins` have the contents.
    private static func run(
        _ index: String, origins: [WebServer], isClosed: Bool = true,
        body: (Group.Member) async throws -> Void
    ) async throws {
        defer { for web in origins { web.stop() } }
        try await Group.run(nodes: 1) { _, folder in
            let set = folder.appending(path: "sets/monday")
            try FileManager.default.createDirectory(at: set, withIntermediateDirectories: true)
            try Data(index.utf8).write(to: set.appending(path: SetIndex.name))
            try FileManager.default.createSymbolicLink(
                atPath: folder.appending(path: "current").path,
                withDestinationPath: "sets/monday")
        } configure: { node, _ in
            node.hasSnapshots = true
            node.isClosed = isClosed
            node.origins = try origins.map { try PeerNode.Origin($0.url) }
        } body: { group in
            try await body(group.members[0])
        }
    }

    /// Content that is wrong at one origin comes from the other, once that is known; and a name
    /// with junk behind it is the name.
    @Test(arguments: [false, true])
    func aWrongContent(isShort: Bool) async throws {
        let bytes = content(300_000)
        let file = SetIndex.File(
            name: "kernel", size: UInt64(bytes.count), digest: Digest(of: bytes))
        let wrong = isShort ? Array(bytes.dropLast()) : bytes.map { $0 ^ 1 }
        let path = SetIndex.path(of: file.digest)
        let origins = [
            try WebServer([path: .init(bytes: wrong)]),
            try WebServer([path: .init(bytes: bytes, tag: "\"2\"")]),
        ]
        let index = SetIndex(set: "monday", files: [file]).text
        try await Self.run(index, origins: origins) { node in
            let client = try TFTPClient()
            var got: [UInt8]?
            for _ in 0..<3 where got != bytes {
                got = try? await client.get("kernel", from: node.address).bytes
            }
            #expect(got == bytes)
            #expect(isShort || origins[0].byteCount > 0)
            let junk = try await client.get("kernel\u{FF}", from: node.address).bytes
            #expect(junk == bytes)
            await #expect(throws: TFTPClient.Failure.notFound(name: "other")) {
                try await client.get("other", from: node.address)
            }
        }
    }

    /// What cannot be read is read once, and denies no name.
    @Test func anIndexThatIsUnusable() async throws {
        try await Self.run("bootstorm index 2\n", origins: []) { member in
            let node = try #require(member.node)
            for _ in 0..<3 {
                guard case .unusable = await node.index(of: "monday") else {
                    Issue.record("it is used")
                    return
                }
                guard case .none = await node.index(of: "tuesday") else {
                    Issue.record("there is one")
                    return
                }
            }
            let error = await #expect(throws: TFTPClient.Failure.self) {
                try await TFTPClient().get("kernel", from: member.address)
            }
            #expect(error != .notFound(name: "kernel"))
        }
    }
}
