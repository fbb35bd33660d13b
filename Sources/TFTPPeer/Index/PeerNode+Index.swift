internal import FoundationEssentials
internal import Logging
internal import SystemPackage
internal import TFTPFetch
internal import TFTPReactor
internal import TFTPServer
internal import TFTPStore

internal import struct Crypto.SHA256

/// Snapshots that say all that they have: a miss is answered without asking anybody, and content is
/// fetched by its digest.
extension PeerNode {
    /// Indexes that are kept in memory.
    fileprivate static let indexesMax = 8
    /// How long an origin may take to send an index.
    private static let bringDuration = Duration.seconds(120)
    /// How many sources of a file of an index are tried for one request.
    private static let indexSearchesMax = 3

    /// Brings the index of a snapshot here, from the first origin that has it; its files come when
    /// they are asked for.
    ///
    /// - Throws: `IndexFailure` where no origin has one that is signed as it has to be.
    public func bring(_ set: String) async throws {
        guard let root = configuration.root, SnapshotLayout.isName(set) else {
            throw IndexFailure.notFound(set: set)
        }
        var failure = IndexFailure.notFound(set: set)
        for case .http(let source) in origins {
            let path = SetIndex.path(of: set)
            let text = await within(PeerNode.bringDuration) {
                try? await PeerNode.text(of: path, at: source)
            }
            guard let text else { continue }
            guard SetIndex(text)?.set == set else {
                failure = .invalid(set: set)
                continue
            }
            guard isTrusted(index: text) else {
                failure = .unsigned(set: set)
                continue
            }
            return try PeerNode.write(text, of: set, below: root)
        }
        throw failure
    }

    private static func text(of name: String, at source: HTTPSource) async throws -> String {
        guard let version = try await source.look(name), version.size ?? 0 <= SetIndex.byteCountMax
        else { throw SourceFailure.status(404) }
        var bytes: [UInt8] = []
        try await source.copy(name, version, from: 0, by: .version) { more in
            bytes += more
            guard bytes.count <= SetIndex.byteCountMax else {
                throw SourceFailure.tooLarge(UInt64(bytes.count))
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func isTrusted(index text: String) -> Bool {
        configuration.trustedKeys.isEmpty || Signature.isSigned(text, by: configuration.trustedKeys)
    }

    /// Makes a snapshot of the index alone, all at once.
    private static func write(_ text: String, of set: String, below root: String) throws {
        let sets = URL(filePath: root).appending(path: SnapshotLayout.sets)
        let target = sets.appending(path: set)
        let hidden = sets.appending(
            path: "\(SnapshotLayout.Hidden.publishing.rawValue)\(UInt64.random(in: 0...UInt64.max))"
        )
        try FileManager.default.createDirectory(at: hidden, withIntermediateDirectories: true)
        do {
            try Data(text.utf8).write(to: hidden.appending(path: SetIndex.name))
            try FileManager.default.moveItem(at: hidden, to: target)
        } catch {
            try? FileManager.default.removeItem(at: hidden)
            throw error
        }
    }

    /// What the index of a snapshot that is here says. However many requests want to know, it is
    /// read once, and one that is unusable is not read again while it is the same file.
    func index(of snapshot: String) async -> IndexMemory.Word {
        if let known = indexes.known[snapshot] { return .index(known) }
        let reading =
            indexes.readings[snapshot]
            ?? Task {
                let word = await self.readIndex(of: snapshot)
                indexes.readings[snapshot] = nil
                return word
            }
        indexes.readings[snapshot] = reading
        return await reading.value
    }

    private func readIndex(of snapshot: String) async -> IndexMemory.Word {
        guard let name = FileName(SnapshotLayout.path(SetIndex.name, in: snapshot)),
            let folder = catalogue?.folder
        else { return .none }
        do {
            let file = try await folder.open(name)
            let identity = try await file.identity()
            if indexes.unusable[snapshot] == identity { return .unusable }
            var text: String?
            if identity.byteCount <= SetIndex.byteCountMax {
                let bytes = try await file.read(at: 0, count: Int(identity.byteCount))
                text = String(decoding: bytes, as: UTF8.self)
            }
            guard let text, let index = SetIndex(text), index.set == snapshot,
                isTrusted(index: text)
            else {
                logger.error(
                    "the index of snapshot '\(snapshot)' cannot be read, or has no trusted signature"
                )
                indexes.keep(unusable: identity, of: snapshot)
                return .unusable
            }
            indexes.keep(index, of: snapshot)
            return .index(index)
        } catch Errno.noSuchFileOrDirectory {
            return .none
        } catch {
            logger.error("the index of snapshot '\(snapshot)' cannot be read: \(error)")
            return .unreadable
        }
    }

    /// The answer to a client where its snapshot says all that it has; nil where it does not.
    func respondByIndex(_ asked: String, in snapshot: String?) async -> TFTPServer.Response? {
        let parts = SnapshotLayout.parts(of: asked)
        guard let snapshot = parts?.snapshot ?? snapshot else { return nil }
        let name = parts?.name ?? asked
        switch await index(of: snapshot) {
        case .index(let index):
            // Some firmwares leave junk at the end of a name.
            guard let file = index[name] ?? FileName.stripped(name).flatMap({ index[$0] }) else {
                return .notFound
            }
            return await respond(with: file)
        case .none: return configuration.isClosed ? .notFound : nil
        // What the snapshot has is not known.
        case .unreadable: return .refused(PeerNode.noSource, code: .notDefined)
        case .unusable:
            return configuration.isClosed
                ? .refused(PeerNode.noSource, code: .notDefined) : nil
        }
    }

    /// What a client gets of a file of an index.
    private func respond(with file: SetIndex.File) async -> TFTPServer.Response {
        let name = SetIndex.path(of: file.digest)
        for _ in 0..<PeerNode.indexSearchesMax {
            let resolution = await find(name, mayWait: true)
            guard let version = resolution.version else { break }
            guard version.size ?? file.size == file.size, version.isServable else {
                blame(resolution)
                continue
            }
            return stream(file, resolution, version)
        }
        return .refused(PeerNode.noSource, code: .notDefined)
    }

    private func stream(
        _ file: SetIndex.File, _ resolution: Resolution, _ version: FileVersion
    ) -> TFTPServer.Response {
        .stream(size: file.size, key: "sha256\n\(file.digest) \(resolution.number)") { writer in
            let gate = DigestGate(file.digest)
            try await self.feed(resolution, version) { bytes in
                for piece in await gate.pass(bytes) { try await writer.write(piece) }
            }
            do {
                try await writer.write(try await gate.end())
            } catch let failure as SourceFailure {
                await self.blame(resolution)
                throw failure
            }
        }
    }

    /// What came of these sources is not what an index says: others come before them for a while,
    /// and the next request looks for them.
    private func blame(_ resolution: Resolution) {
        let end = ContinuousClock.now + configuration.memory
        // Sources of one manifest have the same content. Otherwise the first was asked first.
        let places =
            resolution.manifest == nil ? Array(resolution.sources.prefix(1)) : resolution.sources
        for place in places {
            if let peer = place.peer { distrust.add(peer, resolution.name, until: end) }
            if let origin = origins.indices.first(where: { originPlace($0) == place }) {
                originDistrust.add(origin, resolution.name, until: end)
            }
        }
        let sources = places.map { source(of: $0, resolution).0.text }.joined(separator: ", ")
        logger.error("\"\(resolution.name)\" at \(sources) is not what its index says")
        judged[resolution.name] = nil
        forget(resolution)
    }
}

/// What is known of the indexes of snapshots.
struct IndexMemory: Sendable {
    /// What is said of an index.
    enum Word: Sendable {
        case index(SetIndex)
        /// There is none.
        case none
        /// It is none, or has no trusted signature.
        case unusable
        /// The disk does not say.
        case unreadable
    }

    fileprivate(set) var known: [String: SetIndex] = [:]
    fileprivate var unusable: [String: FileIdentity] = [:]
    fileprivate var readings: [String: Task<Word, Never>] = [:]

    fileprivate mutating func keep(_ index: SetIndex, of snapshot: String) {
        if known.count >= PeerNode.indexesMax { known = [:] }
        known[snapshot] = index
        unusable[snapshot] = nil
    }

    fileprivate mutating func keep(unusable identity: FileIdentity, of snapshot: String) {
        if unusable.count >= PeerNode.indexesMax { unusable = [:] }
        unusable[snapshot] = identity
    }
}

/// What `body` returns; nil where it takes longer, and is cancelled then.
private func within<Value: Sendable>(
    _ duration: Duration, _ body: @escaping @Sendable () async -> Value?
) async -> Value? {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        return await group.next() ?? nil
    }
}

/// Passes bytes on but holds back the last of them until the digest of all of them is verified. So
/// a client never gets a complete file with wrong content.
actor DigestGate {
    private let digest: Digest
    private var hash = SHA256()
    private var held: [UInt8] = []

    private static let heldByteCount = 64 << 10

    init(_ digest: Digest) { self.digest = digest }

    func pass(_ bytes: [UInt8]) -> [[UInt8]] {
        hash.update(data: bytes)
        held += bytes
        guard held.count > DigestGate.heldByteCount else { return [] }
        let count = held.count - DigestGate.heldByteCount
        let piece = Array(held[..<count])
        held.removeFirst(count)
        return [piece]
    }

    /// What was held back.
    ///
    /// - Throws: `SourceFailure.wrongDigest`.
    func end() throws -> [UInt8] {
        guard Array(hash.finalize()) == digest.bytes else { throw SourceFailure.wrongDigest }
        return held
    }
}

extension PeerNode {
    /// Why a snapshot is not brought here.
    public enum IndexFailure: Error, Hashable, CustomStringConvertible {
        case notFound(set: String)
        case invalid(set: String)
        case unsigned(set: String)

        /// One line.
        public var description: String {
            switch self {
            case .notFound(let set): "no web origin has an index of '\(set)'"
            case .invalid(let set): "the index of '\(set)' cannot be read"
            case .unsigned(let set): "no trusted signature on the index of '\(set)'"
            }
        }
    }
}
