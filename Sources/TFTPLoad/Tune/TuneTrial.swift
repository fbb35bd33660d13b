/// What one short storm with one setting came to.
package struct TuneTrial: Codable, Sendable {
    package var setting: TuneSetting
    /// Clients at once.
    package var clientCount: Int
    package var seconds: Double
    /// Bytes of the file that came, each counted once.
    package var byteCount: UInt64
    /// DATA packets that brought them.
    package var packetCount: UInt64
    /// DATA packets that came in vain, that the relay dropped, and packets that clients had to send
    /// again.
    package var repeatCount: UInt64
    /// Transfers that ended by an error or by silence.
    package var failureCount: Int

    package init(
        _ cell: TuneCell, seconds: Double, byteCount: UInt64, packetCount: UInt64,
        repeatCount: UInt64 = 0, failureCount: Int = 0
    ) {
        setting = cell.setting
        clientCount = cell.clientCount
        self.seconds = seconds
        self.byteCount = byteCount
        self.packetCount = packetCount
        self.repeatCount = repeatCount
        self.failureCount = failureCount
    }

    package var cell: TuneCell { TuneCell(setting, clientCount: clientCount) }

    /// Bytes of the file a second, of all clients together.
    package var goodput: Double { seconds > 0 ? Double(byteCount) / seconds : 0 }
}

extension TuneTrial {
    /// - Parameter dropCount: DATA packets that are known to have been dropped on the way.
    init(_ cell: TuneCell, _ report: StormReport, dropCount: UInt64) {
        let blksize = UInt64(cell.setting.blksize)
        // The last block of a transfer is shorter.
        let packetCount = report.byteCount / blksize + UInt64(report.doneCount)
        let vain = report.duplicateCount + report.gapCount
        self.init(
            cell, seconds: report.seconds, byteCount: report.byteCount, packetCount: packetCount,
            repeatCount: vain + dropCount + report.retransmissionCount,
            failureCount: report.failedCount)
    }
}

/// What the trials of a setting under one load come to.
///
/// Where some lasted much longer than others only those count: the short ones have not seen the
/// stalls.
package struct TuneScore: Codable, Sendable {
    package var setting: TuneSetting
    package var clientCount: Int
    package var trialCount: Int
    /// Bytes of the file a second: the median of the trials; where packets are lost their mean,
    /// since stalls are part of it then.
    package var goodput: Double
    /// The middle half of the trials.
    package var goodputLow: Double
    package var goodputHigh: Double
    package var packetCount: UInt64
    package var repeatCount: UInt64
    package var failureCount: Int

    /// - Returns: nil without trials.
    ///
    /// - Precondition: all are of the same cell.
    package init?(_ all: [TuneTrial]) {
        guard let longest = all.max(by: { $0.seconds < $1.seconds }) else { return nil }
        precondition(all.allSatisfy { $0.cell == longest.cell })
        let counted = all.filter { $0.seconds >= longest.seconds / 2 }
        let goodputs = counted.map(\.goodput).sorted()
        setting = longest.setting
        clientCount = longest.clientCount
        trialCount = counted.count
        goodputLow = TuneScore.quantile(0.25, of: goodputs)
        goodputHigh = TuneScore.quantile(0.75, of: goodputs)
        packetCount = counted.reduce(0) { $0 + $1.packetCount }
        repeatCount = counted.reduce(0) { $0 + $1.repeatCount }
        failureCount = counted.reduce(0) { $0 + $1.failureCount }
        goodput = TuneScore.quantile(0.5, of: goodputs)
        if losesPackets {
            let byteCount = counted.reduce(UInt64(0)) { $0 + $1.byteCount }
            goodput = Double(byteCount) / counted.reduce(0) { $0 + $1.seconds }
        }
    }

    package var cell: TuneCell { TuneCell(setting, clientCount: clientCount) }

    /// Of all packets, how many were sent again or in vain.
    package var repeatShare: Double {
        Double(repeatCount) / Double(max(1, packetCount + repeatCount))
    }

    /// Whether more is lost than a packet now and then.
    package var losesPackets: Bool { failureCount > 0 || repeatShare > 0.001 }

    /// How far trials of the same setting are from each other: half of the middle half, as a share
    /// of the median.
    package var spread: Double {
        goodput > 0 ? (goodputHigh - goodputLow) / 2 / goodput : 0
    }

    private static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        let place = share * Double(sorted.count - 1)
        let (lower, upper) = (Int(place), min(Int(place) + 1, sorted.count - 1))
        return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
    }
}
