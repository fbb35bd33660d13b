internal import Histogram
internal import Synchronization
internal import TFTPCore
internal import TFTPReactor

/// Sweeps settings against one server, trial by trial, each a short storm of `plain` clients.
///
/// `run` once. `interrupt` may be called from any thread meanwhile.
package final class Tuner: Sendable {
    private let configuration: TuneConfiguration
    private let tell: @Sendable (TuneProgress) -> Void
    private let state = Mutex(State())

    private struct State {
        var isInterrupted = false
        var storm: Storm?
    }

    /// How long the server may take for its first word, try by try.
    private static let probeSeconds = [0.25, 1.0, 4.0]
    /// Where packets are lost: what is kept of the time to try time-outs, and which.
    private static let timeoutsBudget = 0.25
    private static let timeouts: [Int?] = [nil, 1, 2, 5]
    private static let timeoutRounds = 2
    /// What is kept of the time to compare what is recommended with the default once more.
    private static let verificationBudget = 0.2
    private static let verificationRounds = 3

    /// - Parameter tell: called after each trial, on the thread of `run`.
    package init(
        _ configuration: TuneConfiguration,
        tell: @escaping @Sendable (TuneProgress) -> Void = { _ in }
    ) {
        precondition(configuration.seconds > 0)
        self.configuration = configuration
        self.tell = tell
    }

    /// Ends the sweep; `run` returns what it has found so far.
    package func interrupt() {
        state.withLock { state in
            state.isInterrupted = true
            state.storm?.interrupt()
        }
    }

    private var isInterrupted: Bool { state.withLock { $0.isInterrupted } }

    /// Blocks until everything is tried, or the time is over.
    package func run() throws(TuneError) -> TuneFindings {
        let target = try TuneTarget(configuration)
        var findings = try probe(target)
        let end = Deadline(seconds: configuration.seconds)
        try sweep(&findings, target, until: end)
        try tryTimeouts(&findings, target, until: end)
        if configuration.verifies { try verify(&findings, target, until: end) }
        findings.wasInterrupted = isInterrupted
        try target.finish()
        return findings
    }

    // MARK: The first question

    /// Asks for the largest of everything, to learn what the server grants and how far away it is.
    private func probe(_ target: TuneTarget) throws(TuneError) -> TuneFindings {
        let path = self.path
        let grid = TuneGrid(
            blksizes: configuration.blksizes ?? TuneGrid.blksizes(for: path),
            windowsizes: configuration.windowsizes)
        let largest = TuneSetting(
            blksize: grid.blksizes.last!, windowsize: grid.windowsizes.last!)
        let report = try ask(largest, target)
        let blksize = report.grantedBlksize?.upperBound ?? TuneSetting.basic.blksize
        let windowsize = report.grantedWindowsize?.upperBound ?? TuneSetting.basic.windowsize
        let roundTrip = Double(report.turnaround.valueAtPercentile(50)) / 1e9
        let plan = TunePlan(
            grid: grid.limited(blksize: blksize, windowsize: windowsize), path: path,
            clientCounts: configuration.clientCounts, seconds: configuration.seconds,
            roundTripSeconds: roundTrip, seed: configuration.seed)
        return TuneFindings(
            plan: plan, asked: largest,
            granted: TuneSetting(blksize: blksize, windowsize: windowsize))
    }

    private var path: TunePath {
        let address = configuration.server.address
        guard configuration.impairment == nil else { return .ethernet }
        let mtu = pathMTU(to: address) ?? TunePath.ethernet.mtu
        return TunePath(mtu: mtu, isIPv4: address.isIPv4)
    }

    private func ask(
        _ setting: TuneSetting, _ target: TuneTarget
    ) throws(TuneError) -> StormReport {
        var report = StormReport()
        for seconds in Tuner.probeSeconds {
            report = try storm(TuneCell(setting, clientCount: 1), seconds: seconds, target)
            if report.grantedBlksize != nil { return report }
            if report.failedCount > 0 || isInterrupted { break }
        }
        throw .storm(
            StormError(fetching: configuration.name, from: configuration.server, report))
    }

    // MARK: Trials

    private func sweep(
        _ findings: inout TuneFindings, _ target: TuneTarget, until end: Deadline
    ) throws(TuneError) {
        for round in 0..<TunePlan.roundsMax {
            let isLossy = findings.judges.contains(where: \.isLossy)
            let kept = (isLossy ? Tuner.timeoutsBudget : 0) * configuration.seconds + verifySeconds
            let scores = findings.scores
            for cell in findings.plan.round(round, scores: scores) {
                let seconds = findings.plan.trialSeconds(scores[cell])
                guard end.secondsLeft - kept > seconds, !isInterrupted else { return }
                guard let trial = try measure(cell, seconds, target, &findings) else { return }
                findings.trials.append(trial)
                report(trial, findings, until: end)
            }
        }
    }

    /// Where packets are lost, what a `timeout` changes: with the setting for all loads, and the
    /// largest load, because one client alone would make too few losses to tell.
    private func tryTimeouts(
        _ findings: inout TuneFindings, _ target: TuneTarget, until end: Deadline
    ) throws(TuneError) {
        let judges = findings.judges
        guard judges.contains(where: \.isLossy), let chosen = TuneCompromise(judges),
            let clientCount = findings.plan.clientCounts.last
        else { return }
        let trialCount = Double(Tuner.timeouts.count * Tuner.timeoutRounds)
        let seconds = Tuner.timeoutsBudget * configuration.seconds / trialCount
        for _ in 0..<Tuner.timeoutRounds {
            for timeout in Tuner.timeouts {
                guard end.secondsLeft - verifySeconds > seconds / 2, !isInterrupted else { return }
                var setting = chosen.setting
                setting.timeout = timeout
                let cell = TuneCell(setting, clientCount: clientCount)
                guard let trial = try measure(cell, seconds, target, &findings) else { return }
                findings.timeoutTrials.append(trial)
                report(trial, findings, until: end)
            }
        }
    }

    private var verifySeconds: Double {
        configuration.verifies ? Tuner.verificationBudget * configuration.seconds : 0
    }

    /// The default and what is recommended in turn, under the largest load: what else the machine
    /// does meanwhile falls on both alike.
    private func verify(
        _ findings: inout TuneFindings, _ target: TuneTarget, until end: Deadline
    ) throws(TuneError) {
        guard let chosen = TuneCompromise(findings.judges), chosen.setting != .basic,
            let clientCount = findings.plan.clientCounts.last
        else { return }
        let seconds = verifySeconds / Double(2 * Tuner.verificationRounds)
        for _ in 0..<Tuner.verificationRounds {
            for setting in [TuneSetting.basic, chosen.setting] {
                guard end.secondsLeft > seconds / 2, !isInterrupted else { return }
                let cell = TuneCell(setting, clientCount: clientCount)
                guard let trial = try measure(cell, seconds, target, &findings) else { return }
                findings.verificationTrials.append(trial)
                report(trial, findings, until: end)
            }
        }
    }

    /// - Returns: nil when it was interrupted.
    private func measure(
        _ cell: TuneCell, _ seconds: Double, _ target: TuneTarget, _ findings: inout TuneFindings
    ) throws(TuneError) -> TuneTrial? {
        let dropCount = target.dropCount
        let report = try storm(cell, seconds: seconds, target)
        guard !report.wasInterrupted else { return nil }
        target.settle()
        findings.noteFile(report)
        return TuneTrial(cell, report, dropCount: target.dropCount - dropCount)
    }

    private func storm(
        _ cell: TuneCell, seconds: Double, _ target: TuneTarget
    ) throws(TuneError) -> StormReport {
        var storm = StormConfiguration(server: target.endpoint)
        storm.files = [
            .init(name: configuration.name, weight: 1, reference: configuration.reference)
        ]
        storm.asksFirst = false
        storm.clients = [.init(kind: .plain, share: 1)]
        storm.plain = .init(cell.setting)
        storm.machineCount = cell.clientCount
        storm.ending = .seconds(seconds)
        storm.seed = configuration.seed
        let running = Storm(storm)
        state.withLock { state in
            state.storm = running
            if state.isInterrupted { running.interrupt() }
        }
        do throws(StormError) {
            return try running.run()
        } catch {
            throw .storm(error)
        }
    }

    private func report(_ trial: TuneTrial, _ findings: TuneFindings, until end: Deadline) {
        tell(
            TuneProgress(
                trial: trial, trialCount: findings.trialCount,
                secondsLeft: end.secondsLeft))
    }
}

/// The end of the time that was given.
private struct Deadline {
    private let at: UInt64

    init(seconds: Double) { at = monotonicNow() + UInt64(seconds * 1e9) }

    var secondsLeft: Double {
        let now = monotonicNow()
        return now < at ? Double(at - now) / 1e9 : 0
    }
}
