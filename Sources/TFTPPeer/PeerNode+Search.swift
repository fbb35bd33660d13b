internal import Logging
internal import TFTPClient

/// Looking for a file: at all peers at once, then at whoever is meant to fetch it.
extension PeerNode {
    /// Where `name` is to be had. One search a name, however many ask.
    ///
    /// - Parameters:
    ///   - mayWait: for a node that fetches it; false for who is asked by a node.
    ///   - insists: who waits already is to have it once more, from the beginning.
    func find(_ name: String, mayWait: Bool, insists: Bool = false) async -> Finding {
        if let known = findings[name], !isStale(known),
            known.version == nil ? known.isSoughtByAll || !mayWait : mayWait || isJoinable(known)
        {
            return known
        }
        let key = Search(name: name, mayWait: mayWait, insists: insists)
        let search =
            searches[key]
            ?? Task {
                let finding = keep(
                    await self.search(name, mayWait: mayWait), insists: insists)
                searches[key] = nil
                return finding
            }
        searches[key] = search
        return await search.value
    }

    /// Looks for the file, again if some of it has come already.
    ///
    /// - Parameters:
    ///   - byteCount: how much of the file is here.
    ///   - failed: places that are not asked, or not before the others.
    func search(
        _ name: String, mayWait: Bool, byteCount: UInt64 = 0, except failed: Set<Finding.Place> = []
    ) async -> Finding {
        var finding = Finding(name: name, isSoughtByAll: mayWait)
        // Where clients have begun already, the others are busy with theirs, and there is time to hear them all: who is not
        // heard goes to the origin.
        var (answers, isUncertain) = await answers(
            on: name, except: Set(failed.compactMap(\.peer)),
            patience: byteCount > 0 ? TFTPSource.patience : nil)
        finding.isUncertain = isUncertain
        var plan: SourcePlan
        while true {
            plan = SourcePlan(
                name: name, node: id, answers: answers, mayWait: mayWait, byteCount: byteCount,
                isDated: !configuration.trustedKeys.isEmpty)
            pin(&finding, answers)
            guard plan.version != nil else { break }
            noteDissent(name, plan)
            if await take(plan.sources.map { Finding.Place($0) }, plan, &finding) { return finding }
            // Whose manifest nobody trusted has signed, or who sends another than announced, has nothing for us.
            let refused = Set(plan.sources.map(\.peer))
            answers.removeAll { refused.contains($0.peer) }
            // There is such a file, though: it must not look as if there were none.
            finding.isUncertain = true
        }
        guard mayWait else { return await look(name, finding, except: failed) }
        return await seek(plan, finding, except: failed)
    }

    /// Has the file looked for by whoever is meant to, and goes to the origins when it is this node's turn: after a few others
    /// at the latest.
    private func seek(
        _ plan: SourcePlan, _ finding: Finding, except failed: Set<Finding.Place>
    ) async -> Finding {
        var finding = finding
        var seekers = Array(plan.seekers.prefix(PeerNode.seekersMax))
        if !seekers.contains(.thisNode) { seekers.append(.thisNode) }
        var isSoughtInVain = false
        for seeker in seekers {
            switch seeker {
            case .thisNode:
                finding = await look(finding.name, finding, except: failed)
                if finding.version != nil { return finding }
            case .peer(let index):
                // Who has looked in vain has done so for the other nodes, but may have other origins than this one, or none.
                guard !isSoughtInVain || origins.isEmpty,
                    let offer = await seek(finding.name, at: index), offer.pursuit == nil
                else { continue }
                guard offer.version != nil else {
                    isSoughtInVain = true
                    continue
                }
                pin(&finding, [(index, .node(offer))])
                if await take(index, offer, &finding) { return finding }
            }
        }
        for index in plan.waiters.prefix(PeerNode.seekersMax) where finding.isUncertain {
            guard let offer = await insist(finding.name, pin: finding.pins[index], at: index),
                offer.version != nil,
                await take(index, offer, &finding)
            else { continue }
            return finding
        }
        return finding
    }

    /// Makes a node that fetches the file the source of the finding.
    private func take(_ index: Int, _ offer: Offer, _ finding: inout Finding) async -> Bool {
        let plan = SourcePlan(name: finding.name, node: id, answers: [(index, .node(offer))])
        guard await take([.fetcher(index)], plan, &finding) else { return false }
        finding.isRooted = false
        return true
    }

    /// The same content wherever else it is to be had by now, for who has lost all sources; nil for nowhere.
    func otherSources(
        of finding: Finding, _ arrival: Arrival, except failed: Set<Finding.Place>
    ) async -> Finding? {
        lose(finding)
        let new = await search(
            finding.name, mayWait: true, byteCount: arrival.progress.byteCount, except: failed)
        let kept = findings[finding.name]
        if let kept, kept.number == finding.number, kept.isRooted {
            // It has been promised to another node meanwhile.
            arrivals[finding.number]?.footing = .rooted
            return kept
        }
        guard new.version != nil, new.continues(finding) else { return nil }
        arrivals[finding.number]?.footing = new.isRooted ? .rooted : .waiting
        if kept?.number == finding.number {
            findings[finding.name]?.sources = new.sources
            findings[finding.name]?.pins.merge(new.pins) { $1 }
            findings[finding.name]?.isRooted = new.isRooted
        }
        return new
    }

    /// Before anybody is asked for another source, so that nobody waits in a circle; see `Arrival`.
    private func lose(_ finding: Finding) {
        // What has been promised since the source was lost stands.
        guard arrivals[finding.number]?.footing != .lost else { return }
        arrivals[finding.number]?.footing = .lost
        if findings[finding.name]?.number == finding.number {
            findings[finding.name]?.isRooted = false
        }
    }

    /// Notes what the file is called at nodes that have snapshots, so that it comes from the one that they have told of.
    private func pin(
        _ finding: inout Finding, _ answers: [(peer: Int, answer: SourcePlan.Answer)]
    ) {
        for (peer, answer) in answers {
            guard case .node(let offer) = answer else { continue }
            finding.pins[peer] = offer.pin(of: peers[peer].folder + finding.name)
        }
    }

    /// Makes `places` the sources of the finding, with the manifest that one of them gives; false where a manifest is wanted and
    /// nobody gives the right one.
    private func take(
        _ places: [Finding.Place], _ plan: SourcePlan, _ finding: inout Finding
    ) async -> Bool {
        var manifest = findings[finding.name]?.manifest
        if manifest.map({ $0.manifest.root != plan.root || !isRight($0.manifest, for: plan) })
            ?? true
        {
            manifest = await self.manifest(of: finding, at: places, plan)
        }
        let isWanted = plan.root != nil || !configuration.trustedKeys.isEmpty
        guard manifest != nil || !isWanted else { return false }
        if manifest == nil, places.contains(where: isFolderOfNode) {
            logger.notice(
                "\"\(finding.name)\" is passed on unverified: no node has told in time what it is made of"
            )
        }
        finding.version = plan.version
        finding.manifest = manifest
        finding.sources = places
        finding.isRooted = plan.isRooted
        finding.isUncertain = false
        return true
    }

    /// Content keeps its number, and so its image, unless it may have changed unnoticed, or the old image waits for a node
    /// where the new one must not.
    private func keep(_ new: Finding, insists: Bool) -> Finding {
        var new = new
        let old = findings[new.name]
        let isOtherImage =
            new.isRooted && old.map { arrivals[$0.number]?.footing == .waiting } ?? false
        if let old, !isStale(old) {
            // It has begun to wait since it was asked, and whoever has asked finds another.
            if isOtherImage, !insists, new.continues(old) { return old }
            if old.version != nil, new.version == nil { return old }
            if new.version != nil, new.continues(old), !isOtherImage {
                if !new.isRooted || isJoinable(old) { return old }
                // What has come of it goes on from the new sources.
                new.version = old.version
                new.manifest = old.manifest
                new.number = old.number
                findings[new.name] = new
                return new
            }
        }
        let mayHaveChanged = new.manifest == nil && new.version?.isPlain == true
        let isSame =
            old.map {
                $0.hasSameContent(as: new) && !isOtherImage && !(mayHaveChanged && isStale($0))
            } ?? false
        if isSame, let old {
            new.number = old.number
        } else {
            findingCount += 1
            new.number = findingCount
        }
        if findings.count >= PeerNode.findingsMax, findings[new.name] == nil {
            findings = findings.filter { !isStale($0.value) }
            // Names that nobody has are made up by anybody; what is fetched is neither forgotten for them nor fetched twice.
            if findings.count >= PeerNode.findingsMax, new.version != nil {
                findings = findings.filter { $0.value.version != nil }
            }
            if findings.count >= PeerNode.findingsMax { return new }
        }
        findings[new.name] = new
        return new
    }

    /// Nobody has had this content to the end: the next who asks looks anew.
    func forget(_ finding: Finding) {
        if findings[finding.name]?.hasSameContent(as: finding) == true {
            findings[finding.name] = nil
        }
    }

    private func isFolderOfNode(_ place: Finding.Place) -> Bool {
        guard case .folder(let peer) = place else { return false }
        return peers[peer].kind == .node
    }

    private func noteDissent(_ name: String, _ plan: SourcePlan) {
        guard !plan.dissenters.isEmpty else { return }
        let others = plan.dissenters.map { "\(peers[$0].server)" }.joined(separator: ", ")
        logger.warning(
            "\"\(name)\" differs between peers: \(others) has other content than the rest, or older, and is not asked for it"
        )
    }

    /// What the origins have. One look a name, however many wait for it.
    private func look(
        _ name: String, _ finding: Finding, except failed: Set<Finding.Place>
    ) async -> Finding {
        let look =
            looks[name]
            ?? Task {
                let found = await self.lookAtOrigins(name, except: failed)
                looks[name] = nil
                return found
            }
        looks[name] = look
        var found = await look.value
        found.isSoughtByAll = finding.isSoughtByAll
        if found.version == nil { found.isUncertain = found.isUncertain || finding.isUncertain }
        return found
    }

    /// Finds the first origin that has it; the others may stand in for it. Those that have `failed` come last.
    private func lookAtOrigins(_ name: String, except failed: Set<Finding.Place>) async -> Finding {
        var finding = Finding(name: name)
        let order =
            origins.indices.filter { !failed.contains(originPlace($0)) }
            + origins.indices.filter { failed.contains(originPlace($0)) }
        for (position, index) in order.enumerated() {
            do {
                let place = originPlace(index)
                guard let answer = try await askOrigin(index, name) else { continue }
                let plan = SourcePlan(name: name, node: id, answers: [answer])
                pin(&finding, [answer])
                guard let version = plan.version else { continue }
                finding.version = version
                finding.manifest = await manifest(of: finding, at: [place], plan)
                finding.sources = order.dropFirst(position).map { originPlace($0) }
                finding.isRooted = true
                finding.isUncertain = false
                return finding
            } catch {
                finding.isUncertain = true
                logger.warning(
                    "origin \(configuration.origins[index]) can not be asked for \"\(name)\": \(error)"
                )
            }
        }
        return finding
    }

    private func askOrigin(
        _ index: Int, _ name: String
    ) async throws -> (peer: Int, answer: SourcePlan.Answer)? {
        switch origins[index] {
        case .peer(let peer): try await askOrigin(peer: peer, name).map { (peer, $0) }
        case .http(let source): try await source.look(name).map { (index, .plain($0)) }
        }
    }

    private func originPlace(_ index: Int) -> Finding.Place {
        switch origins[index] {
        case .peer(let peer): .folder(peer)
        case .http: .http(index)
        }
    }
}

extension Finding {
    /// By the manifest, where both have one.
    func hasSameContent(as other: Finding) -> Bool {
        guard let manifest, let otherManifest = other.manifest else {
            return version == other.version && (manifest == nil) == (other.manifest == nil)
        }
        return manifest.manifest.root == otherManifest.manifest.root
    }

    /// Whether what has come of `old` may go on from here. Where `old` has a manifest every chunk is compared with it.
    func continues(_ old: Finding) -> Bool {
        guard old.manifest != nil, manifest == nil else { return hasSameContent(as: old) }
        return version?.size == old.version?.size
    }
}

extension Finding.Place {
    init(_ source: SourcePlan.Source) {
        switch source {
        case .folder(let peer): self = .folder(peer)
        case .arriving(let peer): self = .fetcher(peer)
        }
    }

    /// By its number; nil for an HTTP server.
    var peer: Int? {
        switch self {
        case .folder(let peer), .fetcher(let peer): peer
        case .http: nil
        }
    }
}
