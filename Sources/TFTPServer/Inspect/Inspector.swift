internal import Glibc
internal import Synchronization
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPReactor
internal import TFTPServing

/// Remembers recent failures, and passes records to the traces of a client. Fed by the reporter,
/// never by a shard.
final class Inspector: Sendable {
    private struct Problem {
        var record: TransferRecord
        var at: ContinuousClock.Instant
        var count = 1
    }

    private struct State {
        /// Oldest first.
        var problems: [Problem] = []
        var followers: [Int: @Sendable (TransferRecord) -> Void] = [:]
        var nextFollower = 0
        var roundCount = 0
    }

    private let state = Mutex(State())
    static let problemsMax = 64
    static let followersMax = 16
    /// A slow log may hold the reporter up.
    private static let catchUpMax = Duration.milliseconds(300)

    /// The reporter has passed on all that there was.
    func endRound() { state.withLock { $0.roundCount += 1 } }

    /// Blocks the caller until what has ended before is known here: two rounds of the reporter,
    /// because one may be under way.
    func catchUp() {
        let roundCount = state.withLock { $0.roundCount }
        let end = ContinuousClock.now + Inspector.catchUpMax
        while state.withLock({ $0.roundCount }) - roundCount < 2, ContinuousClock.now < end {
            usleep(2_000)
        }
    }

    func note(_ record: TransferRecord) {
        let followers = state.withLock { state in
            if record.isProblem { Inspector.keep(record, &state) }
            return Array(state.followers.values)
        }
        for follower in followers { follower(record) }
    }

    /// A client repeats its request many times: the same again only counts.
    private static func keep(_ record: TransferRecord, _ state: inout State) {
        let now = ContinuousClock.now
        let same = state.problems.firstIndex { problem in
            problem.record.peer.address == record.peer.address
                && problem.record.outcome == record.outcome
                && problem.record.reason == record.reason
                && problem.record.name.isEqual(to: record.name)
        }
        var problem = Problem(record: record, at: now)
        if let same { problem.count = state.problems.remove(at: same).count + 1 }
        if state.problems.count == problemsMax { state.problems.removeFirst() }
        state.problems.append(problem)
    }

    /// The latest, newest first.
    var problems: [ProblemStatus] {
        let now = ContinuousClock.now
        return state.withLock { state in
            state.problems.reversed().map { problem in
                var status = ProblemStatus(problem.record)
                status.ageSeconds = (now - problem.at) / .seconds(1)
                status.count = problem.count
                return status
            }
        }
    }

    /// Has `body` called for every record, on the reporter's thread, until `unfollow`; nil when too
    /// many do already.
    func follow(_ body: @escaping @Sendable (TransferRecord) -> Void) -> Int? {
        state.withLock { state in
            guard state.followers.count < Inspector.followersMax else { return nil }
            state.nextFollower += 1
            state.followers[state.nextFollower] = body
            return state.nextFollower
        }
    }

    func unfollow(_ number: Int) { state.withLock { $0.followers[number] = nil } }
}

extension TransferRecord {
    /// Facts that explain why a machine does not boot.
    fileprivate var isProblem: Bool {
        guard !isStart else { return false }
        switch outcome {
        case .done, .doneUnacknowledged, .probe, .replaced, .ghost: return false
        case .aborted, .timedOut, .refused, .failed, .cutOff: return true
        }
    }
}

extension ProblemStatus {
    init(_ record: TransferRecord) {
        client = "\(record.peer.address)"
        line = record.line
        outcome = record.outcome.label
        reason = record.reason == .none ? nil : record.reason.label
        name = record.name.text
    }
}
