internal import Logging
internal import SystemPackage
internal import TFTPCore
internal import TFTPFetch
internal import TFTPReactor
internal import TFTPStore

/// What is in a node's folder: of each file what it is made of, as far as that has been looked at.
///
/// Files are read in the background, one after the other and half of the time; one that is asked
/// for is read at once.
actor Catalogue {
    /// A file that has been read.
    struct Entry: Sendable {
        let identity: FileIdentity
        let manifest: Manifest
        /// The manifest as sent.
        let text: String
    }

    /// What a name stands for now.
    enum Status: Sendable {
        case file(FileIdentity, Entry?)
        /// Its content has changed without a write: the disk has corrupted it.
        case spoiled
        case absent
    }

    nonisolated let folder: Folder
    /// Of `entries`, and of what was in them before it spoiled.
    nonisolated let known = KnownContent()
    /// Of all files of the folder, whether they have been read or not.
    nonisolated let names = FolderNames()
    private let key: PeerNode.SigningKey?
    private let logger: Logger
    private var entries: [String: Entry] = [:] { didSet { revision += 1 } }
    /// Counts the changes of `entries`.
    private var revision = 0
    /// The listing of a revision, as sent.
    private var listed: (prefix: String, revision: Int, text: String)?
    private var readers: [String: Task<Entry?, Never>] = [:]
    private var spoiled: [String: FileIdentity] = [:]

    private let entriesMax: Int
    /// The log has the line already.
    private var isFullNoted = false

    static let entriesMax = 100_000
    /// How many files are read at once because a peer has requested their manifests.
    static let readersMax = 64

    init(
        _ folder: Folder, key: PeerNode.SigningKey?, entriesMax: Int = Catalogue.entriesMax,
        logger: Logger
    ) {
        self.folder = folder
        self.entriesMax = entriesMax
        self.key = key
        self.logger = logger
    }

    /// What is known of `name`; waits for the file system, but for no content.
    func status(of name: String) async -> Status {
        guard let file = FileName(name), let identity = try? await folder.identity(of: file) else {
            forget(name)
            return .absent
        }
        if spoiled[name] == identity { return .spoiled }
        if let entry = entries[name], entry.identity == identity { return .file(identity, entry) }
        return .file(identity, nil)
    }

    /// Reads `name`, unless that has been done, or too many others are being read.
    func entry(of name: String) async -> Entry? {
        switch await status(of: name) {
        case .absent, .spoiled: return nil
        case .file(_, let entry?): return entry
        case .file: break
        }
        // Anybody may ask, and go away again.
        guard readers.count < Catalogue.readersMax || readers[name] != nil else { return nil }
        let reader =
            readers[name]
            ?? Task {
                defer { readers[name] = nil }
                return await read(name, pauses: false)
            }
        readers[name] = reader
        return await reader.value
    }

    /// What has been read so far, by name.
    var all: [Entry] { entries.values.sorted { $0.manifest.name < $1.manifest.name } }

    /// How many files have been read so far.
    var count: Int { entries.count }

    /// The listing of what has been read so far, signed if the node has a key. It is made once per
    /// revision.
    ///
    /// - Parameter prefix: what names have to begin with, and what they are listed without.
    func listing(beneath prefix: String) throws -> (revision: Int, text: String) {
        if let listed, listed.prefix == prefix, listed.revision == revision {
            return (revision, listed.text)
        }
        let files = all.map(\.manifest).filter { $0.name.hasPrefix(prefix) }.map {
            Listing.File(
                name: String($0.name.dropFirst(prefix.count)), size: $0.size,
                modifiedSeconds: $0.modifiedSeconds, root: "\($0.root)")
        }
        let text = Listing(files: files).text
        let signed = try key.map { try Signature.sign(text, with: $0) } ?? text
        listed = (prefix, revision, signed)
        return (revision, signed)
    }

    private func forget(_ name: String) {
        guard entries[name] != nil || spoiled[name] != nil else { return }
        for identity in [entries[name]?.identity, spoiled[name]].compactMap({ $0 }) {
            known[identity] = nil
        }
        entries[name] = nil
        spoiled[name] = nil
    }

    /// What is read of a file is not what it was. The manifest stays known, for that is what it has
    /// to be.
    func spoil(_ name: String, _ identity: FileIdentity) {
        guard spoiled[name] != identity else { return }
        spoiled[name] = identity
        entries[name] = nil
        logger.error(
            "\(PrintableName.quoted(name)) has changed without a write: the corrupt parts are fetched from peers and origins. Check the disk, and replace the file."
        )
    }

    // MARK: Reading

    /// Reads what there is, and then what changes, until the task is cancelled.
    func keepUp(with watch: FolderWatch) async {
        for await _ in watch.news {
            for change in watch.take() {
                for name in await names(of: change, watch) {
                    guard !Task.isCancelled else { return }
                    await keepUp(with: name)
                }
            }
        }
    }

    private func keepUp(with name: String) async {
        guard case .file(_, nil) = await status(of: name), readers[name] == nil else { return }
        guard entries.count < entriesMax || entries[name] != nil else { return noteFull() }
        isFullNoted = false
        _ = await read(name, pauses: true)
    }

    private func noteFull() {
        guard !isFullNoted else { return }
        isFullNoted = true
        logger.warning(
            "the catalogue is full: of more than \(entriesMax) files the rest is read only when it is asked for"
        )
    }

    private func names(of change: FolderWatch.Change, _ watch: FolderWatch) async -> [String] {
        switch change {
        case .file(let name): return [name]
        case .directory(let name): return await watch.files(beneath: name)
        case .everything:
            for name in entries.keys { _ = await status(of: name) }
            return await watch.files(beneath: nil)
        }
    }

    private func read(_ name: String, pauses: Bool) async -> Entry? {
        do {
            // A name that peers cannot request, or that would be more than one line of a listing.
            guard PeerName.isFile(name), let file = FileName(name) else { return nil }
            let (identity, manifest) = try await Catalogue.read(
                file, name, in: folder, pauses: pauses)
            return try keep(identity, manifest)
        } catch {
            logger.debug("\(PrintableName.quoted(name)) is not in the catalogue: \(error)")
            return nil
        }
    }

    private func keep(_ identity: FileIdentity, _ manifest: Manifest) throws -> Entry {
        forget(manifest.name)
        let text = try key.map { try Signature.sign(manifest.text, with: $0) } ?? manifest.text
        let entry = Entry(identity: identity, manifest: manifest, text: text)
        entries[manifest.name] = entry
        known[identity] = manifest
        return entry
    }

    /// - Throws: `Errno.resourceBusy` when it is written to meanwhile.
    private static func read(
        _ file: FileName, _ name: String, in folder: Folder, pauses: Bool
    ) async throws -> (FileIdentity, Manifest) {
        let open = try await folder.open(file)
        let identity = try await open.identity()
        let chunkByteCount = Manifest.chunkByteCount(forFileOf: identity.byteCount)
        var digests: [Digest] = []
        var offset: UInt64 = 0
        let clock = ContinuousClock()
        while offset < identity.byteCount {
            let started = clock.now
            let chunk = try await open.read(at: offset, count: chunkByteCount)
            guard !chunk.isEmpty else { throw Errno.resourceBusy }
            digests.append(Digest(of: chunk))
            offset += UInt64(chunk.count)
            if pauses { try await Task.sleep(for: clock.now - started) }
        }
        guard offset == identity.byteCount, try await open.identity() == identity else {
            throw Errno.resourceBusy
        }
        let manifest = Manifest(
            name: name, size: identity.byteCount,
            modifiedSeconds: Int(identity.modifiedNanoseconds / 1_000_000_000),
            chunkByteCount: chunkByteCount, digests: digests)
        return (identity, manifest)
    }
}

extension FileName {
    /// nil if the text is not a valid file name.
    init?(_ name: String) {
        let bytes = Array(name.utf8)
        guard let file = try? unsafe FileName(normalising: bytes.span.bytes) else { return nil }
        self = file
    }
}
