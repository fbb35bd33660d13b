internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch

/// Looking for a file: what `Fetch` decides is done here.
extension PeerNode {
    /// Finds the sources of `name`. Concurrent calls share one search.
    ///
    /// - Parameters:
    ///   - mayWait: accept a node that still fetches the file; false for requests from nodes.
    ///   - insists: give waiters the content again from the beginning.
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

    /// Looks for the file, again if some of it has come already: does what `Fetch` says.
    ///
    /// - Parameters:
    ///   - byteCount: how much of the file is here.
    ///   - failed: places that are not asked, or not before the others.
    func search(
        _ name: String, mayWait: Bool, byteCount: UInt64 = 0,
        except failed: Set<Resolution.Place> = []
    ) async -> Resolution {
        var resolution = Resolution(name: name, isSoughtByAll: mayWait)
        var (fetch, action) = Fetch.begin(request(name, mayWait: mayWait, byteCount: byteCount))
        while true {
            if case .finish(let outcome) = action {
                resolution.isUncertain = outcome == .uncertain
                return resolution
            }
            action = fetch.step(await act(action, &resolution, byteCount, except: failed))
        }
    }

    /// Whether more than an announcement speaks for the peer, which any host can make.
    private func isTrusted(_ index: Int) -> Bool {
        configuration.sealKeys != nil || peers[index].isNamed
    }

    private func request(_ name: String, mayWait: Bool, byteCount: UInt64) -> Fetch.Request {
        var request = Fetch.Request(name: name, node: id)
        request.mayWait = mayWait
        request.byteCount = byteCount
        request.isSigned = !configuration.trustedKeys.isEmpty
        request.origins = origins.isEmpty ? nil : originsID
        request.asksOriginsOnly = configuration.trustsOriginsOnly && !origins.isEmpty
        return request
    }

    private func act(
        _ action: Fetch.Action, _ resolution: inout Resolution, _ byteCount: UInt64,
        except failed: Set<Resolution.Place>
    ) async -> Fetch.Event {
        let name = resolution.name
        switch action {
        case .ask:
            // If clients have begun already, the other nodes are busy with theirs, and there is
            // time to wait for every answer. A node whose answer is missed would go to the origin.
            let heard = await answers(
                on: name, except: Set(failed.compactMap(\.peer)),
                patience: byteCount > 0 ? TFTPSource.patience : nil)
            pin(&resolution, heard.answers)
            return .heard(
                heard.answers.map {
                    Fetch.HeardAnswer($0.peer, $0.answer, isTrusted: isTrusted($0.peer))
                },
                isUncertain: heard.isUncertain)
        case .judge(let opens): return .judged(await judge(name, opens: opens))
        case .take(let plan):
            noteDissent(name, plan)
            let places = plan.sources.map { Resolution.Place($0) }
            return .took(await take(places, plan, &resolution))
        case .takeFetcher(let index, let offer):
            pin(&resolution, [(index, .node(offer))])
            return .took(await take(index, offer, &resolution))
        case .look:
            resolution = await look(name, resolution, except: failed)
            if resolution.version != nil { return .looked(.found) }
            return .looked(resolution.isUncertain ? .uncertain : .absent)
        case .seek(let index, let isForced):
            let pin = isForced ? resolution.snapshotPaths[index] : nil
            return .sought(await seek(name, pin: pin, isForced: isForced, at: index))
        case .finish: preconditionFailure("a search that has finished is not gone on with")
        }
    }

    /// Makes a node that fetches the file the source of the resolution.
    private func take(_ index: Int, _ offer: Offer, _ resolution: inout Resolution) async -> Bool {
        let plan = SourcePlan(name: resolution.name, node: id, answers: [(index, .node(offer))])
        guard await take([.fetcher(index)], plan, &resolution) else { return false }
        resolution.isRooted = false
        return true
    }

    /// Other sources of the same content, after all known ones have failed; nil if there are none.
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

    /// Reports the loss before another source is queried, so that nodes do not wait in a circle;
    /// see `Arrival`.
    private func lose(_ resolution: Resolution) {
        // What has been promised since the source was lost stands.
        guard arrivals[resolution.number]?.upstream != .lost else { return }
        arrivals[resolution.number]?.upstream = .lost
        if findings[resolution.name]?.number == resolution.number {
            findings[resolution.name]?.isRooted = false
        }
    }

    /// Notes what the file is called at nodes that have snapshots, so that it comes from the one
    /// that they have told of.
    func pin(
        _ resolution: inout Resolution, _ answers: [PeerAnswer]
    ) {
        for (peer, answer) in answers {
            guard case .node(let offer) = answer else { continue }
            resolution.snapshotPaths[peer] = offer.pin(of: peers[peer].folder + resolution.name)
        }
    }

    /// Makes `places` the sources of the resolution, with the manifest of one of them; false if a
    /// manifest is required and no source has the right one.
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
                "\(PrintableName.quoted(resolution.name)) is passed on unverified: no node has told in time what it is made of"
            )
        }
        resolution.version = plan.version
        resolution.manifest = manifest
        resolution.sources = places
        resolution.isRooted = plan.isRooted
        resolution.isUncertain = false
        return true
    }

    /// Content keeps its number, and so its image, unless it may have changed unnoticed, or the old
    /// image waits for a node where the new one must not.
    private func keep(_ new: Resolution, insists: Bool) -> Resolution {
        var new = new
        let old = findings[new.name]
        let isOtherImage =
            new.isRooted && old.map { arrivals[$0.number]?.upstream == .waiting } ?? false
        if let old, !isStale(old) {
            // The node has begun to wait since it was queried; its client finds another source.
            if isOtherImage, !insists, new.continues(old) { return old }
            if old.version != nil, new.version == nil { return old }
            if new.version != nil, new.continues(old), !isOtherImage {
                if !new.isRooted || isJoinable(old) { return old }
                // What has come of it continues from the new sources.
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
            // Names of missing files may be made up by a client; they must not evict resolutions of
            // files that exist.
            if findings.count >= PeerNode.findingsMax, new.version != nil {
                findings = findings.filter { $0.value.version != nil }
            }
            if findings.count >= PeerNode.findingsMax { return new }
        }
        findings[new.name] = new
        return new
    }

    /// Forgets content that no source delivered completely: the next request searches again.
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
            "\(PrintableName.quoted(name)) differs between peers: \(others) has other content than the rest, or older, and is not asked for it"
        )
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

    /// Whether what has come of `old` may go on from here. Where `old` has a manifest every chunk
    /// is compared with it.
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
