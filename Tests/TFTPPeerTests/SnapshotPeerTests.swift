import Foundation
import Logging
import TFTPClient
import TFTPServer
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

/// Nodes whose folders are trees of snapshots.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SnapshotPeerTests {
    private static func publish(
        _ name: String, _ files: [String: [UInt8]], in folder: URL
    ) throws {
        let image = try makeFolder()
        defer { try? FileManager.default.removeItem(at: image) }
        for (file, bytes) in files {
            try Data(bytes).write(to: image.appending(path: file))
        }
        try TFTPServer.Snapshots(root: folder.path).publish(image.path, as: name)
    }

    private static let (a, b) = (content(1_500_000, seed: 1), content(1_500_000, seed: 2))

    /// A node without snapshots gets what is current at the one that has them, whole, and holds
    /// nothing there. Whether that one has read it in time to say what it is made of depends on the
    /// machine.
    @Test func aNodeFollowsWhatIsCurrent() async throws {
        try await Group.run(nodes: 2) { index, folder in
            guard index == 0 else { return }
            try Self.publish("a", ["kernel": Self.a, "initrd": Self.a], in: folder)
        } configure: { node, addresses in
            node.hasSnapshots = node.root?.isTree == true
        } body: { group in
            let (publisher, other) = (group.members[0], group.members[1])
            #expect(try await group.getAll("kernel", from: [other], count: 2) == [Self.a, Self.a])
            try Self.publish("b", ["kernel": Self.b, "initrd": Self.b], in: publisher.folder)
            #expect(try await group.getAll("initrd", from: [other], count: 2) == [Self.b, Self.b])
            #expect(
                try await group.getAll("sets/a/initrd", from: [other], count: 1) == [Self.a])
            let statistics = await other.node?.statistics
            #expect(statistics?.badChunkCount == 0)
            #expect(statistics?.failoverCount == 0)
            let snapshots = TFTPServer.Snapshots(root: publisher.folder.path)
            #expect(try await wait { (try? snapshots.prune(keeping: 1).removed) == ["a"] })
        }
    }

    /// What a client's snapshot lacks here comes from the same snapshot elsewhere, whatever is
    /// current there by now.
    @Test func whatIsMissingComesFromTheSameSnapshot() async throws {
        try await Group.run(nodes: 2) { index, folder in
            try Self.publish(
                "a", index == 0 ? ["kernel": Self.a, "initrd": Self.a] : ["kernel": Self.a],
                in: folder)
        } configure: { node, _ in
            node.hasSnapshots = true
        } body: { group in
            let (full, sparse) = (group.members[0], group.members[1])
            #expect(try await group.getAll("kernel", from: [sparse], count: 1) == [Self.a])
            try Self.publish("b", ["kernel": Self.b, "initrd": Self.b], in: full.folder)
            try Self.publish("b", ["kernel": Self.b], in: sparse.folder)
            #expect(
                try await group.getAll("initrd", from: [sparse], count: 3)
                    == [Self.a, Self.a, Self.a])
            #expect(try await group.getAll("sets/b/initrd", from: [sparse], count: 1) == [Self.b])
            await #expect(throws: TFTPClient.Failure.self) {
                try await group.getAll("sets/c/initrd", from: [sparse], count: 1)
            }
            let statistics = await sparse.node?.statistics
            #expect(statistics?.unverifiedByteCount == 0)
        }
    }

    /// The list and the offers of a node are about the current snapshot, by the names that clients
    /// use.
    @Test func theCatalogueFollowsTheSwitch() async throws {
        try await Group.run(nodes: 1) { _, folder in
            try Self.publish("a", ["kernel": [1], "old": [1]], in: folder)
        } configure: { node, _ in
            node.hasSnapshots = true
        } body: { group in
            let member = group.members[0]
            let node = try #require(member.node)
            let running = Task { await node.run() }
            defer { running.cancel() }
            let client = try TFTPClient()
            func text(_ name: String) async throws -> String {
                String(
                    decoding: try await client.get(name, from: member.address).bytes,
                    as: UTF8.self)
            }
            func listed() async -> [String] {
                guard let text = try? await text(Listing.name) else { return [] }
                return Listing(text)?.files.map(\.name) ?? []
            }
            #expect(try await wait { await listed() == ["kernel", "old"] })
            try Self.publish("b", ["kernel": [2, 2], "new": [2]], in: member.folder)
            #expect(try await wait { await listed() == ["kernel", "new"] })
            let offer = try #require(Offer(try await text(".bootstorm/offer/kernel")))
            #expect(offer.name == "sets/b/kernel")
            #expect(offer.version?.size == 2)
            let named = try #require(Offer(try await text(".bootstorm/offer/sets/a/kernel")))
            #expect(named.name == nil)
            #expect(named.version?.size == 1)
            let manifest = try #require(Manifest(try await text(".bootstorm/manifest/kernel")))
            #expect(manifest.name == "sets/b/kernel")
            #expect(manifest.root == offer.root)
            try TFTPServer.Snapshots(root: member.folder.path).rollBack()
            #expect(try await wait { await listed() == ["kernel", "old"] })
        }
    }

    /// What a node says about another name, or about none in a snapshot, is no pin.
    @Test func snapshotPaths() {
        var offer = Offer(
            node: NodeID(rawValue: 1), state: .holds, version: .file(size: 1, modifiedSeconds: 1))
        #expect(offer.pin(of: "boot/x") == nil)
        offer.name = "sets/a/boot/x"
        #expect(Offer(offer.text) == offer)
        #expect(offer.pin(of: "boot/x") == "sets/a/boot/x")
        for other in ["x", "boot", "boot/x/", "sets/a/boot/x", ""] {
            #expect(offer.pin(of: other) == nil, "\(other)")
        }
        for name in ["boot/x", "sets/boot/x", "sets/.a/boot/x", "sets/../boot/x", "x/a/boot/x"] {
            offer.name = name
            #expect(offer.pin(of: "boot/x") == nil, "\(name)")
        }
    }

    /// Uploads and snapshots that are not there yet are not read.
    @Test func hiddenNamesArePassedOver() async throws {
        let folder = try makeFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["sets/.publishing-1", "sets/.removing-1", "sets/a", ".hidden"] {
            let inner = folder.appending(path: name)
            try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
            try Data([1]).write(to: inner.appending(path: "file"))
        }
        try Data([1]).write(to: folder.appending(path: ".bootstorm-upload-1"))
        let watch = FolderWatch(
            folder.path, hasSnapshots: false,
            logger: Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() })
        #expect(await watch.files(beneath: nil) == [".hidden/file", "sets/a/file"])
    }
}

extension String {
    /// Whether snapshots lie in the folder of this name.
    fileprivate var isTree: Bool { FileManager.default.fileExists(atPath: self + "/sets") }
}
