internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch
internal import TFTPStore

/// What is asked of other nodes, and of servers that are none.
extension PeerNode {
    private enum Event: Sendable {
        case answer(Int, SourcePlan.Answer?)
        /// It is there, but has said nothing of the file.
        case failure
        case graceIsOver
    }

    private static let probeInterval = Duration.seconds(1)
    /// How many nodes are asked for a manifest at once.
    private static let manifestsMax = 3

    /// The peers' answers about `name`, the quickest first. The wait ends when all have answered,
    /// when `patience` is over, or when one has the file and the others have had as long again.
    ///
    /// - Parameters:
    ///   - failed: peers that are not queried.
    ///   - patience: nil: as long as the configuration says.
    /// - Returns: also whether a peer may have the file that was not queried, or could not answer.
    ///   A peer that is silent, or not a member of the group, counts as having nothing.
    func answers(
        on name: String, except failed: Set<Int> = [], patience: Duration? = nil
    ) async -> (answers: [(peer: Int, answer: SourcePlan.Answer)], isUncertain: Bool) {
        var answers: [(peer: Int, answer: SourcePlan.Answer)] = []
        let distrusted = distrust.peers(name).union(failed)
        var isUncertain = !distrusted.isEmpty
        let clock = ContinuousClock()
        let started = clock.now
        await withTaskGroup(of: Event.self) { group in
            var waitingCount = 0
            for index in peers.indices where isAsked(index) && !distrusted.contains(index) {
                guard peers[index].isWaitedFor else {
                    probe(index)
                    continue
                }
                waitingCount += 1
                group.addTask {
                    do {
                        return .answer(index, try await self.ask(index, name, patience: patience))
                    } catch let failure as TFTPClient.Failure
                        where failure.isSilence || failure.isUnsealed || failure.isUnaskable
                    {
                        return .answer(index, nil)
                    } catch {
                        return .failure
                    }
                }
            }
            var isGracePeriod = false
            while waitingCount > 0, let event = await group.next() {
                if case .graceIsOver = event { break }
                waitingCount -= 1
                guard case .answer(let index, let answer?) = event else {
                    if case .failure = event { isUncertain = true }
                    continue
                }
                answers.append((index, answer))
                guard !isGracePeriod, case .node(let offer) = answer, offer.state == .holds else {
                    continue
                }
                isGracePeriod = true
                let grace = max(configuration.grace, clock.now - started)
                group.addTask {
                    try? await Task.sleep(for: grace)
                    return .graceIsOver
                }
            }
            group.cancelAll()
        }
        return (answers, isUncertain)
    }

    /// Queries a peer in the background, to notice when it is gone, or back.
    func probe(_ index: Int) {
        // One that is refused at once would be asked as often as names are missed.
        let now = ContinuousClock.now
        let isDue = peers[index].probedAt.map { now - $0 > PeerNode.probeInterval } ?? true
        guard !peers[index].isProbed, isDue else { return }
        peers[index].isProbed = true
        peers[index].probedAt = now
        Task {
            // No client waits for this, so a busy node has time to answer.
            try? await refresh(index, patience: TFTPSource.patience)
            peers[index].isProbed = false
        }
    }

    /// One peer's answer; nil when it has nothing.
    ///
    /// - Throws: when it does not answer, or refuses to.
    private func ask(
        _ index: Int, _ name: String, patience: Duration? = nil
    ) async throws -> SourcePlan.Answer? {
        switch peers[index].kind {
        case .thisNode: return nil
        case .plain: return try await askPlain(index, name)
        case .unknown, .node, .unsealed:
            // Where some of the file is here, all are asked what they have of it by now.
            if patience == nil, !peers[index].isOrigin,
                let offer = try await absence(of: name, at: index)
            {
                return .node(offer)
            }
            switch try await hear(
                .query(name), from: index, patience: patience ?? configuration.patience)
            {
            case .offer(let offer): return .node(offer)
            case .plain: return try await askPlain(index, name)
            case .nothing: return nil
            }
        }
    }

    /// What an origin has: in its folder, or from wherever it has files itself.
    func askOrigin(peer index: Int, _ name: String) async throws -> SourcePlan.Answer? {
        let answer = try await ask(index, name)
        if case .node(let offer) = answer, offer.state == .absent {
            return try await askPlain(index, name)
        }
        return answer
    }

    /// What a node says now.
    func offer(of name: String, at index: Int) async -> Offer? {
        let heard = try? await hear(
            .query(name), from: index, patience: TFTPSource.patience)
        guard case .offer(let offer) = heard else { return nil }
        return offer
    }

    private func askPlain(_ index: Int, _ name: String) async throws -> SourcePlan.Answer? {
        let patience = peers[index].isOrigin ? TFTPSource.patience : configuration.patience
        let source = source(index, patience: patience)
        do {
            let version = try await source.look(name)
            guard peers[index].server == source.server else { return nil }
            noteAnswer(index)
            if let version, !version.isServable { throw SourceFailure.tooLarge(version.size ?? 0) }
            return version.map { .plain($0) }
        } catch  where peers[index].server == source.server {
            noteFailure(index, error)
            throw error
        }
    }

    /// - Parameter folder: what stands before every name; nil for the peer's own.
    func source(
        _ index: Int, folder: String? = nil, patience: Duration = TFTPSource.patience
    ) -> TFTPSource {
        let peer = peers[index]
        return TFTPSource(
            client: client, server: peer.server, folder: folder ?? peer.folder,
            sealKeys: peer.isOrigin ? nil : configuration.sealKeys, patience: patience)
    }

    /// What a node says after it has looked for the file; nil when it does not know.
    ///
    /// - Parameters:
    ///   - pin: what it has said the file is called there.
    ///   - isForced: also where the node gets the file from another one.
    func seek(
        _ name: String, pin: String? = nil, isForced: Bool = false, at index: Int
    ) async -> Offer? {
        let question = isForced ? PeerName.force(pin ?? name) : .search(pin ?? name)
        return await hearLong(question, index, folder: pin.map { _ in "" })
    }

    /// It may take the node as long as its origins do.
    private func hearLong(
        _ question: PeerName, _ index: Int, folder: String? = nil
    ) async -> Offer? {
        let patience = TFTPSource.patience * max(1, origins.count) + configuration.patience
        guard
            case .offer(let offer) = try? await hear(
                question, from: index, folder: folder, patience: patience)
        else { return nil }
        return offer
    }

    private enum Heard {
        case offer(Offer)
        /// A plain TFTP server.
        case plain
        case nothing
    }

    private func hear(
        _ question: PeerName, from index: Int, folder: String? = nil, patience: Duration
    ) async throws -> Heard {
        let server = peers[index].server
        let answer: Result<String, any Error>
        do {
            answer = .success(
                try await text(
                    of: question, from: index, folder: folder, patience: patience,
                    byteCountMax: Offer.byteCountMax))
        } catch {
            answer = .failure(error)
        }
        // The number may have been given to another peer meanwhile.
        guard peers[index].server == server else { return .nothing }
        do {
            let text = try answer.get()
            noteAnswer(index)
            guard let offer = Offer(text) else { return .plain }
            guard offer.version?.isServable != false else {
                logger.warning(
                    "\(peers[index].server) offers \(PrintableName.quoted(question.file)) of an impossible size"
                )
                throw SourceFailure.tooLarge(offer.version?.size ?? 0)
            }
            peers[index].kind = offer.node == id ? .thisNode : .node
            return offer.node == id ? .nothing : .offer(offer)
        } catch TFTPClient.Failure.tooLarge {
            // It has something under any name.
            noteAnswer(index)
            peers[index].kind = .plain
            return .plain
        } catch let error as TFTPClient.Failure where error.isRefusal {
            // The peer is busy, or about to end: what it has is still unknown.
            noteAnswer(index)
            throw error
        } catch TFTPClient.Failure.notFound {
            noteAnswer(index)
            if case .unknown = peers[index].kind { peers[index].kind = .plain }
            if case .plain = peers[index].kind { return .plain }
            return .nothing
        } catch {
            // A node that looks for long is not gone.
            if case .query = question { noteFailure(index, error) }
            throw error
        }
    }

    private func text(
        of question: PeerName, from index: Int, folder: String?, patience: Duration,
        byteCountMax: Int
    ) async throws -> String {
        let name = question.with(folder: folder ?? peers[index].folder).text
        return try await source(index, patience: patience).text(
            of: name, byteCountMax: byteCountMax)
    }

    /// The manifest that one of `places` has of what `plan` has found; nil where there is none, or
    /// none that is right. Where keys are trusted all are asked, because others may have the file
    /// unsigned.
    func manifest(
        of resolution: Resolution, at places: [Resolution.Place], _ plan: SourcePlan
    ) async -> SourcedManifest? {
        let nodes = places.compactMap(\.peer).filter { peers[$0].kind == .node }
        let askedMax = configuration.trustedKeys.isEmpty ? PeerNode.manifestsMax : nodes.count
        for start in stride(from: 0, to: min(askedMax, nodes.count), by: PeerNode.manifestsMax) {
            // In parallel: a peer that has not read the file yet may need longer than a client
            // waits.
            let found = await withTaskGroup(
                of: SourcedManifest?.self, returning: SourcedManifest?.self
            ) { group in
                for index in nodes[start...].prefix(PeerNode.manifestsMax) {
                    group.addTask { await self.manifest(of: resolution, at: index, plan) }
                }
                defer { group.cancelAll() }
                while let answer = await group.next() {
                    if let answer { return answer }
                }
                return nil
            }
            if let found { return found }
        }
        return nil
    }

    private func manifest(
        of resolution: Resolution, at index: Int, _ plan: SourcePlan
    ) async -> SourcedManifest? {
        let pin = resolution.snapshotPaths[index]
        let name = pin ?? resolution.name
        let text = try? await text(
            of: .manifest(name), from: index, folder: pin.map { _ in "" },
            patience: TFTPSource.patience, byteCountMax: Manifest.byteCountMax)
        guard let text else { return nil }
        guard let manifest = Manifest(text), isRight(manifest, for: plan),
            peers[index].isOrigin || isTrusted(manifest, text, for: name)
        else {
            logger.warning(
                "the manifest of \(PrintableName.quoted(name)) at \(peers[index].server) differs, or has no trusted signature: it is not used"
            )
            return nil
        }
        return SourcedManifest(manifest: manifest, text: text)
    }

    /// Whether it is the manifest of what `plan` has found. The newest is taken by the time that
    /// its holders say, so where keys are trusted it has to be the time that has been signed.
    func isRight(_ manifest: Manifest, for plan: SourcePlan) -> Bool {
        // Chunks are kept until they are whole, so their size is not for the sender to say.
        guard manifest.size == plan.version?.size, plan.root == nil || plan.root == manifest.root,
            manifest.chunkByteCount == Manifest.chunkByteCount(forFileOf: manifest.size)
        else { return false }
        return configuration.trustedKeys.isEmpty || plan.modifiedSeconds == nil
            || plan.modifiedSeconds == manifest.modifiedSeconds
    }

    /// A signature counts for the name that it was given for; one for a snapshot also for a request
    /// without a snapshot.
    private func isTrusted(_ manifest: Manifest, _ text: String, for name: String) -> Bool {
        let keys = configuration.trustedKeys
        let isFor =
            manifest.name == name || SnapshotLayout.parts(of: manifest.name)?.name == name
        return keys.isEmpty || isFor && Signature.isSigned(text, by: keys)
    }

    /// Whether `peer` has `version` of `name` still.
    func stillHas(_ version: FileVersion, _ resolution: Resolution, _ peer: Int) async -> Bool {
        switch peers[peer].kind {
        // A size is not enough to go on with.
        case .plain, .unsealed, .thisNode: return false
        case .unknown, .node:
            let offer = await seek(resolution.name, pin: resolution.snapshotPaths[peer], at: peer)
            return offer?.version == version
        }
    }

    /// It has said something, and under a seal where that is wanted.
    func noteAnswer(_ index: Int) {
        peers[index].hasAnswered = true
        peers[index].silentCount = 0
        peers[index].restsUntil = nil
        peers[index].isNotedUnsealed = false
        if case .unsealed = peers[index].kind { peers[index].kind = .unknown }
    }

    /// A node that does not answer may come back as something else.
    func noteFailure(_ index: Int, _ error: any Error) {
        switch error {
        case let failure as TFTPClient.Failure where failure.isUnsealed:
            noteUnsealed(index, error)
        // What is short here is not the peer's silence.
        case let failure as TFTPClient.Failure where failure.isSilence && !Task.isCancelled:
            noteSilence(index, error)
        default: break
        }
    }

    private func noteSilence(_ index: Int, _ error: any Error) {
        peers[index].silentCount += 1
        peers[index].kind = .unknown
        // Whether it is back is found by the question for its state.
        peers[index].namesHoldUntil = nil
        if peers[index].silentCount == 2 {
            logger.warning("peer \(peers[index].server) does not answer: \(error)")
        }
    }

    /// An attacker on the path can make a node look unsealed, but cannot have it queried
    /// unencrypted.
    private func noteUnsealed(_ index: Int, _ error: any Error) {
        peers[index].silentCount = 0
        peers[index].kind = .unsealed
        peers[index].restsUntil = .now + configuration.memory
        guard !peers[index].isNotedUnsealed else { return }
        peers[index].isNotedUnsealed = true
        logger.warning(
            "peer \(peers[index].server) is left out, as this node asks its peers under a seal: \(error)"
        )
    }
}

extension TFTPClient.Failure {
    fileprivate var isRefusal: Bool {
        if case .refused = self { true } else { false }
    }

    /// The sender is not a member of this node's group.
    fileprivate var isUnsealed: Bool {
        switch self {
        case .notSealed, .sealRefused: true
        default: false
        }
    }

    /// A query about a name as long as this does not fit into a packet, so it was never sent.
    fileprivate var isUnaskable: Bool {
        if case .invalidName = self { true } else { false }
    }

    /// The peer does not answer.
    fileprivate var isSilence: Bool {
        switch self {
        case .timedOut, .unreachable, .unknownHost: true
        default: false
        }
    }
}
