/// The verdict on the trials of one load: which setting is best, and which do harm.
///
/// Settings that fragment are never the best: many boot ROMs and firewalls do not pass fragments,
/// which no trial here can show. They are measured to show what they would gain.
package struct TuneJudge: Sendable {
    package let clientCount: Int
    /// In the order of the grid.
    package let scores: [TuneScore]
    package let path: TunePath
    /// Of the packets of lockstep, how many are repeated: no setting can help that.
    private let lossShare: Double

    /// As good as the best: what is nearer to it than this, or than the best's own trials to each
    /// other.
    package static let tolerance = 0.05
    /// The limit for a machine that measures too little: it must not make all settings equal.
    private static let toleranceMax = 0.2
    /// What a network without loss may repeat by chance.
    private static let repeatShareChance = 0.02
    /// A lost packet costs a window about half of itself. Ten times what lockstep repeats stands
    /// for a window of twenty, which is as far as a network with loss should be driven.
    private static let repeatsPerLoss = 10.0
    private static let lossShareMin = 0.002
    private static let trialsMin = 3
    /// What a setting loses, or sends in vain, that is called harmful.
    private static let harmShare = 0.1
    private static let floodShare = 0.25

    /// - Precondition: all scores are of this load.
    package init(_ scores: [TuneScore], clientCount: Int, path: TunePath) {
        precondition(scores.allSatisfy { $0.clientCount == clientCount })
        self.clientCount = clientCount
        self.scores = scores
        self.path = path
        let lockstep = scores.filter {
            $0.setting.windowsize == 1 && path.packetCount(blksize: $0.setting.blksize) == 1
        }
        let repeatCount = lockstep.reduce(0) { $0 + $1.repeatCount }
        let packetCount = lockstep.reduce(0) { $0 + $1.packetCount } + repeatCount
        lossShare = Double(repeatCount) / Double(max(1, packetCount))
    }

    /// How much may be sent again or in vain by a setting that is recommended.
    package var repeatShareMax: Double {
        TuneJudge.repeatShareChance + TuneJudge.repeatsPerLoss * lossShare
    }

    /// Whether lockstep itself loses packets, so that time-outs count.
    package var isLossy: Bool { lossShare > TuneJudge.lossShareMin }

    package func isClean(_ score: TuneScore) -> Bool {
        score.failureCount == 0 && score.repeatShare <= repeatShareMax
    }

    private func fragments(_ score: TuneScore) -> Bool {
        path.packetCount(blksize: score.setting.blksize) > 1
    }

    /// Those that may be recommended: in one piece, and clean if any is.
    package var candidates: [TuneScore] {
        let fitting = scores.filter { !fragments($0) && $0.goodput > 0 }
        let clean = fitting.filter(isClean)
        return clean.isEmpty ? fitting : clean
    }

    /// The smallest window that is as good as any, and with it the largest block: fewer packets
    /// cost less at both ends.
    package var best: TuneScore? {
        guard let top = candidates.max(by: { $0.goodput < $1.goodput }) else { return nil }
        let tolerance = tolerance(against: top)
        return candidates.filter { $0.goodput >= top.goodput * (1 - tolerance) }
            .min { TuneJudge.isSmaller($0.setting, $1.setting) }
    }

    /// Few trials do not say how far they differ.
    private func tolerance(against score: TuneScore) -> Double {
        guard score.trialCount >= TuneJudge.trialsMin else { return TuneJudge.toleranceMax }
        return min(TuneJudge.toleranceMax, max(TuneJudge.tolerance, score.spread))
    }

    static func isSmaller(_ one: TuneSetting, _ other: TuneSetting) -> Bool {
        one.windowsize != other.windowsize
            ? one.windowsize < other.windowsize : one.blksize > other.blksize
    }

    package var basic: TuneScore? { scores.first { $0.setting == .basic } }

    package func score(_ setting: TuneSetting) -> TuneScore? {
        scores.first { $0.setting == setting }
    }

    /// The windows larger than that of the best which do harm, at the same blksize: from the first
    /// on, all do.
    package var harmfulWindows: [TuneScore] {
        guard let best else { return [] }
        let larger = scores.filter { score in
            score.setting.blksize == best.setting.blksize
                && score.setting.windowsize > best.setting.windowsize
        }
        return Array(larger.reversed().prefix(while: isHarmful).reversed())
    }

    /// Whether a setting is slower than the best beyond what their trials differ, or sends much in
    /// vain for nothing.
    package func isHarmful(_ score: TuneScore) -> Bool {
        guard let best else { return false }
        if score.failureCount > 0 { return true }
        let doubt = max(tolerance(against: score), tolerance(against: best))
        let isSlower = score.goodput < best.goodput * (1 - max(TuneJudge.harmShare, doubt))
        let isFaster = score.goodput > best.goodput * (1 + TuneJudge.harmShare)
        let floods = score.repeatShare > max(repeatShareMax, TuneJudge.floodShare)
        return isSlower && score.goodputHigh < best.goodputLow || floods && !isFaster
    }

    /// Whether the window of `setting` is larger than the best one, and harmful.
    func isOverdriven(_ setting: TuneSetting) -> Bool {
        guard let best, let score = score(setting) else { return false }
        return setting.windowsize > best.setting.windowsize && isHarmful(score)
    }

    /// The fastest of the settings that fragment.
    package var bestFragmenting: TuneScore? {
        scores.filter { fragments($0) && $0.failureCount == 0 }.max { $0.goodput < $1.goodput }
    }

    /// Whether the best has too few trials to trust, or they differ much.
    package var isUncertain: Bool {
        guard let best else { return true }
        return best.trialCount < TuneJudge.trialsMin || best.spread > 2 * TuneJudge.tolerance
    }
}

/// One setting for all loads: settings stay, however many clients come.
package struct TuneCompromise: Sendable {
    package var setting: TuneSetting
    /// Of the best of each load, how much this reaches in the load that it suits least.
    package var shareMin: Double

    /// What reaches most of each load's best in the load that it suits least, and has no larger
    /// window than does harm in any.
    package init?(_ judges: [TuneJudge]) {
        let tops = judges.compactMap { $0.best?.goodput }
        guard let first = judges.first, tops.count == judges.count else { return nil }
        if judges.count == 1, let best = first.best {
            (setting, shareMin) = (best.setting, 1)
            return
        }
        let harmless = first.candidates.map(\.setting).filter { setting in
            judges.allSatisfy { !$0.isOverdriven(setting) }
        }
        let shares = harmless.compactMap { TuneCompromise($0, judges, tops) }
        guard let top = shares.max(by: { $0.shareMin < $1.shareMin }) else { return nil }
        let equals = shares.filter { $0.shareMin >= top.shareMin * (1 - TuneJudge.tolerance) }
        self = equals.min { TuneJudge.isSmaller($0.setting, $1.setting) } ?? top
    }

    private init?(_ setting: TuneSetting, _ judges: [TuneJudge], _ tops: [Double]) {
        var least = 1.0
        for (judge, top) in zip(judges, tops) {
            guard let score = judge.score(setting) else { return nil }
            least = min(least, score.goodput / top)
        }
        self.setting = setting
        shareMin = least
    }
}

/// What a setting costs under one load: what it falls short of that load's best, and sends in vain.
package struct TunePrice: Equatable, Sendable {
    package var clientCount: Int
    /// Below 0: slower than the best by this share.
    package var goodputChange: Double
    /// Of the packets, those sent again or in vain.
    package var repeatShare: Double
    package var failureCount: Int
}

extension TuneJudge {
    /// The price of `setting`; nil where it has none, or was not tried.
    ///
    /// A setting without a price is as good as the best within the trials' spread, sends no more in
    /// vain than a recommended one may, and no transfer with it failed.
    package func price(of setting: TuneSetting) -> TunePrice? {
        guard let best, best.goodput > 0, let score = score(setting) else { return nil }
        let change = score.goodput / best.goodput - 1
        guard change < -TuneJudge.tolerance || !isClean(score) else { return nil }
        return TunePrice(
            clientCount: clientCount, goodputChange: change, repeatShare: score.repeatShare,
            failureCount: score.failureCount)
    }
}
