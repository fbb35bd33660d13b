/// Something that a scenario goes without. What is left of a failing scenario when nothing more can
/// be left out says what matters.
package enum Reduction: Hashable, Sendable, CustomStringConvertible {
    /// All that one client does.
    case client(Int)
    /// What a client does last.
    case lastTask(Int)
    case fault(Faults.Kind)
    case hostile(HostileAct.Kind)
    case drain
    case lateDuplicates
    case singlePort
    case rates

    /// As it stands in a replay: `client3`, `task3`, `loss`, `flood`, `drain`.
    package var description: String {
        switch self {
        case .client(let number): "client\(number)"
        case .lastTask(let number): "task\(number)"
        case .fault(let kind): kind.rawValue
        case .hostile(let kind): kind.rawValue
        case .drain: "drain"
        case .lateDuplicates: "lateDuplicates"
        case .singlePort: "singlePort"
        case .rates: "rates"
        }
    }

    /// Reads one word of a replay.
    package init?(_ word: some StringProtocol) {
        let word = String(word)
        func number(after prefix: String) -> Int? {
            word.hasPrefix(prefix) ? Int(word.dropFirst(prefix.count)) : nil
        }
        if let number = number(after: "client") {
            self = .client(number)
        } else if let number = number(after: "task") {
            self = .lastTask(number)
        } else if let kind = Faults.Kind(rawValue: word) {
            self = .fault(kind)
        } else if let kind = HostileAct.Kind(rawValue: word) {
            self = .hostile(kind)
        } else {
            let others: [Reduction] = [
                .drain, .lateDuplicates, .singlePort, .rates,
            ]
            guard let other = others.first(where: { $0.description == word }) else { return nil }
            self = other
        }
    }
}

extension Scenario {
    /// The scenario of a seed, less what `reductions` name.
    package init(seed: UInt64, without reductions: [Reduction]) {
        self.init(seed: seed)
        for reduction in reductions { leaveOut(reduction) }
    }

    private mutating func leaveOut(_ reduction: Reduction) {
        switch reduction {
        case .client(let number) where clients.indices.contains(number): clients[number] = []
        case .lastTask(let number) where clients.indices.contains(number):
            _ = clients[number].popLast()
        case .client, .lastTask: break
        case .fault(.departure):
            for client in clients.indices {
                for task in clients[client].indices { clients[client][task].departure = nil }
            }
        case .fault(.replacement): replacements = []
        case .fault(let kind): faults.switchOff(kind)
        case .hostile(let kind): hostile.removeAll { $0 == kind }
        case .drain: drains = false
        case .lateDuplicates: hasLateDuplicates = false
        case .singlePort: isSinglePort = false
        case .rates: (clientBytesPerSecond, networkBytesPerSecond) = (nil, nil)
        }
    }

    /// All that could be left out.
    private var reductions: [Reduction] {
        clients.indices.filter { !clients[$0].isEmpty }.map { .client($0) }
            + clients.indices.filter { clients[$0].count > 1 }.map { .lastTask($0) }
            + hostile.map { .hostile($0) } + Faults.Kind.allCases.map { .fault($0) }
            + (drains ? [.drain] : []) + (hasLateDuplicates ? [.lateDuplicates] : [])
            + (isSinglePort ? [.singlePort] : []) + [.rates]
    }

    /// Leaves out of the scenario of `seed` whatever it fails without.
    ///
    /// - Parameters:
    ///   - sabotage: planted in each run.
    ///   - runsMax: tries no more.
    /// - Returns: what was left out, and what the smallest run that fails says.
    package static func shrink(
        seed: UInt64, sabotage: Sabotage = .none, without first: [Reduction] = [],
        runsMax: Int = 1000
    ) -> (without: [Reduction], violation: String)? {
        func violation(_ reductions: [Reduction]) -> String? {
            var scenario = Scenario(seed: seed, without: reductions)
            scenario.sabotage = sabotage
            return Simulation.run(scenario).violation
        }
        guard var seen = violation(first) else { return nil }
        var (taken, runCount, hasShrunk) = (first, 0, true)
        while hasShrunk {
            hasShrunk = false
            for reduction in Scenario(seed: seed, without: taken).reductions
            where !taken.contains(reduction) && runCount < runsMax {
                runCount += 1
                guard let found = violation(taken + [reduction]) else { continue }
                (seen, taken, hasShrunk) = (found, taken + [reduction], true)
            }
        }
        return (taken, seen)
    }
}

extension Faults {
    /// A fault that can be switched off by itself.
    package enum Kind: String, CaseIterable, Sendable {
        case loss, duplication, reordering, jitter, disk, eviction, poolFull, intrusion, departure
        case diskError, slowExtent, diskFull, replacement, sendRefused, sendDropped, noRoom, deaf
        case slowTask, oldServer
    }

    mutating func switchOff(_ kind: Kind) {
        switch kind {
        case .loss: lossPerMille = 0
        case .duplication: duplicationPerMille = 0
        case .reordering: (reorderingPerMille, reorderingNanoseconds) = (0, 0)
        case .jitter: jitterNanoseconds = 0
        case .disk: diskNanoseconds = 0
        case .eviction: evictionPerMille = 0
        case .poolFull: poolFullPerMille = 0
        case .intrusion: intrusionPerMille = 0
        case .departure: departurePerMille = 0
        case .diskError: diskErrorPerMille = 0
        case .slowExtent: slowExtentPerMille = 0
        case .diskFull: diskFullPerMille = 0
        case .replacement: replacesFiles = false
        case .sendRefused: sendRefusedPerMille = 0
        case .sendDropped: sendDroppedPerMille = 0
        case .noRoom: noRoomPerMille = 0
        case .deaf: deafPerMille = 0
        case .slowTask: taskNanoseconds = 0
        case .oldServer: oldServer = .none
        }
    }
}
