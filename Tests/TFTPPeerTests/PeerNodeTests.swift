import Foundation
import Logging
import Loopback
import Synchronization
import TFTPClient
import TFTPCore
import TFTPMetrics
import TFTPServer
import Testing

@testable import TFTPFetch
@testable import TFTPPeer

@Suite(.serialized, .timeLimit(.minutes(2))) struct PeerNodeTests {
    static let megabytes = content(3_000_000)

    static func origin(_ address: TFTPClient.Server) throws -> PeerNode.Origin {
        try PeerNode.Origin("tftp://\(address)")
    }

    /// The origin sends a file once to a group, however many clients of however many nodes ask at
    /// the same time.
    @Test func aColdFileComesInOnce() async throws {
        try await Group.run(nodes: 4, plain: [nil]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let (origin, nodes) = (group.members[0], Array(group.members[1...]))
            try origin.write("image", Self.megabytes)
            let got = try await group.getAll("image", from: nodes, count: 6)
            #expect(got.count == 24)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            // The file, and what the origin sends before a node that only wants the size stops it,
            // or repeats because the node was slow. Four nodes that fetch it from there would take
            // four times as much and more.
            let sent = origin.server.counter(.bytesSent)
            #expect(sent < UInt64(Self.megabytes.count * 3), "\(sent) bytes from the origin")
            var fetches = 0
            for node in nodes { fetches += await node.node?.statistics.fetchCount ?? 0 }
            #expect(fetches == 4)
        }
    }

    /// Every node can serve what one node's folder has; no origin is needed.
    @Test func whatOneNodeHolds() async throws {
        try await Group.run(nodes: 3) { _, _ in
        } body: { group in
            try group.members[1].write("kernel", Self.megabytes)
            let got = try await group.getAll("kernel", from: group.members, count: 2)
            #expect(got.count == 6)
            #expect(got.allSatisfy { $0 == Self.megabytes })
        }
    }

    /// A peer may be any TFTP server.
    @Test func aPlainServerAsPeer() async throws {
        try await Group.run(nodes: 1, plain: [nil]) { node, addresses in
            node.peers = [addresses[0]]
        } body: { group in
            try group.members[0].write("kernel", Self.megabytes)
            try group.members[0].write("empty", [])
            let got = try await group.getAll("kernel", from: [group.members[1]], count: 3)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            let empty = try await group.getAll("empty", from: [group.members[1]], count: 1)
            #expect(empty == [[]])
        }
    }

    /// A source that breaks off in the middle is left for the next one, and no client notices.
    @Test func aSourceThatBreaksOff() async throws {
        struct Broken: Error {}
        let requestCount = Atomic(0)
        let half = Self.megabytes.count / 2
        let breaking: TFTPServer.GetHandler = { request in
            guard request.name == "image" else { return .notFound }
            // The first time is only a look.
            let number = requestCount.add(1, ordering: .relaxed).newValue
            return .stream(size: UInt64(Self.megabytes.count)) { writer in
                try await writer.write(Self.megabytes[..<half])
                if number == 2 { throw Broken() }
                try await writer.write(Self.megabytes[half...])
            }
        }
        try await Group.run(nodes: 1, plain: [breaking, nil]) { node, addresses in
            node.origins = try addresses[0...1].map { try Self.origin($0) }
        } body: { group in
            try group.members[1].write("image", Self.megabytes)
            let node = group.members[2]
            let got = try await group.getAll("image", from: [node], count: 5)
            #expect(got.count == 5)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            let statistics = await node.node?.statistics
            #expect(statistics?.failoverCount == 1)
            #expect(statistics?.originByteCount == UInt64(Self.megabytes.count))
        }
    }

    /// Of plain servers only the size is known: one continues what another began, since it begins
    /// with the same bytes.
    @Test func aPlainSourceGoesOn() async throws {
        struct Broken: Error {}
        let half = Self.megabytes.count / 2
        let breaking: TFTPServer.GetHandler = { request in
            guard request.name == "image" else { return .notFound }
            return .stream(size: UInt64(Self.megabytes.count)) { writer in
                try await writer.write(Self.megabytes[..<half])
                throw Broken()
            }
        }
        try await Group.run(nodes: 1, plain: [breaking, nil]) { node, addresses in
            node.origins = try addresses[0...1].map { try Self.origin($0) }
        } body: { group in
            try group.members[1].write("image", Self.megabytes)
            let got = try await group.getAll("image", from: [group.members[2]], count: 2)
            #expect(got.allSatisfy { $0 == Self.megabytes })
        }
    }

    /// Bytes beyond the announced size are discarded.
    @Test func aSourceThatSendsMore() async throws {
        let more: TFTPServer.GetHandler = { _ in
            .stream(size: nil) { try await $0.write(Self.megabytes) }
        }
        try await Group.run(nodes: 0, plain: [more]) { _, _ in
        } body: { group in
            let source = TFTPSource(client: try TFTPClient(), server: group.members[0].address)
            var byteCount = 0
            for offset: UInt64 in [0, 100_001] {
                await #expect(throws: SourceFailure.self) {
                    try await source.copy(
                        "image", .plain(size: 100_000), from: offset, by: .version
                    ) {
                        byteCount += $0.count
                    }
                }
            }
            #expect(byteCount <= 100_000)
        }
    }

    /// The node that gets a file from the origin for the others ends in the middle: one of them
    /// continues there, and the others wait for that one.
    @Test func theFetchingNodeEnds() async throws {
        let pieceByteCount = 100_000
        let slow: TFTPServer.GetHandler = { request in
            guard request.name == "image" else { return .notFound }
            return .stream(size: UInt64(Self.megabytes.count)) { writer in
                for start in stride(from: 0, to: Self.megabytes.count, by: pieceByteCount) {
                    let end = min(start + pieceByteCount, Self.megabytes.count)
                    try await writer.write(Self.megabytes[start..<end])
                    // A slow origin, so that there is a middle.
                    try await Task.sleep(for: .milliseconds(30))
                }
            }
        }
        try await Group.run(nodes: 5, plain: [slow]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let nodes = Array(group.members[1...])
            func isHalfway(_ member: Group.Member) async -> Bool {
                let arrival = await member.node?.arrivals.values.first
                return arrival?.upstream == .rooted
                    && arrival.map { $0.progress.byteCount > 1_000_000 } == true
            }
            try await withThrowingTaskGroup(of: (Int, [[UInt8]]?).self) { tasks in
                for (index, node) in nodes.enumerated() {
                    tasks.addTask {
                        (index, try? await group.getAll("image", from: [node], count: 2))
                    }
                }
                var fetching: Int?
                let isFound = try await wait {
                    for (index, node) in nodes.enumerated() where await isHalfway(node) {
                        fetching = index
                    }
                    return fetching != nil
                }
                try #require(isFound)
                let killed = try #require(fetching)
                nodes[killed].server.stop(drain: .zero)
                for try await (index, got) in tasks where index != killed {
                    #expect(got?.allSatisfy { $0 == Self.megabytes } == true)
                }
                var byteCount: UInt64 = 0
                for (index, node) in nodes.enumerated() where index != killed {
                    byteCount += await node.node?.statistics.originByteCount ?? 0
                }
                #expect(
                    byteCount <= UInt64(Self.megabytes.count), "\(byteCount) bytes from the origin")
            }
        }
    }

    /// Sources of which none is complete: the client gets an ERROR instead of waiting for ever, and
    /// gets no wrong byte.
    @Test func noSourceIsWhole() async throws {
        struct Broken: Error {}
        let breaking: TFTPServer.GetHandler = { request in
            .stream(size: 100_000) { writer in
                try await writer.write(Self.megabytes[..<50_000])
                throw Broken()
            }
        }
        try await Group.run(nodes: 1, plain: [breaking]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let client = try TFTPClient()
            await #expect(throws: TFTPClient.Failure.self) {
                try await client.get("image", from: group.members[1].address)
            }
        }
    }

    @Test func aMissingFile() async throws {
        try await Group.run(nodes: 3, plain: [nil]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let client = try TFTPClient()
            for name in ["nothing", ".bootstorm/offer/../x", ".bootstorm/nonsense/x"] {
                await #expect(throws: TFTPClient.Failure.notFound(name: name)) {
                    try await client.get(name, from: group.members[1].address)
                }
            }
        }
    }

    /// One that does not answer costs a file nothing but time, and is not waited for after the
    /// second.
    @Test func aPeerThatIsNotThere() async throws {
        try await Group.run(nodes: 2) { node, addresses in
            node.patience = .milliseconds(300)
            node.peers = [
                addresses[0], TFTPClient.Server(host: "127.66.6.6", port: 6969),
                TFTPClient.Server(host: "nothing.invalid"),
            ]
        } body: { group in
            let node = group.members[1]
            let client = try TFTPClient()
            for name in ["nothing", "nil"] {
                await #expect(throws: TFTPClient.Failure.notFound(name: name)) {
                    try await client.get(name, from: node.address)
                }
            }
            let peers = await node.node?.peers
            #expect(peers?.map(\.isSilent) == [false, true, true])
            try group.members[0].write("one", content(1000))
            let got = try await group.getAll("one", from: [node], count: 1)
            #expect(got == [content(1000)])
        }
    }

    /// A node that hands out other bytes than its manifest says is found out before anybody gets
    /// one of them.
    @Test func aNodeWithWrongBytes() async throws {
        var wrong = Self.megabytes
        wrong[2_500_000] ^= 4
        let manifest = ManifestTests.manifest(Self.megabytes, chunk: 1 << 20, name: "image")
        let offer = Offer(
            node: .random(), state: .holds, version: .plain(size: manifest.size),
            root: manifest.root)
        let lying: TFTPServer.GetHandler = { [wrong] request in
            switch PeerName(request.name) {
            case .query: .text(offer.text)
            case .manifest: .text(manifest.text)
            default: .bytes(wrong)
            }
        }
        try await Group.run(nodes: 1, plain: [lying, nil]) { node, addresses in
            node.peers = [addresses[0]]
            node.origins = [try Self.origin(addresses[1])]
        } body: { group in
            try group.members[1].write("image", Self.megabytes)
            let node = group.members[2]
            let got = try await group.getAll("image", from: [node], count: 5)
            #expect(got.count == 5)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            let statistics = await node.node?.statistics
            #expect(statistics?.badChunkCount == 1)
            #expect(statistics?.peerByteCount == 2 << 20)
            #expect(await node.node?.peers[0].badChunkCount == 1)
            #expect(await node.node?.distrust.peers("image") == [0])
        }
    }

    /// A node whose file is replaced during a transfer is not distrusted, and is queried for the
    /// new one.
    @Test func aFileThatIsReplaced() async throws {
        let new = content(3_000_000, seed: 2)
        let versions = [Self.megabytes, new].map {
            ($0, ManifestTests.manifest($0, chunk: 1 << 20, name: "image"))
        }
        let isReplaced = Atomic(false)
        let id = NodeID.random()
        let holder: TFTPServer.GetHandler = { request in
            guard request.name != NodeState.name else { return .notFound }
            if case nil = PeerName(request.name) { isReplaced.store(true, ordering: .relaxed) }
            let (bytes, manifest) = versions[isReplaced.load(ordering: .relaxed) ? 1 : 0]
            return switch PeerName(request.name) {
            case .query, .search:
                .text(
                    Offer(
                        node: id, state: .holds, version: .plain(size: manifest.size),
                        root: manifest.root
                    ).text)
            case .manifest: .text(manifest.text)
            default: .bytes(bytes)
            }
        }
        try await Group.run(nodes: 1, plain: [holder]) { node, addresses in
            node.peers = [addresses[0]]
        } body: { group in
            let member = group.members[1]
            // What had been announced is not available any more.
            await #expect(throws: TFTPClient.Failure.self) {
                _ = try await group.getAll("image", from: [member], count: 1)
            }
            #expect(await member.node?.distrust.peers("image") == [])
            let isNew = try await wait {
                (try? await group.getAll("image", from: [member], count: 1)) == [new]
            }
            #expect(isNew)
        }
    }

    /// A node that is too busy to say whether it has a file is not one that has it not.
    @Test func aPeerThatIsBusy() async throws {
        let busy: TFTPServer.GetHandler = { _ in
            .refused("Server busy, try again", code: .notDefined)
        }
        try await Group.run(nodes: 1, plain: [busy]) { node, addresses in
            node.peers = [addresses[0]]
        } body: { group in
            let client = try TFTPClient()
            await #expect(throws: TFTPClient.Failure.refused(code: 0, message: PeerNode.noSource)) {
                try await client.get("image", from: group.members[1].address)
            }
        }
    }

    /// With trusted keys, files come only from peers whose manifests one of the keys has signed.
    @Test(arguments: [true, false])
    func signedFilesOnly(isSigned: Bool) async throws {
        let key = PeerNode.SigningKey()
        try await Group.run(nodes: 2) { node, _ in
            node.trustedKeys = [key.trusted]
            node.signingKey = isSigned ? key : nil
        } body: { group in
            try group.members[0].write("image", Self.megabytes)
            guard !isSigned else {
                let got = try await group.getAll("image", from: [group.members[1]], count: 2)
                #expect(got.allSatisfy { $0 == Self.megabytes })
                let statistics = await group.members[1].node?.statistics
                #expect(statistics?.unverifiedByteCount == 0)
                return
            }
            let client = try TFTPClient()
            await #expect(throws: TFTPClient.Failure.self) {
                try await client.get("image", from: group.members[1].address)
            }
        }
    }

    /// An old version, signed once and said to be the newest, is not taken for it.
    @Test func anOldVersionWithAnotherTime() async throws {
        let key = PeerNode.SigningKey()
        let manifest = ManifestTests.manifest(Self.megabytes, chunk: 1 << 20, name: "image")
        let signed = try Signature.sign(manifest.text, with: key)
        var offer = Offer(
            node: .random(), state: .holds, version: .plain(size: manifest.size),
            root: manifest.root)
        offer.modifiedSeconds = 9_999_999_999
        let hostile: TFTPServer.GetHandler = { [offer] request in
            switch PeerName(request.name) {
            case .query: .text(offer.text)
            case .manifest: .text(signed)
            default: .bytes(Self.megabytes)
            }
        }
        try await Group.run(nodes: 2, plain: [hostile]) { node, addresses in
            node.peers = addresses
            node.grace = .seconds(2)
            node.signingKey = key
            node.trustedKeys = [key.trusted]
        } body: { group in
            let new = content(1_500_000, seed: 2)
            try group.members[1].write("image", new)
            _ = await group.members[1].node?.catalogue?.entry(of: "image")
            let got = try await group.getAll("image", from: [group.members[2]], count: 1)
            #expect(got == [new])
        }
    }

    /// A known root with another size does not cut a file short.
    @Test func aKnownRootWithAnotherSize() async throws {
        let manifest = ManifestTests.manifest(Self.megabytes, chunk: 1 << 20, name: "image")
        let isHostile = Atomic(false)
        let node = NodeID.random()
        let handler: TFTPServer.GetHandler = { request in
            let size = isHostile.load(ordering: .relaxed) ? 1 << 20 : Self.megabytes.count
            return switch PeerName(request.name) {
            case .query:
                .text(
                    Offer(
                        node: node, state: .holds, version: .plain(size: UInt64(size)),
                        root: manifest.root
                    ).text)
            case .manifest: .text(manifest.text)
            default: .bytes(Self.megabytes[..<size])
            }
        }
        try await Group.run(nodes: 1, plain: [handler]) { node, addresses in
            node.peers = addresses
            node.memory = .milliseconds(1)
        } body: { group in
            let member = group.members[1]
            let got = try await group.getAll("image", from: [member], count: 1)
            #expect(got == [Self.megabytes])
            #expect(try await wait { await member.node?.arrivals.isEmpty == true })
            isHostile.store(true, ordering: .relaxed)
            await #expect(throws: TFTPClient.Failure.self) {
                _ = try await group.getAll("image", from: [member], count: 1)
            }
        }
    }

    /// One signed copy among unsigned ones is enough, however many those are.
    @Test func oneIsSigned() async throws {
        let key = PeerNode.SigningKey()
        let manifest = ManifestTests.manifest(Self.megabytes, chunk: 1 << 20, name: "image")
        let signed = try Signature.sign(manifest.text, with: key)
        let handlers = (0..<5).map { index -> TFTPServer.GetHandler in
            let id = NodeID.random()
            return { request in
                switch PeerName(request.name) {
                case .query:
                    .text(
                        Offer(
                            node: id, state: .holds, version: .plain(size: manifest.size),
                            root: manifest.root
                        ).text)
                case .manifest: .text(index == 4 ? signed : manifest.text)
                default: .bytes(Self.megabytes)
                }
            }
        }
        try await Group.run(nodes: 1, plain: handlers) { node, addresses in
            node.peers = addresses
            node.grace = .seconds(2)
            node.trustedKeys = [key.trusted]
        } body: { group in
            let got = try await group.getAll("image", from: [group.members[5]], count: 1)
            #expect(got == [Self.megabytes])
        }
    }

    /// What comes from a node is verified, also through a node between, and the manifest goes the
    /// same way.
    @Test func whatIsFetchedIsVerified() async throws {
        try await Group.run(nodes: 4) { node, addresses in
            // The first is the origin of the others, which know each other.
            node.peers = Array(addresses[1...])
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            try group.members[0].write("image", Self.megabytes)
            let nodes = Array(group.members[1...])
            let got = try await group.getAll("image", from: nodes, count: 3)
            #expect(got.count == 9)
            #expect(got.allSatisfy { $0 == Self.megabytes })
            var fromOrigin: UInt64 = 0
            for node in nodes {
                let statistics = await node.node?.statistics
                #expect(statistics?.unverifiedByteCount == 0)
                fromOrigin += statistics?.originByteCount ?? 0
            }
            #expect(fromOrigin == UInt64(Self.megabytes.count))
        }
    }

    /// A disk that has corrupted a file: clients of that node get the right content, chunk by chunk
    /// from the nodes that have it, or nothing.
    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: memoryPath), "no /dev/shm here"),
        arguments: [true, false])
    func aDiskThatRots(hasOrigin: Bool) async throws {
        try await Group.run(nodes: 2, plain: [nil], inMemory: true) { node, addresses in
            node.origins = hasOrigin ? [try Self.origin(addresses[0])] : []
        } body: { group in
            let (holder, other) = (group.members[1], group.members[2])
            try group.members[0].write("image", Self.megabytes)
            try holder.write("image", Self.megabytes)
            _ = await holder.node?.catalogue?.entry(of: "image")
            for offset in [1_500_000, 2_999_999] { try holder.rot("image", at: offset) }
            guard hasOrigin else {
                await #expect(throws: TFTPClient.Failure.self) {
                    _ = try await group.getAll("image", from: [holder], count: 1)
                }
                return
            }
            for node in [holder, other] {
                let got = try await group.getAll("image", from: [node], count: 3)
                #expect(got.allSatisfy { $0 == Self.megabytes })
            }
            #expect(await holder.node?.statistics.badChunkCount == 2)
            guard case .spoiled = await holder.node?.catalogue?.status(of: "image") else {
                Issue.record("the file is still offered")
                return
            }
        }
    }

    /// A file that grows while a client gets it is sent as long as it was at the request, and is
    /// not reported as corrupt.
    @Test func aFileThatGrows() async throws {
        try await Group.run(nodes: 1, plain: [nil]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let holder = group.members[1]
            let old = Array(Self.megabytes.prefix(1_500_000))
            try group.members[0].write("image", Self.megabytes)
            try holder.write("image", old)
            let client = try LoopbackSocket()
            let host = try #require(Address(numeric: holder.address.host))
            let listener = Endpoint(address: host, port: holder.address.port)
            let request = Array("\0\u{1}image\0octet\0blksize\032768\0".utf8)
            #expect(client.send(request, to: listener))
            let tid = try client.receive().source
            // Its second MiB has not been read yet.
            let file = try FileHandle(
                forWritingTo: holder.folder.appending(path: "image"))
            try file.write(contentsOf: Data(Self.megabytes))
            try file.close()
            #expect(await holder.node?.catalogue?.entry(of: "image")?.manifest.size == 3_000_000)
            var content: [UInt8] = []
            while content.count < old.count {
                let next = content.count / 32768 + 1
                client.send([0, 4, 0, UInt8(next - 1)], to: tid)
                var answer: [UInt8] = []
                repeat {
                    answer = try client.receive().bytes
                    try #require(!answer.starts(with: [0, 5]))
                } while !answer.starts(with: [0, 3, 0, UInt8(next)])
                content += answer.dropFirst(4)
            }
            #expect(content == old)
            #expect(await holder.node?.statistics.badChunkCount == 0)
            let got = try await group.getAll("image", from: [holder], count: 1)
            #expect(got == [Self.megabytes])
        }
    }

    /// The size that a peer announces is not trusted for an allocation.
    @Test(arguments: [1 << 43, 1 << 63, .max] as [UInt64])
    func anImpossibleSize(size: UInt64) async throws {
        let lying: TFTPServer.GetHandler = { request in
            guard case .query = PeerName(request.name) else { return .notFound }
            return .text(
                Offer(node: .random(), state: .holds, version: .plain(size: size)).text)
        }
        let keys = try sealKeys(["k"])
        try await Group.run(nodes: 1, plain: [lying]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
            node.sealKeys = keys
        } body: { group in
            let node = group.members[1]
            for keys in [nil, keys] {
                await #expect(throws: TFTPClient.Failure.self) {
                    try await group.getAll("image", from: [node], count: 1, sealKeys: keys)
                }
            }
            try node.write("kernel", [1])
            #expect(try await group.getAll("kernel", from: [node], count: 1) == [[1]])
        }
    }

    /// Made-up names do not prevent a join of a running fetch.
    @Test func manyMissingNames() async throws {
        try await Group.run(nodes: 1, plain: [nil]) { node, addresses in
            node.origins = [try Self.origin(addresses[0])]
        } body: { group in
            let (origin, member) = (group.members[0], group.members[1])
            try origin.write("image", Self.megabytes)
            let node = try #require(member.node)
            await node.fillFindings()
            for _ in 0..<3 {
                let got = try await group.getAll("image", from: [member], count: 1)
                #expect(got == [Self.megabytes])
            }
            #expect(await node.statistics.fetchCount == 1)
        }
    }

    /// A name that does not fit into a query is missing; a boot loader goes on to the next.
    @Test func aNameTooLongToAskFor() async throws {
        let name = String(repeating: "n", count: 370)
        try await Group.run(nodes: 2) { _, _ in
        } body: { group in
            await #expect(throws: TFTPClient.Failure.notFound(name: name)) {
                try await group.getAll(name, from: [group.members[0]], count: 1)
            }
        }
    }

    /// A file that several have comes from several, whichever breaks off.
    @Test(arguments: [false, true])
    func aFileInParts(oneLies: Bool) async throws {
        // Quick to make, and no two chunks are alike.
        let some = content(1 << 20)
        let bytes = (0..<20).flatMap { some[($0 * 1000)...] + some[..<($0 * 1000)] }
        let zeros = [UInt8](repeating: 0, count: bytes.count)
        let manifest = ManifestTests.manifest(bytes, chunk: 1 << 20, name: "image")
        let lying: TFTPServer.GetHandler = { request in
            switch PeerName(request.name) {
            case .query:
                .text(
                    Offer(
                        node: .random(), state: .holds, version: .plain(size: manifest.size),
                        root: manifest.root
                    ).text)
            case .manifest: .text(manifest.text)
            default: .bytes(zeros, key: "zeros")
            }
        }
        try await Group.run(nodes: 4, plain: oneLies ? [lying] : []) { node, addresses in
            node.peers = addresses
            node.grace = .seconds(2)
        } body: { group in
            let nodes = group.members.filter { $0.node != nil }
            for node in nodes.dropLast() { try node.write("image", bytes) }
            let got = try await group.getAll("image", from: [nodes[3]], count: 3)
            #expect(got.allSatisfy { $0 == bytes })
            let node = try #require(nodes[3].node)
            let honest = await node.peers.filter { $0.badChunkCount == 0 && $0.byteCount > 0 }
            #expect(honest.count >= 2)
            let statistics = await node.statistics
            // Whether the liar is asked before the others have brought all of it is a race.
            #expect(statistics.badChunkCount <= (oneLies ? 1 : 0))
            #expect(statistics.unverifiedByteCount == 0)
            // Not much is got twice.
            #expect(statistics.peerByteCount < UInt64(bytes.count * 3 / 2))
        }
    }

    /// A program that is not a node learns the other nodes from one of them, and gets the file from
    /// all nodes that have it.
    @Test func forOneself() async throws {
        try await Group.run(nodes: 3) { _, _ in
        } body: { group in
            for member in group.members[1...] { try member.write("image", Self.megabytes) }
            var configuration = PeerNode.Configuration(root: nil)
            configuration.peers = [group.members[0].address]
            configuration.patience = .seconds(2)
            let logger = Logger(label: "get") { _ in SwiftLogNoOpLogHandler() }
            let node = try PeerNode(configuration, logger: logger)
            await node.learnPeers()
            #expect(await node.peers.count == 3)
            let got = Mutex<[UInt8]>([])
            let fetched = try await node.get("image") { bytes in got.withLock { $0 += bytes } }
            #expect(got.withLock { $0 } == Self.megabytes)
            #expect(fetched.isVerified)
            #expect(fetched.byteCount == UInt64(Self.megabytes.count))
            #expect((1...2).contains(fetched.sourceCount))
            await #expect(throws: PeerNode.GetFailure.notFound(name: "nothing")) {
                _ = try await node.get("nothing") { _ in }
            }
            configuration.peers = [
                .init(host: "127.0.0.1", port: try LoopbackSocket().endpoint.port)
            ]
            let alone = try PeerNode(configuration, logger: logger)
            await alone.learnPeers()
            await #expect(throws: PeerNode.GetFailure.unreachable(name: "image")) {
                _ = try await alone.get("image") { _ in }
            }
        }
    }

    /// What `bootstorm ls` and `bootstorm peers` are told.
    @Test func whatANodeTells() async throws {
        let key = PeerNode.SigningKey()
        try await Group.run(nodes: 2) { node, _ in
            node.signingKey = key
        } body: { group in
            try group.members[0].write("image", Self.megabytes)
            _ = try await group.getAll("image", from: [group.members[1]], count: 1)
            let client = try TFTPClient()
            func text(_ name: String, _ member: Group.Member) async throws -> String {
                let download = try await client.get(name, from: member.address)
                return String(decoding: download.bytes, as: UTF8.self)
            }
            let listed = try await text(Listing.name, group.members[0])
            let file = try #require(Listing(listed)?.files.first)
            #expect(file.name == "image" && file.size == UInt64(Self.megabytes.count))
            #expect(Listing.isSigned(listed, by: [key.trusted]))
            let report = try #require(PeerReport(await text(PeerReport.name, group.members[1])))
            #expect(PeerReport(report.text) == report)
            #expect(report.numbers.first { $0.name == "peer-bytes" }?.value == file.size)
            #expect(
                report.numbers.first { $0.name == "client-bytes" }?.value == file.size)
            #expect(report.peers.map(\.state) == ["node"])
            #expect(report.peers.map(\.byteCount) == [file.size])
        }
    }

    /// Junk at the end of a name costs a file of a peer nothing, as it costs none of the folder's.
    @Test func junkAtTheEndOfAName() async throws {
        try await Group.run(nodes: 2) { _, _ in
        } body: { group in
            try group.members[0].write("kernel", content(1000))
            let got = try await group.getAll("kernel\u{7f}", from: [group.members[1]], count: 1)
            #expect(got == [content(1000)])
            // What is left of a name has to be one of a file as well.
            await #expect(throws: TFTPClient.Failure.self) {
                _ = try await group.getAll("..\u{7f}", from: [group.members[1]], count: 1)
            }
            #expect(await group.members[1].node?.findings[".."] == nil)
        }
    }

    /// An origin that cannot be reached does not make a file missing: boot loaders would take
    /// another one.
    @Test func anOriginThatIsNotThere() async throws {
        try await Group.run(nodes: 2) { node, addresses in
            node.origins = [try PeerNode.Origin("tftp://127.66.6.6:6969/")]
        } body: { group in
            let client = try TFTPClient()
            await #expect(
                throws: TFTPClient.Failure.refused(
                    code: 0, message: PeerNode.noSource)
            ) {
                try await client.get("kernel", from: group.members[0].address)
            }
            try group.members[1].write("kernel", content(1000))
            let got = try await group.getAll("kernel", from: [group.members[0]], count: 1)
            #expect(got == [content(1000)])
        }
    }

    /// A node without an origin does not speak for those that have one, nor does its word keep
    /// others from them.
    @Test func nodesOfDifferentOrigins() async throws {
        var nodeCount = 0
        try await Group.run(nodes: 2, plain: [nil]) { node, addresses in
            nodeCount += 1
            node.origins = nodeCount == 1 ? [] : [try Self.origin(addresses[0])]
        } body: { group in
            // Each of the two is meant to look for half of the names.
            for index in 0..<8 {
                try group.members[0].write("image-\(index)", content(1000))
                let nodes = Array(group.members[1...])
                for node in index.isMultiple(of: 2) ? nodes : nodes.reversed() {
                    let got = try await group.getAll("image-\(index)", from: [node], count: 1)
                    #expect(got == [content(1000)])
                }
            }
        }
    }

    @Test(arguments: ["ftp://x", "tftp://", "tftp:///x", "http://", "x", ""])
    func noOrigin(_ text: String) {
        #expect(throws: PeerNode.InvalidOrigin.self) { try PeerNode.Origin(text) }
    }
}

extension PeerNode {
    /// As after requests for this number of missing names.
    fileprivate func fillFindings() {
        for number in 0..<PeerNode.findingsMax {
            findings["\(number)"] = Resolution(name: "\(number)")
        }
    }
}
