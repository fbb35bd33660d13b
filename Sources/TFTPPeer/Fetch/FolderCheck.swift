internal import TFTPFetch
internal import TFTPReactor
internal import TFTPStore

/// Compares what is read of a node's folder with the manifests of its files, and repairs it from
/// peers and origins.
struct FolderCheck: ContentCheck {
    let node: PeerNode
    let known: KnownContent

    func knows(_ file: FileIdentity) -> Bool {
        // Extents of larger files are parts of chunks, and cannot be verified one by one.
        known[file]?.chunkByteCount == ImageIndex.extentByteCount
    }

    func check(
        _ bytes: [UInt8], at offset: UInt64, of file: FileIdentity
    ) async -> CheckedContent {
        guard let manifest = known[file] else { return .right }
        let index = Int(offset / UInt64(manifest.chunkByteCount))
        guard !manifest.isRight(bytes, at: index) else { return .right }
        return await node.mend(manifest, index, file).map { .mended($0) } ?? .wrong
    }
}

extension PeerNode {
    /// A chunk of the folder's file with its right content; nil if no reachable source has it.
    func mend(_ manifest: Manifest, _ index: Int, _ file: FileIdentity) async -> [UInt8]? {
        statistics.badChunkCount += 1
        await catalogue?.spoil(manifest.name, file)
        // A read waits meanwhile; the limit leaves threads for other reads.
        guard mendCount < PeerNode.mendsMax else { return nil }
        mendCount += 1
        defer { mendCount -= 1 }
        // Not from one that fetches: it may be from here.
        let resolution = await find(manifest.name, mayWait: false)
        guard let version = resolution.version, version.size == manifest.size else { return nil }
        for place in resolution.sources {
            if case .fetcher = place { continue }
            let (source, name) = source(of: place, resolution)
            let chunk = try? await source.part(name, version, manifest.range(ofChunk: index))
            guard let chunk, manifest.isRight(chunk, at: index) else { continue }
            note(UInt64(chunk.count), from: place, isVerified: true)
            return chunk
        }
        return nil
    }
}
