import Foundation
import Logging
import TFTPClient
import TFTPCore
import TFTPReactor
import TFTPServer
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

@Suite(.timeLimit(.minutes(1))) struct DiscoveryTests {
    static let announcement = Announcement(
        node: NodeID(rawValue: 0x9F3A_06C2_D417_BE55), port: 69, seconds: 1_764_050_000)
    static let secret = [UInt8]("between us".utf8)

    @Test func anAnnouncementIsHeardAsItWasSaid() {
        let text = Self.announcement.text(secret: nil)
        #expect(Announcement(text, secrets: [], now: 0) == Self.announcement)
        let tagged = Self.announcement.text(secret: Self.secret)
        #expect(Announcement(tagged, secrets: [], now: 0) == Self.announcement)
        for now in [-120, 0, 120] {
            #expect(
                Announcement(tagged, secrets: [[1], Self.secret], now: 1_764_050_000 + now)
                    == Self.announcement)
        }
    }

    @Test func whoDoesNotKnowTheSecretIsNotHeard() {
        let now = Self.announcement.seconds
        let tagged = Self.announcement.text(secret: Self.secret)
        #expect(Announcement(tagged, secrets: [[1], [2]], now: now) == nil)
        #expect(Announcement(tagged, secrets: [Self.secret], now: now + 121) == nil)
        #expect(Announcement(tagged, secrets: [Self.secret], now: now - 121) == nil)
        let plain = Self.announcement.text(secret: nil)
        #expect(Announcement(plain, secrets: [Self.secret], now: now) == nil)
        let moved = tagged.replacing("port 69", with: "port 70")
        #expect(Announcement(moved, secrets: [], now: now)?.port == 70)
        #expect(Announcement(moved, secrets: [Self.secret], now: now) == nil)
    }

    @Test(arguments: [
        "", "bootstorm announce 1\n",
        "bootstorm announce 2\nnode 9f3a06c2d417be55\nport 1\ntime 1\n",
        "bootstorm announce 1\nnode 9f3a06c2d417be55\nport 0\ntime 1\n",
        "bootstorm announce 1\nnode 9f3a\nport 1\ntime 1\n",
        "bootstorm announce 1\nnode 9f3a06c2d417be55\nport 65536\ntime 1\n",
    ])
    func noAnnouncement(_ text: String) {
        #expect(Announcement(text, secrets: [], now: 0) == nil)
    }

    /// `_tftp._udp.x`: a.x port 69, b.x port 6969, an address that is passed over, and a service
    /// that is none.
    @Test func hostsOfAService() {
        func label(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
            [0xC0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
        }
        var answer: [UInt8] = [0, 1, 0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 0]
        answer += label("_tftp") + label("_udp") + label("x")
        answer += [0, 0, 33, 0, 1]
        let port69: [UInt8] = [0, 1, 0, 5, 0, 69]
        answer += record(33, port69 + label("a") + label("x") + [0])
        answer += record(1, [10, 0, 0, 1])
        // The rest of the name stands in the question, 23 bytes from the beginning.
        let port6969: [UInt8] = [0, 1, 0, 5, 0x1B, 0x39]
        answer += record(33, port6969 + label("b") + [0xC0, 23])
        answer += record(33, [0, 0, 0, 0, 0, 0, 0])
        #expect(
            PeerLookup.services(in: answer) == [
                TFTPClient.Server(host: "a.x", port: 69),
                TFTPClient.Server(host: "b.x", port: 6969),
            ])
        for count in 0..<answer.count {
            // Cut short it may be no answer, but never reads beyond.
            _ = PeerLookup.services(in: Array(answer[..<count]))
        }
        #expect(PeerLookup.services(in: Array(answer[..<20])) == nil)
    }

    /// A peer that is no node, and has missed two questions, is asked again and comes back.
    @Test func aPlainPeerThatComesBack() async throws {
        try await Group.run(nodes: 1, plain: [nil]) { index, folder in
            guard index == 0 else { return }
            try Data([7]).write(to: folder.appending(path: "file"))
            try Data([8]).write(to: folder.appending(path: "other"))
        } configure: { node, addresses in
            node.peers = [addresses[0]]
        } body: { group in
            let node = try #require(group.members[1].node)
            #expect(try await group.getAll("file", from: [group.members[1]], count: 1) == [[7]])
            await node.miss(peer: 0)
            await node.miss(peer: 0)
            #expect(await node.peers[0].isSilent)
            let isBack = try await wait {
                await node.probe(0)
                return await !node.peers[0].isSilent
            }
            #expect(isBack)
            #expect(try await group.getAll("other", from: [group.members[1]], count: 1) == [[8]])
        }
    }

    /// Places that were announced and are not any more leave nothing behind.
    @Test func forgedAnnouncementsAreForgotten() async throws {
        let node = try PeerNode(.init(root: nil), logger: .none)
        for number in 0..<1000 { await node.hear(forged: number) }
        #expect(await node.served.nodeHostCount <= PeerNode.peersMax)
        await node.forgetSilent(at: .now + .seconds(60))
        #expect(await node.served.nodeHostCount == 0)
    }

    /// A host that repeats a node's announcement, and does not seal, does not keep the node out.
    @Test func anAnnouncementThatAnotherHostRepeats() async throws {
        var configuration = PeerNode.Configuration(root: nil)
        configuration.sealKeys = try sealKeys(["k"])
        let node = try PeerNode(configuration, logger: .none)
        let other = TFTPClient.Server(host: "127.1.0.1", port: 9)
        let itself = TFTPClient.Server(host: "127.1.0.2", port: 9)
        await node.take(Self.announcement, other)
        // Its first query ends before the answer that is told here.
        #expect(try await wait { await !node.peers[0].isProbed })
        await node.refuseSeal(peer: 0)
        await node.take(Self.announcement, itself)
        #expect(await node.peers.map(\.server) == [other, itself])
        // Heard again, it changes nothing.
        await node.take(Self.announcement, other)
        #expect(await node.peers[1].announcedID == Self.announcement.node)
        #expect(await node.peers.count == 2)
    }

    /// A peer of the configuration, or of DNS, that announces itself as well is neither forgotten
    /// nor replaced, and keeps its trust.
    @Test func aNamedPeerThatAnnouncesItself() async throws {
        var configuration = PeerNode.Configuration(root: nil)
        let named = TFTPClient.Server(host: "127.1.0.1", port: 9)
        let found = TFTPClient.Server(host: "127.1.0.2", port: 9)
        configuration.peers = [named]
        let node = try PeerNode(configuration, logger: .none)
        await node.add(found, isNamed: true)
        for server in [named, found] { await node.take(Self.announcement(of: server), server) }
        for number in 0..<300 { await node.hear(forged: number) }
        await node.forgetSilent(at: .now + .seconds(60))
        #expect(await node.peers.filter { !$0.isGone }.map(\.server) == [named, found])
        #expect(await node.peers[...1].allSatisfy { $0.isNamed })
        // One that was announced first may be named later.
        let later = TFTPClient.Server(host: "127.1.0.3", port: 9)
        await node.take(Self.announcement(of: later), later)
        await node.add(later, isNamed: true)
        await node.forgetSilent(at: .now + .seconds(60))
        #expect(await node.peers.contains { $0.server == later && !$0.isGone })
    }

    private static func announcement(of server: TFTPClient.Server) -> Announcement {
        Announcement(
            node: NodeID(rawValue: UInt64(server.host.utf8.last ?? 0)), port: server.port,
            seconds: 0)
    }

    /// A peer that is announced is queried at once, so that forged announcements do not take its
    /// place before it can answer.
    @Test func whoIsAnnouncedIsQueriedAtOnce() async throws {
        let node = try PeerNode(.init(root: nil), logger: .none)
        await node.hear(forged: 1)
        #expect(await node.peers[0].probedAt != nil)
        for number in 2..<200 { await node.hear(forged: number) }
        let probed = await node.peers.count { $0.probedAt != nil }
        // As many as may be at once, and some that the time allowed.
        #expect((64..<200).contains(probed))
    }

    /// What a peer has answered stays its answer: its number is not given to another peer.
    @Test func aNumberOfAPeerThatAnswered() async throws {
        let node = try PeerNode(.init(root: nil), logger: .none)
        await node.hear(forged: 1)
        await node.hear(forged: 2)
        await node.noteAnswer(0)
        await node.forgetSilent(at: .now + .seconds(60))
        await node.hear(forged: 3)
        #expect(await node.peers.map(\.server.host) == ["127.0.0.1", "127.0.0.3"])
        #expect(await node.peers[0].isGone)
    }

    @Test func addressesOfAName() async {
        let found = await PeerLookup.servers(of: TFTPClient.Server(host: "localhost", port: 6969))
        #expect(found?.contains(TFTPClient.Server(host: "127.0.0.1", port: 6969)) == true)
        #expect(await PeerLookup.servers(of: TFTPClient.Server(host: "127.0.0.1")) == nil)
    }

    /// A node is announced from the addresses that its server answers at, and from no other.
    @Test(arguments: [
        ([], "10.0.0.1", true), ([":69"], "10.0.0.1", true), ([":69"], "fd69::1", true),
        (["0.0.0.0:69"], "10.0.0.1", true), (["0.0.0.0:69"], "fd69::1", false),
        (["10.0.0.1:69"], "10.0.0.1", true), (["10.0.0.1:69"], "10.0.0.2", false),
        (["10.0.0.1:69", "[fd69::1]:69"], "fd69::1", true),
    ])
    func announcedAddresses(_ listen: [String], _ address: String, isAnnounced: Bool) throws {
        var configuration = PeerNode.Configuration(root: nil)
        configuration.announcedAddresses = try listen.map { try .init($0) }
        let node = try PeerNode(configuration, logger: .none)
        let numeric = try #require(Address(numeric: address))
        #expect(node.isAnswered(at: numeric) == isAnnounced)
    }

    private static let port = UInt16.random(in: 20_000...30_000)

    /// Whether this host passes a multicast datagram to itself at all.
    private static func hasMulticast() async -> Bool {
        guard let socket = AnnouncementSocket(.ipv4, port: port, isLoopback: true),
            socket.say("x") > 0
        else { return false }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await heard in socket.heard where heard.text == "x" { return true }
                return false
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(2))
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    /// Two nodes that know no peers find each other while their keys are being changed; they ignore
    /// a node with another key, or without one; and they notice the end of a node.
    @Test(.enabled("this host has no multicast on loopback") { await hasMulticast() })
    func nodesFindEachOther() async throws {
        let keys = [
            try sealKeys(["old", "new"]), try sealKeys(["new", "old"]), try sealKeys(["other"]),
            nil,
        ]
        let logger = Logger(label: "discovery") { _ in SwiftLogNoOpLogHandler() }
        let folders = try keys.map { _ in try makeFolder() }
        defer { for folder in folders { try? FileManager.default.removeItem(at: folder) } }
        var nodes: [PeerNode] = []
        var servers: [TFTPServer] = []
        for (index, keys) in keys.enumerated() {
            var configuration = PeerNode.Configuration(root: folders[index].path)
            configuration.announcementPort = Self.port
            configuration.announcesWithinHost = true
            configuration.sealKeys = keys
            configuration.patience = .seconds(2)
            let node = try PeerNode(configuration, logger: logger)
            var serving = TFTPServer.Configuration(root: folders[index].path)
            serving.listen = [try TFTPServer.ListenAddress("127.0.0.1:0")]
            serving.shards = 1
            serving.cacheSize = 16 << 20
            serving.handlerOrder = .afterFolder
            serving.sealKeys = keys
            nodes.append(node)
            servers.append(TFTPServer(serving, logger: logger, get: node.answer))
        }
        try await withThrowingTaskGroup { [servers, nodes] group in
            for (server, node) in zip(servers, nodes) {
                group.addTask { try await server.run() }
                let port = try TFTPClient.Server(await server.waitUntilListening()[0]).port
                group.addTask { await node.announce(port: port) }
            }
            // A node without a key accepts all the others, and is the last one to announce itself.
            #expect(try await wait { await nodes[3].peers.count == 3 })
            #expect(try await wait { await nodes[0].peers.count == 1 })
            #expect(try await wait { await nodes[1].peers.count == 1 })
            #expect(await nodes[2].peers.isEmpty)
            servers[0].stop(drain: .zero)
            group.addTask { await nodes[1].keepPulse() }
            #expect(try await wait { await nodes[1].peers[0].isSilent })
            group.cancelAll()
            for server in servers { server.stop(drain: .zero) }
        }
    }
}

extension PeerNode {
    /// A question that was not answered.
    fileprivate func miss(peer: Int) { noteFailure(peer, TFTPClient.Failure.unknownHost("x")) }

    fileprivate func refuseSeal(peer: Int) { noteFailure(peer, TFTPClient.Failure.notSealed) }

    fileprivate func hear(forged number: Int) {
        take(
            Announcement(node: NodeID(rawValue: UInt64(number) + 1), port: 69, seconds: 0),
            // Nothing listens there, and no packet leaves this host.
            TFTPClient.Server(host: "127.0.\(number / 250).\(number % 250)", port: 9))
    }
}
