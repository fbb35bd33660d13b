internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch

/// Fetching a file and handing it on, from one source after the other until it is whole.
extension PeerNode {
    /// Takes the bytes of a file in order, and returns when it has room for more.
    typealias Sink = @Sendable ([UInt8]) async throws -> Void

    /// How often other sources are looked for while nothing comes.
    private static let searchesMax = 5
    /// What a web server has to have sent before it broke off to be asked for the rest at once.
    private static let progressMin: UInt64 = 64 << 10
    /// How many nodes a file is got from at once.
    private static let partSourcesMax = 8

    nonisolated func feed(
        _ resolution: Resolution, _ version: FileVersion, to sink: Sink
    ) async throws {
        let (arrival, sources) = await begin(resolution)
        do {
            try await feed(resolution, version, arrival, sources, to: sink)
            await end(resolution, arrival, isWhole: true)
        } catch {
            await end(resolution, arrival, isWhole: false)
            throw error
        }
    }

    private nonisolated func feed(
        _ resolution: Resolution, _ version: FileVersion, _ arrival: Arrival,
        _ first: [Resolution.Place],
        to sink: Sink
    ) async throws {
        var resolution = resolution
        var sources = first
        var failed: Set<Resolution.Place> = []
        let knowsPlainServer = await knowsPlainServer
        var passed = !version.isStrong || knowsPlainServer ? ResumePrefix() : nil
        var searchCount = 0
        if try await copyParts(resolution, sources, arrival, &failed, to: sink) { return }
        while true {
            let before = arrival.progress.byteCount
            var waiting = sources.filter { !failed.contains($0) }
            while !waiting.isEmpty {
                let place = waiting.removeFirst()
                let count = arrival.progress.byteCount
                if try await copy(resolution, version, place, arrival, &passed, to: sink) { return }
                if case .http = place, arrival.progress.byteCount >= count + PeerNode.progressMin {
                    // It has only broken off: behind the others it is asked for the rest.
                    waiting.append(place)
                } else {
                    failed.insert(place)
                }
            }
            if arrival.progress.byteCount > before { searchCount = 0 }
            guard searchCount < PeerNode.searchesMax else { break }
            if searchCount > 0 {
                // Others may have it by now, and these may be back.
                try await Task.sleep(for: .milliseconds(100 << searchCount))
                failed = []
            }
            searchCount += 1
            let others = await otherSources(of: resolution, arrival, except: failed)
            sources = others?.sources ?? []
            resolution.snapshotPaths.merge(others?.snapshotPaths ?? [:]) { $1 }
            try Task.checkCancellation()
        }
        await forget(resolution)
        throw NoSource(name: resolution.name, byteCount: arrival.progress.byteCount)
    }

    /// What the file is got from, which may be other sources by now than when it was found.
    private func begin(_ resolution: Resolution) -> (Arrival, [Resolution.Place]) {
        statistics.fetchCount += 1
        var current = resolution
        if let kept = findings[resolution.name], kept.number == resolution.number {
            current = kept
            findings[resolution.name]?.isWhole = false
        }
        let arrival = Arrival(upstream: current.isRooted ? .rooted : .waiting)
        arrivals[resolution.number] = arrival
        return (arrival, current.sources)
    }

    private func end(_ resolution: Resolution, _ arrival: Arrival, isWhole: Bool) {
        // Another one may have begun, because this one's readers had all gone.
        guard arrivals[resolution.number]?.progress === arrival.progress else { return }
        arrivals[resolution.number] = nil
        if isWhole, findings[resolution.name]?.number == resolution.number {
            findings[resolution.name]?.isWhole = true
        }
    }

    /// Gets the file from all nodes that have it in their folders, where there are several. Whether
    /// that was all of it.
    private nonisolated func copyParts(
        _ resolution: Resolution, _ sources: [Resolution.Place], _ arrival: Arrival,
        _ failed: inout Set<Resolution.Place>, to sink: Sink
    ) async throws -> Bool {
        let places = await partPlaces(sources)
        guard let manifest = resolution.manifest?.manifest, places.count > 1,
            manifest.digests.count > 1
        else { return false }
        let progress = arrival.progress
        let fetch = ParallelDownload(manifest, after: progress.byteCount, workerCount: places.count)
        let left = try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(
                of: Resolution.Place?.self, returning: Set<Resolution.Place>.self
            ) { group in
                for (worker, place) in places.enumerated() {
                    group.addTask {
                        await self.work(worker, place, resolution, in: fetch) ? nil : place
                    }
                }
                // Idle workers are woken when this ends.
                do {
                    while let chunk = await fetch.next() {
                        try await sink(chunk)
                        progress.byteCount += UInt64(chunk.count)
                    }
                } catch {
                    await fetch.stop()
                    group.cancelAll()
                    throw error
                }
                await fetch.stop()
                group.cancelAll()
                return try await group.reduce(into: []) { left, place in
                    if let place { left.insert(place) }
                }
            }
        } onCancel: {
            Task { await fetch.stop() }
        }
        try Task.checkCancellation()
        failed.formUnion(left)
        return progress.byteCount == manifest.size
    }

    /// Whether the source had what it was asked for.
    private nonisolated func work(
        _ worker: Int, _ place: Resolution.Place, _ resolution: Resolution,
        in fetch: ParallelDownload
    ) async -> Bool {
        let (source, name) = await source(of: place, resolution)
        guard let source = source as? TFTPSource else { return true }
        var isWell = true
        do {
            try await fetch.work(worker, source, name)
        } catch is CancellationError {
            // Another was quicker with what this one had been asked for as well.
        } catch {
            isWell = false
            await noteFailover(resolution, place, source.text, fetch.byteCount(of: worker), error)
        }
        await note(fetch.byteCount(of: worker), from: place, isVerified: true)
        return isWell
    }

    /// The nodes among the sources that have the file in their folders. Not the origins: they are
    /// to be spared.
    private func partPlaces(_ sources: [Resolution.Place]) -> [Resolution.Place] {
        let nodes = sources.filter { place in
            guard case .folder(let index) = place, case .node = peers[index].kind else {
                return false
            }
            return !peers[index].isOrigin
        }
        return Array(nodes.prefix(PeerNode.partSourcesMax))
    }

    /// Whether `place` had all the rest.
    private nonisolated func copy(
        _ resolution: Resolution, _ version: FileVersion, _ place: Resolution.Place,
        _ arrival: Arrival,
        _ passed: inout ResumePrefix?, to sink: Sink
    ) async throws -> Bool {
        let (source, name) = await source(of: place, resolution)
        let progress = arrival.progress
        let before = progress.byteCount
        var check = resolution.manifest.map { ChunkCheck($0.manifest, after: before) }
        var beginning: ResumePrefix.Beginning?
        let result: Result<Void, any Error>
        do {
            if before > 0, case .fetcher(let peer) = place {
                await awaitProgress(of: resolution.name, at: peer, to: before)
            }
            // Bytes of two versions must not become one file.
            if before > 0, check == nil, let peer = place.peer {
                let isSame = await stillHas(version, resolution, peer)
                if !isSame || !version.isStrong {
                    let isComparable = isSame ? true : await isPlain(place)
                    guard isComparable, let passed else { throw SourceFailure.anotherVersion }
                    beginning = passed.beginning
                }
            }
            let start = beginning == nil ? before : 0
            let resumeCheck =
                check == nil ? passed.map { ResumeCheck.prefix($0) } ?? .version : .manifest
            try await source.copy(name, version, from: start, by: resumeCheck) { bytes in
                guard check != nil else {
                    let bytes = try beginning?.rest(of: bytes) ?? bytes
                    guard !bytes.isEmpty else { return }
                    passed?.add(bytes)
                    try await PeerNode.write(bytes, progress, to: sink)
                    return
                }
                check?.add(bytes)
                while let chunk = try check?.next() {
                    try await PeerNode.write(chunk, progress, to: sink)
                }
            }
            guard beginning?.isComplete ?? true else { throw SourceFailure.anotherVersion }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await note(progress.byteCount - before, from: place, isVerified: check != nil)
        switch result {
        case .success: return true
        case .failure(let error as Unwanted): throw error.error
        case .failure(let error):
            try Task.checkCancellation()
            await noteFailover(resolution, place, source.text, progress.byteCount, error)
            return false
        }
    }

    /// Waits until a node that fetches the file has come as far as this one, as long as it gets on.
    private nonisolated func awaitProgress(
        of name: String, at peer: Int, to byteCount: UInt64
    ) async {
        let clock = ContinuousClock()
        var latest: UInt64 = 0
        var latestAt = clock.now
        while let offer = await offer(of: name, at: peer), offer.state == .arriving,
            offer.byteCount < byteCount
        {
            if offer.byteCount > latest { (latest, latestAt) = (offer.byteCount, clock.now) }
            guard clock.now - latestAt < TFTPSource.patience,
                (try? await Task.sleep(for: .milliseconds(20))) != nil
            else { return }
        }
    }

    private static func write(
        _ bytes: [UInt8], _ progress: Arrival.Progress, to sink: Sink
    ) async throws {
        do {
            try await sink(bytes)
        } catch {
            throw Unwanted(error: error)
        }
        progress.byteCount += UInt64(bytes.count)
    }

    /// Whether there is a server that may go on only behind the same bytes; else they need not be
    /// kept in mind.
    private var knowsPlainServer: Bool {
        origins.count > 1
            || peers.contains { peer in
                if case .plain = peer.kind { true } else { peer.isOrigin }
            }
    }

    /// Whether it is a server that says nothing of its files but their size.
    private func isPlain(_ place: Resolution.Place) -> Bool {
        guard case .folder(let peer) = place else { return false }
        return peers[peer].kind == .plain
    }

    func source(
        of place: Resolution.Place, _ resolution: Resolution
    ) -> (any FileSource, String) {
        let pin = place.peer.flatMap { resolution.snapshotPaths[$0] }
        let name = pin ?? resolution.name
        let folder = pin.map { _ in "" }
        switch place {
        case .folder(let index): return (source(index, folder: folder), name)
        case .fetcher(let index):
            return (source(index, folder: folder), PeerName.fetch(name).text)
        case .http(let index):
            guard case .http(let source) = origins[index] else {
                preconditionFailure("places of HTTP servers are made of those")
            }
            return (source, name)
        }
    }

    func note(_ byteCount: UInt64, from place: Resolution.Place, isVerified: Bool) {
        if let peer = place.peer { peers[peer].byteCount += byteCount }
        if place.peer.map({ peers[$0].isOrigin }) ?? true {
            statistics.originByteCount += byteCount
        } else {
            statistics.peerByteCount += byteCount
        }
        if !isVerified { statistics.unverifiedByteCount += byteCount }
    }

    private func noteFailover(
        _ resolution: Resolution, _ place: Resolution.Place, _ source: String, _ byteCount: UInt64,
        _ error: any Error
    ) async {
        let name = resolution.name
        statistics.failoverCount += 1
        if case SourceFailure.wrongChunk(let index) = error {
            statistics.badChunkCount += 1
            if let peer = place.peer { peers[peer].badChunkCount += 1 }
            let isLying = await isLying(place, resolution)
            if let peer = place.peer, isLying {
                distrust.add(peer, name, until: .now + configuration.memory)
            }
            logger.error(
                "\(source) has sent wrong bytes of \(PrintableName.quoted(name)) (chunk \(index)): they were discarded\(isLying ? ", and the source is not used for this file for a while" : "")"
            )
            return
        }
        logger.notice(
            "\(PrintableName.quoted(name)) from \(source) broke off after \(byteCount) bytes: \(error)"
        )
    }

    /// Whether the peer that sent the bad chunk still advertises the same root; otherwise it has
    /// another version by now. Origins are trusted.
    private func isLying(_ place: Resolution.Place, _ resolution: Resolution) async -> Bool {
        guard let peer = place.peer, !peers[peer].isOrigin else { return false }
        let offer = await offer(of: resolution.name, at: peer)
        // A peer that does not answer is distrusted, unless this task has been cancelled.
        guard let offer else { return !Task.isCancelled }
        return offer.root == resolution.manifest?.manifest.root
    }
}

/// The reader does not want the rest; the source has not failed.
private struct Unwanted: Error {
    let error: any Error
}

/// All sources have failed.
struct NoSource: Error, CustomStringConvertible {
    let name: String
    let byteCount: UInt64

    var description: String {
        "no source of \(PrintableName.quoted(name)) has more than \(byteCount) bytes of it"
    }
}
