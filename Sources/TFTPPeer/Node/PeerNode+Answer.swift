internal import TFTPFetch
internal import TFTPReactor
internal import TFTPServer
internal import TFTPStore

/// What a node answers to clients, and to other nodes.
extension PeerNode {
    private static let pieceByteCount = 1 << 20
    /// The text of the ERROR to a client when it is unknown whether the file exists.
    static let noSource = "No source answers or is trusted, try again"

    /// - Parameter snapshot: that the client holds, where there are any.
    func respond(to name: String, in snapshot: String?) async -> TFTPServer.Response {
        if name == Listing.name { return await listing() }
        if name == PeerReport.name { return .text(await report().text) }
        if name == NodeState.name { return .text(state().text) }
        if name == NodeState.filterName { return names() }
        guard let question = PeerName(name) else {
            return await respondToClient(name, in: snapshot)
        }
        guard PeerName.isFile(question.file) else { return .notFound }
        let asked = question.file
        let file = await pinned(asked)
        switch question {
        case .query: return .text(await offer(file, to: asked).text)
        case .search, .force:
            if case .file = await status(of: file) {
                return .text(await offer(file, to: asked).text)
            }
            if case .search = question, waits(for: file) {
                return .text(await offer(file, to: asked).text)
            }
            let resolution = await find(file, mayWait: false, insists: question == .force(asked))
            guard !resolution.isUncertain else { return respond(with: resolution, mayWait: false) }
            return .text(await offer(file, to: asked).text)
        case .fetch:
            if let here = await respondFromFolder(file) { return here }
            if waits(for: file) {
                return .refused("It comes from another node", code: .notDefined)
            }
            return respond(with: await find(file, mayWait: false), mayWait: false)
        case .manifest:
            if let entry = await catalogue?.entry(of: file) { return .text(entry.text) }
            guard let manifest = known(file)?.manifest else { return .notFound }
            return .text(manifest.text)
        }
    }

    /// The name that a file has in this node's folder: where there are snapshots, in the current
    /// one.
    private func pinned(_ name: String) async -> String {
        guard configuration.hasSnapshots, SnapshotLayout.parts(of: name) == nil,
            let current = await catalogue?.folder.currentSnapshot()
        else { return name }
        return SnapshotLayout.path(name, in: current)
    }

    private func respondToClient(
        _ asked: String, in snapshot: String?
    ) async -> TFTPServer.Response {
        guard PeerName.isFile(asked) else { return .notFound }
        if let answer = await respondByIndex(asked, in: snapshot) { return answer }
        var name = asked
        if let snapshot, SnapshotLayout.parts(of: asked) == nil {
            name = SnapshotLayout.path(asked, in: snapshot)
        }
        let resolution = await find(name, mayWait: true)
        // Some firmwares leave junk at the end of a name, and the folder passes over it as well.
        guard resolution.version == nil, !resolution.isUncertain,
            let stripped = FileName.stripped(name)
        else { return respond(with: resolution, mayWait: true) }
        return respond(with: await find(stripped, mayWait: true), mayWait: true)
    }

    private func respond(with resolution: Resolution, mayWait: Bool) -> TFTPServer.Response {
        // Boot loaders go on to another name after ERROR 1, and would boot something else.
        guard !resolution.isUncertain else {
            return .refused(PeerNode.noSource, code: .notDefined)
        }
        guard let version = resolution.version, mayWait || isJoinable(resolution) else {
            return .notFound
        }
        let content = resolution.manifest.map { "\($0.manifest.root)" } ?? version.word
        return .stream(
            size: version.size, key: "\(resolution.name)\n\(content) \(resolution.number)"
        ) {
            writer in try await self.feed(resolution, version) { try await writer.write($0) }
        }
    }

    /// A file that has come into the folder since it was said to arrive.
    private func respondFromFolder(_ name: String) async -> TFTPServer.Response? {
        guard case .file(let identity, let entry) = await status(of: name),
            let file = FileName(name), let open = try? await catalogue?.folder.open(file)
        else { return nil }
        let key = "\(name)\n\(identity.inode) \(identity.changedNanoseconds)"
        return .stream(size: identity.byteCount, key: key) { writer in
            var offset: UInt64 = 0
            while offset < identity.byteCount {
                let piece = try await open.read(at: offset, count: PeerNode.pieceByteCount)
                guard !piece.isEmpty else { return }
                try await self.check(piece, at: offset, of: identity, entry)
                try await writer.write(piece)
                offset += UInt64(piece.count)
            }
        }
    }

    /// - Throws: `SourceFailure.wrongChunk` where the disk has changed what the file is made of.
    private func check(
        _ piece: [UInt8], at offset: UInt64, of file: FileIdentity, _ entry: Catalogue.Entry?
    ) async throws {
        guard let manifest = entry?.manifest,
            manifest.chunkByteCount == PeerNode.pieceByteCount
        else { return }
        let index = Int(offset / UInt64(PeerNode.pieceByteCount))
        guard !manifest.isRight(piece, at: index) else { return }
        await catalogue?.spoil(manifest.name, file)
        throw SourceFailure.wrongChunk(index)
    }

    /// What this node has of a file that it was asked about as `asked`.
    private func offer(_ name: String, to asked: String) async -> Offer {
        var offer = await offer(name)
        if name != asked && offer.state != .absent { offer.name = name }
        return offer
    }

    private func offer(_ name: String) async -> Offer {
        var offer = await offerOfFile(name)
        offer.origins = originsID
        return offer
    }

    private func offerOfFile(_ name: String) async -> Offer {
        switch await status(of: name) {
        case .file(let identity, let entry):
            let seconds = Int(identity.modifiedNanoseconds / 1_000_000_000)
            var offer = Offer(
                node: id, state: .holds,
                version: .file(size: identity.byteCount, modifiedSeconds: seconds),
                root: entry?.manifest.root)
            offer.modifiedSeconds = seconds
            return offer
        // What has spoiled may come from elsewhere, as what is not here.
        case .absent, .spoiled: return offerOfArrival(name)
        }
    }

    private func offerOfArrival(_ name: String) -> Offer {
        let resolution = known(name)
        let arrival = resolution.flatMap { arrivals[$0.number] }
        var offer = Offer(node: id, state: .absent)
        offer.byteCount = arrival?.progress.byteCount ?? 0
        if let resolution, let version = resolution.version, isJoinable(resolution) {
            offer.state = .arriving
            offer.version = version
            offer.root = resolution.manifest?.manifest.root
            if arrival == nil, resolution.isWhole { offer.byteCount = version.size ?? 0 }
        } else if arrival?.upstream == .waiting {
            offer.pursuit = .waiting
        } else if looks[name] != nil {
            offer.pursuit = .looking
        }
        return offer
    }

    /// Whether a file comes from a node that fetches it.
    private func waits(for name: String) -> Bool {
        guard let resolution = known(name) else { return false }
        return arrivals[resolution.number]?.upstream == .waiting
    }

    /// Whether a node may get the file from this one.
    func isJoinable(_ resolution: Resolution) -> Bool {
        arrivals[resolution.number].map { $0.isJoinable(isPromised: resolution.isRooted) }
            ?? (resolution.isRooted || resolution.isWhole)
    }

    /// What has been read of the folder; of snapshots, the current one under the names that clients
    /// ask for.
    private func listing() async -> TFTPServer.Response {
        guard let catalogue else { return .notFound }
        let prefix = await pinned("")
        guard let listing = try? await catalogue.listing(beneath: prefix) else {
            return .refused("Catalogue cannot be signed", code: .notDefined)
        }
        return .text(listing.text, key: "\(Listing.name)\n\(prefix)\n\(listing.revision)")
    }

    private func report() async -> PeerReport {
        let numbers: [(name: String, value: UInt64)] = [
            ("files", UInt64(await catalogue?.count ?? 0)),
            ("fetches", UInt64(statistics.fetchCount)),
            ("origin-bytes", statistics.originByteCount),
            ("peer-bytes", statistics.peerByteCount),
            ("client-bytes", served.clientByteCount),
            ("unverified-bytes", statistics.unverifiedByteCount),
            ("bad-chunks", UInt64(statistics.badChunkCount)),
            ("failovers", UInt64(statistics.failoverCount)),
        ]
        let lines = peers.filter { $0.kind != .thisNode && !$0.isLookedUp && !$0.isGone }.map {
            PeerReport.Line(
                isOrigin: $0.isOrigin, address: "\($0.server)",
                state: $0.isSilent ? "silent" : $0.kind.rawValue, byteCount: $0.byteCount,
                badChunkCount: $0.badChunkCount)
        }
        return PeerReport(numbers: numbers, peers: lines)
    }

    private func status(of name: String) async -> Catalogue.Status {
        await catalogue?.status(of: name) ?? .absent
    }

    private func known(_ name: String) -> Resolution? {
        findings[name].flatMap { isStale($0) ? nil : $0 }
    }

    func isStale(_ resolution: Resolution) -> Bool {
        guard !resolution.isUncertain else { return true }
        // Others may be on their way to join it.
        guard arrivals[resolution.number] == nil else { return false }
        let memory = resolution.version == nil ? configuration.memory / 30 : configuration.memory
        return ContinuousClock.now - resolution.foundAt > memory
    }
}

extension FileName {
    /// A name without what some firmwares leave behind it; nil where there is nothing of the kind.
    static func stripped(_ name: String) -> String? {
        guard let stripped = FileName(name)?.strippingTrailingJunk()?.text,
            PeerName.isFile(stripped)
        else { return nil }
        return stripped
    }

    private var text: String {
        // The bytes are this name's own, and it is here until the closure returns.
        unsafe bytes.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
