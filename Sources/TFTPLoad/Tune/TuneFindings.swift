/// What a sweep has measured.
package struct TuneFindings: Sendable {
    package let plan: TunePlan
    /// The largest of everything that was asked for, and what the server granted.
    package let asked: TuneSetting
    package let granted: TuneSetting
    package internal(set) var trials: [TuneTrial] = []
    /// With the setting for all loads and the largest load, a `timeout` each; only where packets
    /// are lost.
    package internal(set) var timeoutTrials: [TuneTrial] = []
    /// The default and the setting that is recommended, in turn; only where that was asked for.
    package internal(set) var verificationTrials: [TuneTrial] = []
    /// An upper bound of the file's size in bytes; nil until a client has got the whole of it.
    package private(set) var fileByteCountMax: UInt64?
    package internal(set) var wasInterrupted = false

    package init(plan: TunePlan, asked: TuneSetting, granted: TuneSetting) {
        self.plan = plan
        self.asked = asked
        self.granted = granted
    }

    mutating func noteFile(_ report: StormReport) {
        guard report.doneCount > 0 else { return }
        let byteCount = report.byteCount / UInt64(report.doneCount)
        fileByteCountMax = min(fileByteCountMax ?? byteCount, byteCount)
    }

    /// Whether the server knows RFC 7440, as far as it was asked.
    package var knowsWindows: Bool { asked.windowsize == 1 || granted.windowsize > 1 }

    /// Of all kinds.
    package var trialCount: Int {
        trials.count + timeoutTrials.count + verificationTrials.count
    }

    /// What the default and the recommended setting came to when they were compared once more.
    package var verified: (before: TuneScore, after: TuneScore)? {
        let scores = TuneFindings.scores(verificationTrials).values
        guard let before = scores.first(where: { $0.setting == .basic }),
            let after = scores.first(where: { $0.setting != .basic })
        else { return nil }
        return (before, after)
    }

    package var scores: [TuneCell: TuneScore] { TuneFindings.scores(trials) }

    package var path: TunePath { plan.path }

    /// One for each load.
    package var judges: [TuneJudge] { judges(on: path) }

    /// What is best if these trials had been made on another path.
    package func judges(on path: TunePath) -> [TuneJudge] {
        let scores = scores
        return plan.clientCounts.map { count in
            let own = plan.cells.filter { $0.clientCount == count }
            return TuneJudge(own.compactMap { scores[$0] }, clientCount: count, path: path)
        }
    }

    /// What each `timeout` came to, none first.
    package var timeoutScores: [TuneScore] {
        TuneFindings.scores(timeoutTrials).values.sorted {
            ($0.setting.timeout ?? 0) < ($1.setting.timeout ?? 0)
        }
    }

    /// The `timeout` that is clearly better than none; nil where it is best left out, as nearly
    /// everywhere: a server that measures the round trip knows better.
    package var betterTimeout: Int? {
        let scores = timeoutScores
        guard let without = scores.first, without.setting.timeout == nil,
            let best = scores.max(by: { $0.goodput < $1.goodput }),
            best.goodput > without.goodput * TuneFindings.timeoutGain,
            best.goodputLow > without.goodputHigh
        else { return nil }
        return best.setting.timeout
    }

    /// Losses are chance: less than this may be luck.
    private static let timeoutGain = 1.25

    private static func scores(_ trials: [TuneTrial]) -> [TuneCell: TuneScore] {
        Dictionary(grouping: trials, by: \.cell).compactMapValues(TuneScore.init)
    }
}
