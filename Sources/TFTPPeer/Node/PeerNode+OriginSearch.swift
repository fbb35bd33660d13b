internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch

/// Looking for a file at the origins.
extension PeerNode {
    /// What the origins have. One look a name, however many wait for it.
    func look(
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

    /// Finds an origin that has it; those behind it may stand in for it. Those that have `failed`,
    /// or were late a moment ago, come last.
    private func lookAtOrigins(_ name: String, except failed: Set<Resolution.Place>) async
        -> Resolution
    {
        let order = originOrder(of: name, except: failed)
        if failed.isEmpty, let judged = judged.removeValue(forKey: name),
            ContinuousClock.now - judged.at < PeerNode.judgedMemory
        {
            var resolution = Resolution(name: name)
            await take(judged.index, judged.answer, order, &resolution)
            return resolution
        }
        let (found, isUncertain) = await race(name, order, opens: true)
        var resolution = Resolution(name: name)
        guard let found else {
            resolution.isUncertain = isUncertain
            return resolution
        }
        await take(found.index, found.answer, order, &resolution)
        return resolution
    }

    /// What the origins have, without making one of them the source.
    ///
    /// - Parameter opens: whether the file is likely to be fetched from there.
    func judge(_ name: String, opens: Bool) async -> Fetch.Verdict {
        let (found, isUncertain) = await race(name, originOrder(of: name, except: []), opens: opens)
        guard let found else { return isUncertain ? .uncertain : .absent }
        if judged.count >= PeerNode.judgedMax { judged = [:] }
        judged[name] = Judged(index: found.index, answer: found.answer, at: .now)
        switch found.answer.answer {
        case .plain(let version): return .has(version, root: nil)
        case .node(let offer):
            return offer.version.map { .has($0, root: offer.root) } ?? .uncertain
        }
    }

    /// Asks origins, the first of `order` first, until one has the file.
    private func race(
        _ name: String, _ order: [Int], opens: Bool
    ) async -> (found: (index: Int, answer: PeerAnswer)?, isUncertain: Bool) {
        let started = ContinuousClock.now
        let web = order.filter { if case .http = origins[$0] { true } else { false } }
        var race = OriginRace(order, askedAgain: Set(web))
        let found = await withTaskGroup(of: OriginEvent.self, returning: OriginEvent?.self) {
            group in
            defer { group.cancelAll() }
            while true {
                for index in race.due(at: .now - started) {
                    group.addTask { await self.askOrigin(index, name, opens: opens) }
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
        guard case .has(let index, let answer) = found else { return (nil, race.isUncertain) }
        return ((index, answer), false)
    }

    private enum OriginEvent: Sendable {
        case has(Int, PeerAnswer)
        case answer(Int, OriginRace.Answer)
        case wake
    }

    /// A search soon after an origin's answer uses that answer.
    private static let judgedMemory = Duration.seconds(1)
    private static let judgedMax = 1024

    /// How long an origin that was late is asked behind the others.
    private static let lateMemory = Duration.seconds(10)

    private func originOrder(of name: String, except failed: Set<Resolution.Place>) -> [Int] {
        let now = ContinuousClock.now
        let wrong = originDistrust.peers(name)
        let isLast = origins.indices.map { index in
            failed.contains(originPlace(index)) || wrong.contains(index)
                || lateOrigins[index].map { $0 > now } ?? false
        }
        return origins.indices.filter { !isLast[$0] } + origins.indices.filter { isLast[$0] }
    }

    func noteLate(_ late: [Int], _ name: String) {
        for index in late {
            lateOrigins[index] = .now + PeerNode.lateMemory
            logger.warning(
                "origin \(configuration.origins[index]) is late with \(PrintableName.quoted(name)): others are asked before it for a while"
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

    private func askOrigin(_ index: Int, _ name: String, opens: Bool) async -> OriginEvent {
        do {
            guard let answer = try await origin(index, has: name, opens: opens) else {
                return .answer(index, .absent)
            }
            return .has(index, answer)
        } catch {
            if !Task.isCancelled { noteOrigin(index, name, error) }
            guard let failure = error as? SourceFailure else { return .answer(index, .failed) }
            if case .busy(_, let delay) = failure { return .answer(index, .busy(delay)) }
            if failure.isAbsence { return .answer(index, .absent) }
            return .answer(index, failure.isPassing ? .brokeOff : .failed)
        }
    }

    /// Writes a line about an origin that does not send a file, once a minute for each reason.
    private func noteOrigin(_ index: Int, _ name: String, _ error: any Error) {
        guard originLines.take(index, "\(error)", at: .now) else { return }
        logger.warning(
            "origin \(configuration.origins[index]) cannot be asked for \(PrintableName.quoted(name)): \(error)"
        )
    }

    private func origin(_ index: Int, has name: String, opens: Bool) async throws -> PeerAnswer? {
        switch origins[index] {
        case .peer(let peer): try await askOrigin(peer: peer, name).map { (peer, $0) }
        case .http(let source):
            try await (opens ? source.look(name) : source.peek(name)).map { (index, .plain($0)) }
        }
    }

    func originPlace(_ index: Int) -> Resolution.Place {
        switch origins[index] {
        case .peer(let peer): .folder(peer)
        case .http: .http(index)
        }
    }
}
