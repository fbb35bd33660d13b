internal import TFTPCore

/// Which trials are made, in which order, and how long one takes.
///
/// Trials go in rounds, each cell at most once a round and in an order of its own: what else the
/// machine does meanwhile falls on all settings alike. The first round tries everything, the second
/// what is not hopeless, those after them what may still win or is compared with it.
package struct TunePlan: Sendable {
    package let grid: TuneGrid
    package let path: TunePath
    /// How many clients at once, each a load of its own.
    package let clientCounts: [Int]
    /// For the whole sweep.
    package let seconds: Double
    private let seed: UInt64
    package let roundTripSeconds: Double

    package static let roundsMax = 8
    /// Clients at once: what a few short trials still say something about.
    package static let clientsMax = 1000
    /// Of the best goodput: what is tried again although it loses packets, and what may still win.
    private static let hopefulShare = 0.5
    private static let contenderShare = 0.8
    /// Of the time, for the first two rounds as far as nothing is lost.
    private static let firstRoundsShare = 0.5
    /// Duration of a trial in addition to its storm: a ring, threads, sockets.
    private static let overheadSeconds = 0.08
    private static let trialSeconds = 0.05...1.0
    /// So many round trips at least make a trial, or it would measure little but its beginning.
    private static let roundTripsPerTrial = 20.0
    /// A client that loses packets stalls for longer than a short trial lasts: lossy trials take
    /// longer.
    private static let lossyFactor = 4.0
    private static let lossyTrialShare = 0.01

    package init(
        grid: TuneGrid, path: TunePath, clientCounts: [Int], seconds: Double,
        roundTripSeconds: Double = 0, seed: UInt64 = 1
    ) {
        precondition(!clientCounts.isEmpty && clientCounts.allSatisfy { $0 > 0 })
        self.grid = grid
        self.path = path
        self.clientCounts = Set(clientCounts).sorted()
        self.seconds = seconds
        self.roundTripSeconds = roundTripSeconds
        self.seed = seed
    }

    package var cells: [TuneCell] {
        clientCounts.flatMap { count in
            grid.settings.map { TuneCell($0, clientCount: count) }
        }
    }

    /// How long the next trial of a cell lasts, after what is known of it.
    package func trialSeconds(_ score: TuneScore?) -> Double {
        let cellCount = Double(cells.count)
        let share = seconds * TunePlan.firstRoundsShare
        let even = share / (2 * cellCount) - TunePlan.overheadSeconds
        // One round is better than half of two.
        let most = share / cellCount - TunePlan.overheadSeconds
        let least = min(most, roundTripSeconds * TunePlan.roundTripsPerTrial)
        let bounds = TunePlan.trialSeconds
        let usual = min(bounds.upperBound, max(bounds.lowerBound, even, least))
        guard let score, score.losesPackets else { return usual }
        return max(usual * TunePlan.lossyFactor, seconds * TunePlan.lossyTrialShare)
    }

    /// The cells of one round, in its order.
    package func round(_ number: Int, scores: [TuneCell: TuneScore]) -> [TuneCell] {
        var random = SplitMix64(seed: seed &+ UInt64(number))
        let tried = clientCounts.flatMap { count in
            let own = cells.filter { $0.clientCount == count }
            let top = own.compactMap { scores[$0] }.max { $0.goodput < $1.goodput }
            return own.filter { isTried($0, scores[$0], in: number, top) }
        }
        return tried.shuffled(using: &random)
    }

    private func isTried(
        _ cell: TuneCell, _ score: TuneScore?, in round: Int, _ top: TuneScore?
    ) -> Bool {
        guard round > 0, let score, let top else { return true }
        // Never recommended, and known to lose.
        let fragments = path.packetCount(blksize: cell.setting.blksize) > 1
        if fragments && score.losesPackets { return false }
        if round == 1 {
            return !score.losesPackets || score.goodput >= top.goodput * TunePlan.hopefulShare
        }
        return cell.setting == .basic || score.goodputHigh >= top.goodput * TunePlan.contenderShare
    }
}
