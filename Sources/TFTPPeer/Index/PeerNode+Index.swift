internal import Foundation
internal import Logging
internal import TFTPFetch
internal import TFTPReactor
internal import TFTPServer
internal import TFTPStore

internal import struct Crypto.SHA256

/// Snapshots that say all that they have: a miss is answered without asking anybody, and content is
/// fetched by its digest.
extension PeerNode {
    /// Indexes that are kept in memory.
    private static let indexesMax = 8

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
            guard let text = try? await PeerNode.text(of: SetIndex.path(of: set), at: source) else {
                continue
            }
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
        try await source.copy(name, version, from: 0, after: nil) { more in
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

    /// The index of a snapshot that is here; nil where it has none, or none that is signed as it
    /// has to be.
    func index(of snapshot: String) async -> SetIndex? {
        if let known = indexes[snapshot] { return known }
        let path = SnapshotLayout.path(SetIndex.name, in: snapshot)
        guard let name = FileName(path), let file = try? await catalogue?.folder.open(name),
            let identity = try? await file.identity(), identity.byteCount <= SetIndex.byteCountMax,
            let bytes = try? await file.read(at: 0, count: Int(identity.byteCount))
        else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let index = SetIndex(text), index.set == snapshot, isTrusted(index: text) else {
            logger.error(
                "the index of snapshot '\(snapshot)' cannot be read, or has no trusted signature"
            )
            return nil
        }
        if indexes.count >= PeerNode.indexesMax { indexes = [:] }
        indexes[snapshot] = index
        return index
    }

    /// The answer to a client where its snapshot says all that it has; nil where it does not.
    func respondByIndex(_ asked: String, in snapshot: String?) async -> TFTPServer.Response? {
        let parts = SnapshotLayout.parts(of: asked)
        guard let snapshot = parts?.snapshot ?? snapshot else { return nil }
        guard let index = await index(of: snapshot) else {
            return configuration.isClosed ? .notFound : nil
        }
        guard let file = index[parts?.name ?? asked] else { return .notFound }
        return await respond(with: file)
    }

    /// What a client gets of a file of an index.
    private func respond(with file: SetIndex.File) async -> TFTPServer.Response {
        let resolution = await find(SetIndex.path(of: file.digest), mayWait: true)
        guard let version = resolution.version, version.size ?? file.size == file.size else {
            return .refused(PeerNode.noSource, code: .notDefined)
        }
        return .stream(size: file.size, key: "sha256\n\(file.digest) \(resolution.number)") {
            writer in
            let gate = DigestGate(file.digest)
            try await self.feed(resolution, version) { bytes in
                for piece in await gate.pass(bytes) { try await writer.write(piece) }
            }
            do {
                try await writer.write(try await gate.end())
            } catch let failure as SourceFailure {
                await self.forget(resolution)
                throw failure
            }
        }
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
