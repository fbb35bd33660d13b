package import Histogram
package import SystemPackage

/// What a storm found out.
package struct StormReport: Sendable {
    /// A byte that was not what it should be.
    package struct WrongByte: Sendable {
        package var name: String
        package var block: UInt64
        package var offset: Int
    }

    package var doneCount = 0
    package var failedCount = 0
    /// Boots that were under way when the storm was ended.
    package var unfinishedCount = 0
    /// Boots that were to begin, and that began. With a rate some may find no free machine until
    /// the end.
    package var offeredCount = 0
    package var begunCount = 0
    /// Boots that had not ended or not begun and whose wait is in `bootTime`.
    package var waitingCount = 0
    /// Times too long for `bootTime` to hold.
    package var overlongCount = 0
    /// How long the server was silent; nil before a thread has reported.
    package var silence: Silence?
    /// How often each cause ended a boot.
    package var causes: [String: Int] = [:]
    package var errorsByCode: [UInt16: Int] = [:]
    package var firstWrongByte: WrongByte?
    package var byteCount: UInt64 = 0
    package var packetsIn: UInt64 = 0
    package var packetsOut: UInt64 = 0
    package var retransmissionCount: UInt64 = 0
    package var duplicateCount: UInt64 = 0
    package var gapCount: UInt64 = 0
    /// Packets from a port or address that is not the transfer's.
    package var strayCount: UInt64 = 0
    package var malformedCount: UInt64 = 0
    /// Packets that the kernel did not take: lost as on a network, and repeated by a timer.
    package var unsentCount: UInt64 = 0
    /// Why the server cannot be reached, if the first machine was told.
    package var unreachable: Errno?
    /// What the server granted, from the least to the most; nil while it has sent no answer.
    package private(set) var grantedBlksize: ClosedRange<Int>?
    package private(set) var grantedWindowsize: ClosedRange<Int>?
    package var seconds = 0.0
    package var ownCPUSeconds = 0.0
    /// From our ACK to the DATA that it brought, in nanoseconds.
    package var turnaround = StormReport.histogram()
    /// From the first request of a boot (with a rate: from when it was due) to its last block, in
    /// nanoseconds; for boots that were still waiting at the end and had waited longer than the
    /// median: until the end.
    package var bootTime = StormReport.histogram()
    /// How far the storm was in its course and at its end.
    package var timeline: [StormSample] = []
    package var wasInterrupted = false

    package init() {}

    /// Boots that were due and never began.
    package var droppedCount: Int { offeredCount - begunCount }

    static func histogram() -> Histogram<UInt64> {
        Histogram(
            lowestDiscernibleValue: 1_000, highestTrackableValue: 600_000_000_000,
            numberOfSignificantValueDigits: .two)
    }

    mutating func noteGrant(blksize: Int, windowsize: Int) {
        StormReport.widen(&grantedBlksize, by: blksize...blksize)
        StormReport.widen(&grantedWindowsize, by: windowsize...windowsize)
    }

    private static func widen(_ range: inout ClosedRange<Int>?, by other: ClosedRange<Int>?) {
        guard let other else { return }
        let own = range ?? other
        range = min(own.lowerBound, other.lowerBound)...max(own.upperBound, other.upperBound)
    }

    package mutating func add(_ other: StormReport) {
        doneCount += other.doneCount
        failedCount += other.failedCount
        unfinishedCount += other.unfinishedCount
        offeredCount += other.offeredCount
        begunCount += other.begunCount
        waitingCount += other.waitingCount
        overlongCount += other.overlongCount
        if let theirs = other.silence { silence = silence?.shared(with: theirs) ?? theirs }
        causes.merge(other.causes, uniquingKeysWith: +)
        errorsByCode.merge(other.errorsByCode, uniquingKeysWith: +)
        firstWrongByte = firstWrongByte ?? other.firstWrongByte
        byteCount += other.byteCount
        packetsIn += other.packetsIn
        packetsOut += other.packetsOut
        retransmissionCount += other.retransmissionCount
        duplicateCount += other.duplicateCount
        gapCount += other.gapCount
        strayCount += other.strayCount
        malformedCount += other.malformedCount
        unsentCount += other.unsentCount
        unreachable = unreachable ?? other.unreachable
        StormReport.widen(&grantedBlksize, by: other.grantedBlksize)
        StormReport.widen(&grantedWindowsize, by: other.grantedWindowsize)
        seconds = max(seconds, other.seconds)
        ownCPUSeconds += other.ownCPUSeconds
        turnaround.add(other.turnaround)
        bootTime.add(other.bootTime)
        wasInterrupted = wasInterrupted || other.wasInterrupted
    }
}
