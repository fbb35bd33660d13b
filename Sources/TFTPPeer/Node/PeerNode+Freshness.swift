internal import Logging
internal import TFTPCore
internal import TFTPFetch

/// Whether what is known of a file that comes from an origin still is so.
extension PeerNode {
    /// How long an answer counts as fresh.
    private static let freshDuration = Duration.seconds(1)
    /// A client waits no longer than this for the check: the content at hand is better than none.
    private static let checkPatience = Duration.seconds(1)

    /// Whether `resolution` is what its source has now; asked at most once in `freshDuration`,
    /// however many want to know. A source that cannot say so is taken to have it still.
    func isCurrent(_ resolution: Resolution) async -> Bool {
        guard needsCheck(resolution) else { return true }
        let check =
            checks[resolution.name]
            ?? Task {
                let isCurrent = await self.check(resolution)
                checks[resolution.name] = nil
                if isCurrent, findings[resolution.name]?.number == resolution.number {
                    findings[resolution.name]?.checkedAt = .now
                } else if findings[resolution.name]?.number == resolution.number {
                    findings[resolution.name] = nil
                }
                return isCurrent
            }
        checks[resolution.name] = check
        return await check.value
    }

    private func needsCheck(_ resolution: Resolution) -> Bool {
        guard let version = resolution.version, !version.isPlain,
            arrivals[resolution.number] == nil,
            ContinuousClock.now - resolution.checkedAt > PeerNode.freshDuration
        else { return false }
        switch resolution.sources.first {
        case .http(let index): return lateOrigins[index].map { $0 <= .now } ?? true
        case .fetcher: return version.isOfOrigin
        case .folder, nil: return false
        }
    }

    private func check(_ resolution: Resolution) async -> Bool {
        await withTaskGroup(of: Bool?.self) { group in
            group.addTask { await self.ask(resolution) }
            group.addTask {
                try? await Task.sleep(for: PeerNode.checkPatience)
                return nil
            }
            defer { group.cancelAll() }
            if let answer = await group.next() ?? nil { return answer }
            if case .http(let index) = resolution.sources.first {
                noteLate([index], resolution.name)
            }
            return true
        }
    }

    private func ask(_ resolution: Resolution) async -> Bool {
        switch resolution.sources.first {
        case .http(let index):
            guard case .http(let source) = origins[index] else { return true }
            do {
                return try await source.look(resolution.name, unless: resolution.version)
                    == resolution.version
            } catch let failure as SourceFailure where failure.isAbsence {
                return false
            } catch {
                logger.debug("\(PrintableName.quoted(resolution.name)) at \(source.text): \(error)")
                return true
            }
        case .fetcher(let peer):
            let offer = await seek(
                resolution.name, pin: resolution.snapshotPaths[peer], at: peer)
            return offer.map { $0.version == resolution.version } ?? true
        case .folder, nil: return true
        }
    }
}
