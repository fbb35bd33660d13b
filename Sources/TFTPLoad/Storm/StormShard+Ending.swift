internal import Histogram
internal import TFTPCore

/// What is still waiting when the storm ends.
extension StormShard {
    /// Boots that this thread should have begun by now.
    var offeredCount: Int {
        guard let rate = configuration.startsPerSecond, case .seconds = configuration.ending else {
            return startedCount
        }
        let perShard = rate / Double(configuration.shardCount)
        let due = Int(min(Double(now - beganAt) / 1e9 * perShard, 1e9)) + 1
        return max(startedCount, due)
    }

    /// Counts the boots that were under way and those that never began, and enters how long they
    /// have waited into the latencies: a server that stops answering must not look fast because its
    /// slowest clients never finish.
    ///
    /// A boot that has waited for less than the median says nothing about how long it would have
    /// taken, so it is left out.
    mutating func countWaiting() {
        report.unfinishedCount = machines.activeCount
        report.begunCount = startedCount
        report.offeredCount = offeredCount
        report.silence = silence
        let median =
            report.bootTime.totalCount == 0 ? 0 : report.bootTime.valueAtPercentile(50)
        for machine in 0..<machines.capacity where machines.isActive(machine) {
            recordWait(since: dueAt[machine], median)
        }
        let lateMax = min(report.offeredCount, startedCount + StormShard.lateRecordsMax)
        for boot in startedCount..<max(startedCount, lateMax) {
            recordWait(since: dueTime(of: boot), median)
        }
    }

    private static var lateRecordsMax: Int { 1_000_000 }

    private mutating func recordWait(since due: UInt64, _ median: UInt64) {
        let waited = now - min(due, now)
        guard waited >= median else { return }
        if !report.bootTime.record(waited) { report.overlongCount += 1 }
        report.waitingCount += 1
    }
}
