internal import FoundationEssentials
internal import TFTPCore
internal import TFTPLoad
internal import TFTPReactor

/// What a sweep came to, for machines. Times in seconds, goodput in bytes a second; MB is 10^6
/// bytes.
struct TuneSummary: Codable {
    struct Parameters: Codable {
        /// nil: one of tune's own.
        var server: String?
        var file: String?
        var clients: Int
        var seconds: Double
        var impair: String?
        /// Whether the server of its own paced its windows.
        var pacing: Bool
        var seed: UInt64
    }

    /// So many clients at once.
    struct Load: Codable {
        var clientCount: Int
        var best: TuneScore
        /// The default, 512/1.
        var basic: TuneScore?
        /// More than this much sent again or in vain is called harmful.
        var repeatShareMax: Double
        /// Larger windows than the best that do harm at the same blksize.
        var harmfulWindows: [TuneScore]
        var bestFragmenting: TuneScore?
        var isUncertain: Bool
        var scores: [TuneScore]
    }

    var parameters: Parameters
    var wasInterrupted: Bool
    var path: TunePath
    var blksizeFitting: Int
    var blksizes: [Int]
    var windowsizes: [Int]
    var asked: TuneSetting
    var granted: TuneSetting
    var knowsWindows: Bool
    var roundTripSeconds: Double
    var fileByteCountMax: UInt64?
    var loads: [Load]
    /// One setting for all loads, and what it reaches of the best in the load that it suits least.
    var recommended: TuneSetting?
    var recommendedShareMin: Double?
    var timeouts: [TuneScore]
    /// The default, and what is recommended, compared once more; empty where that was not asked
    /// for.
    var verified: [TuneScore]
    /// What to paste where: for an Ethernet, where loopback was measured.
    var lines: [String]
    var trials: [TuneTrial]
}

extension TuneSummary {
    init(_ findings: TuneFindings, _ tune: Tune) {
        let judges = findings.judges
        let compromise = TuneCompromise(judges)
        parameters = Parameters(tune)
        wasInterrupted = findings.wasInterrupted
        path = findings.path
        blksizeFitting = findings.path.blksizeFitting
        blksizes = findings.plan.grid.blksizes
        windowsizes = findings.plan.grid.windowsizes
        asked = findings.asked
        granted = findings.granted
        knowsWindows = findings.knowsWindows
        roundTripSeconds = findings.plan.roundTripSeconds
        fileByteCountMax = findings.fileByteCountMax
        loads = judges.compactMap(Load.init)
        recommended = compromise?.setting
        recommendedShareMin = compromise?.shareMin
        timeouts = findings.timeoutScores
        verified = findings.verified.map { [$0.before, $0.after] } ?? []
        trials = findings.trials + findings.timeoutTrials + findings.verificationTrials
        lines = findings.pasted.map { TuneLines(setting: $0).all.map(\.line) } ?? []
    }
}

extension TuneSummary.Parameters {
    init(_ tune: Tune) {
        server = tune.url?.host
        file = tune.url?.name
        clients = tune.clients
        seconds = tune.seconds
        impair = tune.impair?.text
        pacing = tune.pacing
        seed = tune.seed
    }
}

extension TuneSummary.Load {
    /// - Returns: nil where nothing was measured.
    init?(_ judge: TuneJudge) {
        guard let best = judge.best else { return nil }
        clientCount = best.clientCount
        self.best = best
        basic = judge.basic
        repeatShareMax = judge.repeatShareMax
        harmfulWindows = judge.harmfulWindows
        bestFragmenting = judge.bestFragmenting
        isUncertain = judge.isUncertain
        scores = judge.scores
    }
}
