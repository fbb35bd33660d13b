internal import Logging
internal import Synchronization
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPReactor
internal import TFTPServing
internal import TFTPWire

/// Turns reports of shards into log lines on a thread of its own, so that a slow log does not delay
/// a shard.
final class Reporter: Sendable {
    private let reactor: Reactor
    let logger: Logger
    private let notes: Notes
    private let metrics: ServerMetrics
    private let hasFields: Bool
    private let observer: (@Sendable (TransferRecord) -> Void)?
    private let inspector: Inspector
    private let told = Mutex(Told())

    /// What has been said already.
    private struct Told {
        var droppedCount: UInt64 = 0
        var saidSegmentation = false
        var shortages = ShortageLog()
    }

    init(
        reactor: Reactor, logger: Logger, hasFields: Bool, notes: Notes, metrics: ServerMetrics,
        observer: (@Sendable (TransferRecord) -> Void)?, inspector: Inspector
    ) {
        self.reactor = reactor
        self.hasFields = hasFields
        self.logger = logger
        self.notes = notes
        self.metrics = metrics
        self.observer = observer
        self.inspector = inspector
    }

    /// Logs everything that has come in.
    func report() {
        told.withLock { told in
            reactor.takeRecords { record in
                log(record)
                inspector.note(record)
                guard !record.isStart else { return }
                metrics.count(record)
                observer?(record)
            }
            for note in reactor.takeNotes() { log(note) }
            for line in notes.take() { logger.warning("\(line)") }
            for line in told.shortages.lines(now: .now, count: { reactor.counter($0) }) {
                logger.warning("\(line)")
            }
            metrics.sample(reactor)
            let dropped = reactor.counter(.recordsDropped)
            if dropped > told.droppedCount {
                logger.warning(
                    "\(dropped - told.droppedCount) log records dropped: the log writer is too slow"
                )
                told.droppedCount = dropped
            }
            if !told.saidSegmentation && reactor.counter(.segmentationRefused) > 0 {
                logger.warning(
                    "segmented sends (UDP GSO) refused on a path: its windows go out packet by packet"
                )
                told.saidSegmentation = true
            }
        }
        inspector.endRound()
    }

    /// The totals; every counter at level debug.
    func reportTotals() {
        let sent = reactor.counter(.bytesSent)
        let read = reactor.readByteCount
        let hits = sent > read ? (sent - read) * 1000 / sent : 0
        logger.info(
            """
            ended: \(reactor.counter(.transfersDone)) transfers done, \(reactor.counter(.transfersFailed)) failed, \
            \(sent) bytes sent, \(read) read from files (\(hits / 10).\(hits % 10) % from memory)
            """)
        for counter in Counter.allCases where reactor.counter(counter) > 0 {
            logger.debug("counter \(counter): \(reactor.counter(counter))")
        }
    }

    private func log(_ record: TransferRecord) {
        // Fields cost more than the line: they are made only where the log format shows them.
        logger.log(
            level: record.level, "\(record.line)", metadata: hasFields ? record.metadata : nil)
    }
}
