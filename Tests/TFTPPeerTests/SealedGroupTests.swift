import Foundation
import Loopback
import Synchronization
import TFTPClient
import TFTPMetrics
import TFTPServer
import Testing

@testable import TFTPPeer

/// Keys of their own for each name; `ID/n` is another key under the same ID.
func sealKeys(_ names: [String]) throws -> TFTPClient.SealKeys {
    let lines = names.map { name in
        let secret = content(32, seed: UInt64(name.utf8.reduce(7) { $0 * 31 + Int($1) }))
        return "\(name.prefix { $0 != "/" }) \(Data(secret).base64EncodedString())\n"
    }
    return try TFTPClient.SealKeys(lines.joined())
}

/// Set once, by whichever task.
private final class Flag: Sendable {
    private let state = Atomic(false)

    var isSet: Bool { state.load(ordering: .relaxed) }

    func set() { state.store(true, ordering: .relaxed) }
}

/// Nodes that ask each other under a seal.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SealedGroupTests {
    static let megabytes = PeerNodeTests.megabytes

    /// The origin sends a file once, unencrypted, for all concurrent requests, sealed or not.
    @Test(arguments: [true, false])
    func aColdFileComesInOnce(isSealRequired: Bool) async throws {
        let keys = try sealKeys(["k"])
        let networks: [TFTPServer.Network] = isSealRequired ? [.all] : []
        try await Group.run(nodes: 3, plain: [nil], requireSeal: networks) { node, addresses in
            node.origins = [try PeerNodeTests.origin(addresses[0])]
            node.sealKeys = keys
        } body: { group in
            let (origin, nodes) = (group.members[0], Array(group.members[1...]))
            try origin.write("image", Self.megabytes)
            async let sealed = group.getAll("image", from: nodes, count: 4, sealKeys: keys)
            if !isSealRequired {
                let plain = try await group.getAll("image", from: nodes, count: 2)
                #expect(plain.count == 6)
                #expect(plain.allSatisfy { $0 == Self.megabytes })
            }
            let got = try await sealed
            #expect(got.count == 12)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            // The file, and what the origin sends before a node that only wants the size stops it,
            // or repeats because the node was slow. Three nodes that fetch it from there would take
            // three times as much and more.
            let sent = origin.server.counter(.bytesSent)
            #expect(sent < UInt64(Self.megabytes.count * 3), "\(sent) bytes from the origin")
            var fetches = 0
            for node in nodes { fetches += await node.node?.statistics.fetchCount ?? 0 }
            #expect(fetches == 3)
        }
    }

    /// The beginning of a file is sent on under a seal, through a node between, before the rest has
    /// come.
    @Test func aFileThatArrives() async throws {
        let keys = try sealKeys(["k"])
        // On this network a node takes 2 MiB from its client at a time.
        let most = 2_500_000
        let mostIsThere = Flag()
        let fetchCount = Atomic(0)
        let slow: TFTPServer.GetHandler = { request in
            guard request.name == "image" else { return .notFound }
            fetchCount.add(1, ordering: .relaxed)
            return .stream(size: UInt64(Self.megabytes.count), key: "image") { writer in
                try await writer.write(Self.megabytes[..<most])
                guard try await wait({ mostIsThere.isSet }) else { return }
                try await writer.write(Self.megabytes[most...])
            }
        }
        try await Group.run(nodes: 2, plain: [slow], requireSeal: [.all]) { node, addresses in
            node.origins = [try PeerNodeTests.origin(addresses[0])]
            node.sealKeys = keys
            // A node that gets no answer in time goes to the origin itself.
            node.patience = .seconds(10)
        } body: { group in
            let client = try TFTPClient()
            var options = TFTPClient.Options()
            options.sealKeys = keys
            try await withThrowingTaskGroup { [options] tasks in
                for node in group.members[1...] {
                    for _ in 0..<2 {
                        tasks.addTask {
                            var got: [UInt8] = []
                            for try await chunk in client.chunks(
                                "image", from: node.address, options: options)
                            {
                                got += chunk
                                guard got.count > 1 << 20 else { continue }
                                mostIsThere.set()
                            }
                            #expect(got == Self.megabytes)
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            // Each node may look at the origin, and one gets the file.
            #expect(fetchCount.load(ordering: .relaxed) <= 3)
        }
    }

    /// Packets between nodes have no unencrypted name, and nowhere 16 bytes of the file: not in
    /// queries, manifests, parts.
    @Test func nothingInThePlain() async throws {
        let keys = try sealKeys(["k"])
        let marker = Array("sixteen bytes of".utf8)
        // Each 16 bytes of it are the marker, turned.
        let bytes = [[UInt8]](repeating: marker, count: 3_000_000 / 16).flatMap { $0 }
        try await Group.run(nodes: 3, requireSeal: [.all]) { node, _ in
            node.peers = []
            node.grace = .seconds(2)
            node.sealKeys = keys
        } body: { group in
            for member in group.members[1...] { try member.write("well-kept", bytes) }
            let node = try #require(group.members[0].node)
            try await MiddleMan.stand(before: group.members[1].address) { first, firstMan in
                try await MiddleMan.stand(before: group.members[2].address) { second, secondMan in
                    await node.add(first)
                    await node.add(second)
                    let got = try await group.getAll(
                        "well-kept", from: [group.members[0]], count: 1, sealKeys: keys)
                    #expect(got == [bytes])
                    await node.learnPeers()
                    let secrets =
                        ["well-kept", ".bootstorm", "query", "manifest"].map { Array($0.utf8) }
                        + marker.indices.map { Array(marker[$0...] + marker[..<$0]) }
                    for man in [firstMan, secondMan] {
                        let packets = man.capture.map { Data($0.bytes) }
                        // A handshake at least.
                        #expect(packets.count > 3)
                        for secret in secrets.map({ Data($0) }) {
                            let found = packets.count { $0.range(of: secret) != nil }
                            #expect(found == 0, "\(String(decoding: secret, as: UTF8.self))")
                        }
                    }
                }
            }
            let statistics = await node.statistics
            #expect(statistics.peerByteCount >= UInt64(bytes.count))
            #expect(statistics.unverifiedByteCount == 0)
        }
    }

    /// A node with another key under the same ID is skipped, and the log names it once.
    @Test func aNodeWithAnotherKey() async throws {
        let warnings = Warnings()
        let count = Atomic(0)
        try await Group.run(nodes: 2, logger: warnings.logger) { node, addresses in
            let isFirst = count.add(1, ordering: .relaxed).newValue == 1
            node.sealKeys = try sealKeys([isFirst ? "k" : "k/2"])
            node.peers = isFirst ? [addresses[1]] : []
        } body: { group in
            try group.members[1].write("image", content(1000))
            let client = try TFTPClient()
            for name in ["image", "other"] {
                await #expect(throws: TFTPClient.Failure.notFound(name: name)) {
                    try await client.get(name, from: group.members[0].address)
                }
            }
            let node = try #require(group.members[0].node)
            #expect(await node.peers[0].kind == .unsealed)
            #expect(
                warnings.all.count { $0.contains("\(group.members[1].address) is left out") } == 1)
            await #expect(throws: PeerNode.GetFailure.notSealed(name: "image")) {
                _ = try await node.get("image") { _ in }
            }
        }
    }

    /// A peer that does not seal is not queried unencrypted, and the others are not affected.
    @Test func aPlainServerAmongThem() async throws {
        let keys = try sealKeys(["k"])
        let warnings = Warnings()
        try await Group.run(nodes: 2, plain: [nil], logger: warnings.logger) { node, addresses in
            node.peers = addresses
            node.sealKeys = keys
        } body: { group in
            try group.members[0].write("plain", Self.megabytes)
            try group.members[0].write("image", content(1000, seed: 2))
            try group.members[1].write("image", Self.megabytes)
            let got = try await group.getAll("image", from: [group.members[2]], count: 3)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            let client = try TFTPClient()
            await #expect(throws: TFTPClient.Failure.notFound(name: "plain")) {
                try await client.get("plain", from: group.members[2].address)
            }
            #expect(await group.members[2].node?.peers[0].kind == .unsealed)
            #expect(group.members[0].server.counter(.bytesSent) < 10_000)
            let lines = warnings.all.filter {
                $0.contains("\(group.members[0].address) is left out")
            }
            // Both nodes may have asked it.
            #expect((1...2).contains(lines.count), "\(lines)")
        }
    }

    /// Once it seals it is taken back.
    @Test func aNodeThatGetsTheKey() async throws {
        let keys = try sealKeys(["k"])
        let refuses = Atomic(true)
        try await Group.run(nodes: 2) { node, addresses in
            node.sealKeys = keys
            node.memory = .milliseconds(300)
            node.peers = [addresses[0]]
        } body: { group in
            try group.members[0].write("image", content(1000))
            // An unencrypted ERROR in place of every answer, as from a server without the key.
            let rule: MiddleMan.Rule = { way, bytes in
                guard way == .down, refuses.load(ordering: .relaxed) else { return [(way, bytes)] }
                return [(way, [0, 5, 0, 1, 0])]
            }
            let node = try #require(group.members[1].node)
            try await MiddleMan.stand(before: group.members[0].address, rule: rule) { man, _ in
                await node.add(man)
                let index = try #require(await node.peers.firstIndex { $0.server == man })
                await node.probe(index)
                #expect(try await wait { await node.peers[index].kind == .unsealed })
                refuses.store(false, ordering: .relaxed)
                #expect(
                    try await wait {
                        if await node.isAsked(index) {
                            await node.probe(index)
                        }
                        return await node.peers[index].kind != .unsealed
                    })
                let answers = await node.answers(on: "image").answers
                #expect(answers.contains { $0.peer == index })
            }
        }
    }

    /// Queries between nodes are not logged, sealed or not.
    @Test func questionsAreNotLogged() async throws {
        let keys = try sealKeys(["k"])
        let lines = Warnings(from: .info)
        try await Group.run(nodes: 2, logger: lines.logger) { node, addresses in
            node.sealKeys = keys
            node.peers = [addresses[1]]
        } body: { group in
            let node = try #require(group.members[0].node)
            await node.probe(0)
            #expect(try await wait { await !node.peers[0].isProbed })
            try group.members[1].write("image", content(1000))
            let got = try await group.getAll("image", from: [group.members[0]], count: 1)
            #expect(got == [content(1000)])
        }
        // The file from the other node and to the client; the ends of both servers come after that.
        let requests = lines.all.filter { $0.contains("RRQ") }
        #expect(requests.allSatisfy { $0.contains("\"image\" done") }, "\(requests)")
        #expect(requests.count == 2)
    }

    /// A key is changed on one node after the other.
    @Test func keysAreChanged() async throws {
        let keys = try [["old", "new"], ["new", "old"], ["new", "old"]].map { try sealKeys($0) }
        let count = Atomic(0)
        try await Group.run(nodes: 3, requireSeal: [.all]) { node, _ in
            node.sealKeys = keys[count.add(1, ordering: .relaxed).oldValue]
        } body: { group in
            for (index, member) in group.members.enumerated() {
                try member.write("image-\(index)", content(100_000, seed: UInt64(index)))
            }
            for index in group.members.indices {
                let got = try await group.getAll(
                    "image-\(index)", from: group.members, count: 1,
                    sealKeys: try sealKeys([index == 0 ? "old" : "new"]))
                #expect(got.count == 3)
                #expect(got.allSatisfy { $0 == content(100_000, seed: UInt64(index)) })
            }
        }
    }
}
