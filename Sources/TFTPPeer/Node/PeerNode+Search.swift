internal import Logging
internal import TFTPClient

/// Looking for a file: at all peers at once, then at whoever is meant to fetch it.
extension PeerNode {
    /// Where `name` is to be had. One search a name, however many ask.
    ///
    /// - Parameters:
    ///   - mayWait: for a node that fetches it; false for who is asked by a node.
    ///   - insists: who waits already is to have it once more, from the beginning.
    func find(_ name: String, mayWait: Bool, insists: Bool = false) async -> Resolution {
        if let known = findings[name], !isStale(known),
            known.version == nil ? known.isSoughtByAll || !mayWait : mayWait || isJoinable(known),
            await isCurrent(known)
        {
            return findings[name] ?? known
        }
        let key = Search(name: name, mayWait: mayWait, insists: insists)
        let search =
            searches[key]
            ?? Task {
                let resolution = keep(
                    await self.search(name, mayWait: mayWait), insists: insists)
                searches[key] = nil
                return resolution
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
        _ name: String, mayWait: Bool, byteCount: UInt64 = 0,
        except failed: Set<Resolution.Place> = []
    ) async -> Resolution {
        var resolution = Resolution(name: name, isSoughtByAll: mayWait)
        // Where clients have begun already, the others are busy with theirs, and there is time to hear them all: who is not
        // heard goes to the origin.
        var (answers, isUncertain) = await answers(
            on: name, except: Set(failed.compactMap(\.peer)),
            patience: byteCount > 0 ? TFTPSource.patience : nil)
        resolution.isUncertain = isUncertain
        var plan: SourcePlan
        while true {
            plan = SourcePlan(
                name: name, node: id, answers: answers, mayWait: mayWait, byteCount: byteCount,
                isDated: !configuration.trustedKeys.isEmpty)
            pin(&resolution, answers)
            guard plan.version != nil else { break }
            noteDissent(name, plan)
            if await take(plan.sources.map { Resolution.Place($0) }, plan, &resolution) {
                return resolution
            }
            // Whose manifest nobody trusted has signed, or who sends another than announced, has nothing for us.
            let refused = Set(plan.sources.map(\.peer))
            answers.removeAll { refused.contains($0.peer) }
            // There is such a file, though: it must not look as if there were none.
            resolution.isUncertain = true
        }
        guard mayWait else { return await look(name, resolution, except: failed) }
        return await seek(plan, resolution, except: failed)
    }

    /// Has the file looked for by whoever is meant to, and goes to the origins when it is this node's turn: after a few others
    /// at the latest.
    private func seek(
        _ plan: SourcePlan, _ resolution: Resolution, except failed: Set<Resolution.Place>
    ) async -> Resolution {
        var resolution = resolution
        var seekers = Array(plan.seekers.prefix(PeerNode.seekersMax))
        if !seekers.contains(.thisNode) { seekers.append(.thisNode) }
        var isSoughtInVain = false
        for seeker in seekers {
            switch seeker {
            case .thisNode:
                resolution = await look(resolution.name, resolution, except: failed)
                if resolution.version != nil { return resolution }
            case .peer(let index):
                // Who has looked in vain has done so for the other nodes, but may have other origins than this one, or none.
                guard !isSoughtInVain || origins.isEmpty,
                    let offer = await seek(resolution.name, at: index), offer.pursuit == nil
                else { continue }
                guard offer.version != nil else {
                    isSoughtInVain = true
                    continue
                }
                pin(&resolution, [(index, .node(offer))])
                if await take(index, offer, &resolution) { return resolution }
            }
        }
        for index in plan.waiters.prefix(PeerNode.seekersMax) where resolution.isUncertain {
            guard
                let offer = await insist(
                    resolution.name, pin: resolution.snapshotPaths[index], at: index),
                offer.version != nil,
                await take(index, offer, &resolution)
            else { continue }
            return resolution
        }
        return resolution
    }

    /// Makes a node that fetches the file the source of the resolution.
    private func take(_ index: Int, _ offer: Offer, _ resolution: inout Resolution) async -> Bool {
        let plan = SourcePlan(name: resolution.name, node: id, answers: [(index, .node(offer))])
        guard await take([.fetcher(index)], plan, &resolution) else { return false }
        resolution.isRooted = false
        return true
    }

    /// The same content wherever else it is to be had by now, for who has lost all sources; nil for nowhere.
    func otherSources(
        of resolution: Resolution, _ arrival: Arrival, except failed: Set<Resolution.Place>
    ) async -> Resolution? {
        lose(resolution)
        let new = await search(
            resolution.name, mayWait: true, byteCount: arrival.progress.byteCount, except: failed)
        let kept = findings[resolution.name]
        if let kept, kept.number == resolution.number, kept.isRooted {
            // It has been promised to another node meanwhile.
            arrivals[resolution.number]?.upstream = .rooted
            return kept
        }
        guard new.version != nil, new.continues(resolution) else { return nil }
        arrivals[resolution.number]?.upstream = new.isRooted ? .rooted : .waiting
        if kept?.number == resolution.number {
            findings[resolution.name]?.sources = new.sources
            findings[resolution.name]?.snapshotPaths.merge(new.snapshotPaths) { $1 }
            findings[resolution.name]?.isRooted = new.isRooted
        }
        return new
    }

    /// Before anybody is asked for another source, so that nobody waits in a circle; see `Arrival`.
    private func lose(_ resolution: Resolution) {
        // What has been promised since the source was lost stands.
        guard arrivals[resolution.number]?.upstream != .lost else { return }
        arrivals[resolution.number]?.upstream = .lost
        if findings[resolution.name]?.number == resolution.number {
            findings[resolution.name]?.isRooted = false
        }
    }

    /// Notes what the file is called at nodes that have snapshots, so that it comes from the one that they have told of.
    private func pin(
        _ resolution: inout Resolution, _ answers: [(peer: Int, answer: SourcePlan.Answer)]
    ) {
        for (peer, answer) in answers {
            guard case .node(let offer) = answer else { continue }
            resolution.snapshotPaths[peer] = offer.pin(of: peers[peer].folder + resolution.name)
        }
    }

    /// Makes `places` the sources of the resolution, with the manifest that one of them gives; false where a manifest is wanted and
    /// nobody gives the right one.
    private func take(
        _ places: [Resolution.Place], _ plan: SourcePlan, _ resolution: inout Resolution
    ) async -> Bool {
        var manifest = findings[resolution.name]?.manifest
        if manifest.map({ $0.manifest.root != plan.root || !isRight($0.manifest, for: plan) })
            ?? true
        {
            manifest = await self.manifest(of: resolution, at: places, plan)
        }
        let isWanted = plan.root != nil || !configuration.trustedKeys.isEmpty
        guard manifest != nil || !isWanted else { return false }
        if manifest == nil, places.contains(where: isFolderOfNode) {
            logger.notice(
                "\"\(resolution.name)\" is passed on unverified: no node has told in time what it is made of"
            )
        }
        resolution.version = plan.version
        resolution.manifest = manifest
        resolution.sources = places
        resolution.isRooted = plan.isRooted
        resolution.isUncertain = false
        return true
    }

    /// Content keeps its number, and so its image, unless it may have changed unnoticed, or the old image waits for a node
    /// where the new one must not.
    private func keep(_ new: Resolution, insists: Bool) -> Resolution {
        var new = new
        let old = findings[new.name]
        let isOtherImage =
            new.isRooted && old.map { arrivals[$0.number]?.upstream == .waiting } ?? false
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
    func forget(_ resolution: Resolution) {
        if findings[resolution.name]?.hasSameContent(as: resolution) == true {
            findings[resolution.name] = nil
        }
    }

    private func isFolderOfNode(_ place: Resolution.Place) -> Bool {
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
        _ name: String, _ resolution: Resolution, except failed: Set<Resolution.Place>
    ) async -> Resolution {
        let look =
            looks[name]
            ?? Task {
                let found = await self.lookAtOrigins(name, except: failed)
                looks[name] = nil
                return found
            }
        looks[name] = look
        var found = await look.value
        found.isSoughtByAll = resolution.isSoughtByAll
        if found.version == nil { found.isUncertain = found.isUncertain || resolution.isUncertain }
        return found
    }

    /// Finds an origin that has it; those behind it may stand in for it. Those that have `failed`, or were late a moment ago, come
    /// last.
    private func lookAtOrigins(_ name: String, except failed: Set<Resolution.Place>) async
        -> Resolution
    {
        let started = ContinuousClock.now
        let order = originOrder(except: failed, at: started)
        let web = order.filter { if case .http = origins[$0] { true } else { false } }
        var race = OriginRace(order, askedAgain: Set(web))
        let found = await withTaskGroup(of: OriginEvent.self, returning: OriginEvent?.self) {
            group in
            defer { group.cancelAll() }
            while true {
                for index in race.due(at: .now - started) {
                    group.addTask { await self.askOrigin(index, name) }
                }
                guard let wake = race.wake(after: .now - started) else { return nil }
                group.addTask {
                    try? await Task.sleep(until: started + wake)
                    return .wake
                }
                switch await group.next() {
                case .has(let index, let answer): return .has(index, answer)
                case .answer(let index, let answer):
                    race.note(index, answer, at: .now - started)
                case .wake, nil: break
                }
            }
        }
        noteLate(race.late(at: .now - started), name)
        var resolution = Resolution(name: name)
        guard case .has(let index, let answer) = found else {
            resolution.isUncertain = race.isUncertain
            return resolution
        }
        await take(index, answer, order, &resolution)
        return resolution
    }

    private enum OriginEvent: Sendable {
        case has(Int, PeerAnswer)
        case answer(Int, OriginRace.Answer)
        case wake
    }

    /// How long an origin that was late is asked behind the others.
    private static let lateMemory = Duration.seconds(10)

    private func originOrder(
        except failed: Set<Resolution.Place>, at now: ContinuousClock.Instant
    ) -> [Int] {
        let isLast = origins.indices.map { index in
            failed.contains(originPlace(index)) || lateOrigins[index].map { $0 > now } ?? false
        }
        return origins.indices.filter { !isLast[$0] } + origins.indices.filter { isLast[$0] }
    }

    func noteLate(_ late: [Int], _ name: String) {
        for index in late {
            lateOrigins[index] = .now + PeerNode.lateMemory
            logger.warning(
                "origin \(configuration.origins[index]) is late with \"\(name)\": others are asked before it for a while"
            )
        }
    }

    /// Makes an origin that has the file the source of the resolution.
    private func take(
        _ index: Int, _ answer: PeerAnswer, _ order: [Int], _ resolution: inout Resolution
    ) async {
        let plan = SourcePlan(name: resolution.name, node: id, answers: [answer])
        pin(&resolution, [answer])
        guard let version = plan.version else { return }
        resolution.version = version
        resolution.manifest = await manifest(of: resolution, at: [originPlace(index)], plan)
        resolution.sources =
            [originPlace(index)] + order.filter { $0 != index }.map { originPlace($0) }
        resolution.isRooted = true
    }

    private func askOrigin(_ index: Int, _ name: String) async -> OriginEvent {
        do {
            guard let answer = try await origin(index, has: name) else {
                return .answer(index, .absent)
            }
            return .has(index, answer)
        } catch SourceFailure.busy(let delay) {
            return .answer(index, .busy(delay))
        } catch {
            if !Task.isCancelled {
                logger.warning(
                    "origin \(configuration.origins[index]) cannot be asked for \"\(name)\": \(error)"
                )
            }
            return .answer(index, .failed)
        }
    }

    private func origin(_ index: Int, has name: String) async throws -> PeerAnswer? {
        switch origins[index] {
        case .peer(let peer): try await askOrigin(peer: peer, name).map { (peer, $0) }
        case .http(let source): try await source.look(name).map { (index, .plain($0)) }
        }
    }

    private func originPlace(_ index: Int) -> Resolution.Place {
        switch origins[index] {
        case .peer(let peer): .folder(peer)
        case .http: .http(index)
        }
    }
}

extension Resolution {
    /// By the manifest, where both have one.
    func hasSameContent(as other: Resolution) -> Bool {
        guard let manifest, let otherManifest = other.manifest else {
            return version == other.version && (manifest == nil) == (other.manifest == nil)
        }
        return manifest.manifest.root == otherManifest.manifest.root
    }

    /// Whether what has come of `old` may go on from here. Where `old` has a manifest every chunk is compared with it.
    func continues(_ old: Resolution) -> Bool {
        guard old.manifest != nil, manifest == nil else { return hasSameContent(as: old) }
        return version?.size == old.version?.size
    }
}

extension Resolution.Place {
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
