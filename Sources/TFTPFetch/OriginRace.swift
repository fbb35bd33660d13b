/// Which origin is queried for a file, and when: one after the other as they are listed. The next
/// one is queried at once if one does not have the file or fails, and in parallel if one is only
/// late. So an origin that hangs costs `lateDuration`, and a slow answer is still used.
///
/// A value without a clock or a socket. Times are since the race began.
package struct OriginRace: Equatable, Sendable {
    /// What an origin has answered.
    package enum Answer: Equatable, Sendable {
        case absent
        case failed
        /// It has failed in a way that may be over when it is asked again.
        case brokeOff
        /// It requests a retry, after this duration if given.
        case busy(Duration?)
    }

    /// How long an origin may take before the next one is queried in parallel.
    package static let lateDuration = Duration.milliseconds(800)
    /// Where all have been asked, one that is late is asked once more, by another connection.
    package static let againDuration = Duration.milliseconds(1600)
    /// All of it.
    package static let allDuration = Duration.seconds(6)
    /// When one that has broken off is asked once more.
    package static let retryDuration = Duration.milliseconds(200)
    /// Where one that is busy does not say for how long.
    private static let busyDuration = Duration.milliseconds(500)

    private struct Entry: Equatable {
        let origin: Int
        var state = State.unasked
        var askedCount = 0
        var askedAt = Duration.zero

        enum State: Equatable {
            case unasked
            case asked
            case waiting(until: Duration)
            case absent
            case failed
        }
    }

    private var entries: [Entry]
    /// Those that are asked once more where they are late: not those by UDP, whose packets are
    /// repeated anyway.
    private let askedAgain: Set<Int>

    /// - Parameters:
    ///   - order: numbers of origins, the one to be asked first at the beginning.
    ///   - askedAgain: those that another connection may help.
    package init(_ order: [Int], askedAgain: Set<Int>) {
        entries = order.map { Entry(origin: $0) }
        self.askedAgain = askedAgain
    }

    /// Whether one may have the file that could not say so.
    package var isUncertain: Bool { entries.contains { $0.state != .absent } }

    /// The origins that have not answered in this time.
    package func late(at now: Duration) -> [Int] {
        entries.filter { $0.state == .asked && now - $0.askedAt >= OriginRace.lateDuration }
            .map(\.origin)
    }

    /// The origins to query now; each is queried once for each time it is listed.
    package mutating func due(at now: Duration) -> [Int] {
        guard now < OriginRace.allDuration else { return [] }
        return entries.indices.filter { mayAsk($0, at: now) }.map { index in
            entries[index].state = .asked
            entries[index].askedCount += 1
            entries[index].askedAt = now
            return entries[index].origin
        }
    }

    /// Takes what an origin has answered.
    package mutating func note(_ origin: Int, _ answer: Answer, at now: Duration) {
        guard let index = entries.firstIndex(where: { $0.origin == origin }),
            entries[index].state == .asked
        else { return }
        switch answer {
        case .absent: entries[index].state = .absent
        case .failed: entries[index].state = .failed
        case .brokeOff:
            let mayRetry =
                entries[index].askedCount == 1 && askedAgain.contains(origin)
                && now + OriginRace.retryDuration < OriginRace.allDuration
            entries[index].state =
                mayRetry ? .waiting(until: now + OriginRace.retryDuration) : .failed
        case .busy(let delay):
            let count = entries[index].askedCount
            let until = now + (delay ?? OriginRace.busyDuration * (1 << min(count - 1, 4)))
            entries[index].state =
                until < OriginRace.allDuration ? .waiting(until: until) : .failed
        }
    }

    /// When an origin is due next; nil when the race is over without a file.
    package func wake(after now: Duration) -> Duration? {
        guard now < OriginRace.allDuration else { return nil }
        var times: [Duration] = []
        for index in entries.indices {
            switch entries[index].state {
            case .unasked: times.append(turn(of: index))
            case .waiting(let until): times.append(until)
            case .asked:
                times.append(OriginRace.allDuration)
                if mayAskAgain(index) {
                    times.append(entries[index].askedAt + OriginRace.againDuration)
                }
            case .absent, .failed: break
            }
        }
        return times.filter { $0 > now }.min()
    }

    private var hasUnasked: Bool { entries.contains { $0.state == .unasked } }

    private func mayAsk(_ index: Int, at now: Duration) -> Bool {
        switch entries[index].state {
        case .unasked: now >= turn(of: index)
        case .waiting(let until): now >= until
        case .asked:
            mayAskAgain(index) && now >= entries[index].askedAt + OriginRace.againDuration
        case .absent, .failed: false
        }
    }

    private func mayAskAgain(_ index: Int) -> Bool {
        entries[index].askedCount == 1 && askedAgain.contains(entries[index].origin) && !hasUnasked
    }

    /// When an origin that has not been asked yet is: after those before it have been, and the last
    /// of them is late or has said that it has not got it.
    private func turn(of index: Int) -> Duration {
        let before = entries[..<index]
        guard !before.contains(where: { $0.state == .unasked }) else { return .seconds(3600) }
        return before.filter { $0.state == .asked }.map { $0.askedAt + OriginRace.lateDuration }
            .max() ?? .zero
    }
}
