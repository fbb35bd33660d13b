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
}
