package import TFTPCore
package import TFTPMetrics
internal import TFTPServing
package import TFTPWire

/// What one shard counts by label at the beginning and the end of transfers: one writer, any number
/// of readers.
///
/// A value that points to shared memory; the owner calls `destroy` after the last use of any copy.
package struct ShardStatistics: Sendable {
    /// By `RefusalReason.rawValue`.
    package let refusals = Tally(count: RefusalReason.allCases.count)
    /// Downloads of missing files, by `MissPattern.rawValue`.
    package let misses = Tally(count: MissPattern.allCases.count)
    /// By `index(isUpload:outcome:kind:)`.
    package let transfers = Tally(
        count: 2 * ShardStatistics.outcomeCount * ShardStatistics.kindCount)
    /// Blocks that were sent more than once: of downloads, of uploads (repeated ACKs).
    package let resends = Tally(count: 2)
    /// Payload bytes of transfers that have ended: downloads, uploads.
    package let bytes = Tally(count: 2)
    /// From the request to the end, of transfers that carried something: downloads, uploads.
    package let readDuration = DurationHistogram()
    package let writeDuration = DurationHistogram()
    /// From the request to the first answer.
    package let turnaround = DurationHistogram()

    init() {}

    func destroy() {
        for tally in [refusals, misses, transfers, resends, bytes] { tally.destroy() }
        for histogram in [readDuration, writeDuration, turnaround] { histogram.destroy() }
    }

    package static func index(isUpload: Bool, outcome: Outcome, kind: Fingerprint) -> Int {
        let way = isUpload ? outcomeCount : 0
        return (way + Int(outcome.rawValue)) * kindCount + Int(kind.rawValue)
    }

    // Counted once: a list of all cases is an object that a shard would retain.
    private static let outcomeCount = Outcome.allCases.count
    private static let kindCount = Fingerprint.allCases.count

    /// A transfer has begun, `nanoseconds` after its request.
    func noteStart(after nanoseconds: UInt64) { turnaround.record(nanoseconds: nanoseconds) }

    func noteEnd(_ record: TransferRecord) {
        let index = ShardStatistics.index(
            isUpload: record.isUpload, outcome: record.outcome, kind: record.fingerprint)
        transfers.add(index)
        if record.reason != .none { refusals.add(Int(record.reason.rawValue)) }
        if record.reason == .notFound && !record.isUpload {
            misses.add(Int(MissPattern(name: record.name.bytes).rawValue))
        }
        guard record.outcome != .refused else { return }
        let way = record.isUpload ? 1 : 0
        bytes.add(way, record.byteCount)
        resends.add(way, UInt64(record.retransmissionCount))
        let nanoseconds = UInt64(record.milliseconds) * 1_000_000
        (record.isUpload ? writeDuration : readDuration).record(nanoseconds: nanoseconds)
    }
}
