internal import Logging
internal import Synchronization
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPReactor
package import TFTPServing
internal import TFTPStore
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
    private let told = Mutex(Told())

    /// What has been said already.
    private struct Told {
        var droppedCount: UInt64 = 0
        var saidSegmentation = false
        var shortages = ShortageLog()
        var withheld = Shortages()
    }

    init(
        reactor: Reactor, logger: Logger, hasFields: Bool, notes: Notes, metrics: ServerMetrics,
        observer: (@Sendable (TransferRecord) -> Void)?
    ) {
        self.reactor = reactor
        self.hasFields = hasFields
        self.logger = logger
        self.notes = notes
        self.metrics = metrics
        self.observer = observer
    }

    /// Logs everything that has come in.
    func report() {
        told.withLock { told in
            reactor.takeRecords { record in
                log(record)
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
            for line in told.withheld.lines(reactor, now: .now) { logger.warning("\(line)") }
            if !told.saidSegmentation && reactor.counter(.segmentationRefused) > 0 {
                logger.warning(
                    "segmented sends (UDP GSO) refused on a path: its windows go out packet by packet"
                )
                told.saidSegmentation = true
            }
        }
    }

    /// What all of it came to; every counter at level debug.
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
        // Fields cost more than the line: they are made only for who reads them.
        logger.log(
            level: record.level, "\(record.line)", metadata: hasFields ? record.metadata : nil)
    }
}

extension TransferRecord {
    /// What an operator should look at is a warning. Misses and probes are what boot loaders do all
    /// day.
    var level: Logger.Level {
        switch outcome {
        // Boot loaders ask for names all day that are not there.
        case .refused where errorCode == .fileNotFound: .debug
        case .done, .doneUnacknowledged, .probe, .aborted, .refused, .replaced, .ghost:
            isQuestion ? .debug : .info
        case .timedOut, .failed, .cutOff: .warning
        }
    }

    /// A query between nodes, which is frequent and not worth a line.
    private var isQuestion: Bool {
        name.text.hasPrefix(".bootstorm/") && !name.text.hasPrefix(".bootstorm/fetch/")
    }

    var outcomeText: String {
        switch outcome {
        case .done: "done"
        case .doneUnacknowledged: "done (last ACK missing)"
        case .probe: "probe"
        case .aborted: "aborted by client"
        case .timedOut: "timed out"
        case .refused: "refused"
        case .failed: "failed"
        case .replaced: "replaced"
        case .ghost: "ghost"
        case .cutOff: "cut off"
        }
    }

    private var endsInError: Bool {
        outcome == .refused || outcome == .failed || outcome == .aborted
    }

    /// What an operator has to change, where the ERROR alone does not tell.
    private var reason: String? {
        switch failure {
        case .outside: "a symbolic link leads outside of the served folders"
        case .permission: "permission denied to the server's user"
        case .notPublic: "permission denied: the file is not world-readable (mode o+r)"
        default: nil
        }
    }

    var direction: String { isUpload ? "WRQ" : "RRQ" }

    /// One line for people.
    var line: String {
        var text = "\(peer) \(direction) \"\(name.text)\" \(outcomeText)"
        if endsInError { text += " (ERROR \(errorCode.rawValue))" }
        if let reason { text += ": \(reason)" }
        guard outcome != .refused else { return text }
        text += ": \(byteCount) bytes in \(TransferRecord.seconds(milliseconds)) s"
        text += ", blksize \(blksize), windowsize \(windowsize)"
        if let timeout = options.timeout { text += ", timeout \(timeout)" }
        if let utimeout = options.utimeout { text += ", utimeout \(utimeout)" }
        if let rollover = options.rollover { text += ", rollover \(rollover)" }
        if let tsize = options.tsize { text += ", tsize \(tsize)" }
        if let offset = options.offset { text += ", offset \(offset)" }
        if let length = options.length { text += ", length \(length)" }
        if mode == .netascii { text += ", netascii" }
        text += ", \(retransmissionCount) retransmissions"
        if let name = fingerprint.clientName { text += ", client \(name)" }
        return text
    }

    /// The same, field by field, for machines.
    var metadata: Logger.Metadata {
        var fields: Logger.Metadata = [
            "client": "\(peer)",
            "name": "\(name.text)",
            "direction": "\(direction)",
            "outcome": "\(outcomeText)",
            "bytes": .stringConvertible(byteCount),
            "seconds": .stringConvertible(Double(milliseconds) / 1000),
            "retransmissions": .stringConvertible(retransmissionCount),
            "mode": mode == .netascii ? "netascii" : "octet",
            "fingerprint": "\(fingerprint)",
        ]
        if endsInError { fields["error"] = .stringConvertible(errorCode.rawValue) }
        if let reason { fields["reason"] = "\(reason)" }
        var granted: Logger.Metadata = [:]
        for index in 0..<options.count {
            guard let option = options.order[index], let value = options[option] else { continue }
            granted["\(option)"] = .stringConvertible(value)
        }
        fields["options"] = .dictionary(granted)
        return fields
    }

    private static func seconds(_ milliseconds: UInt32) -> String {
        let fraction = String(milliseconds % 1000)
        return
            "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }
}

extension RecordName {
    /// Printable, whatever the client sent: bytes other than printable ASCII are written as \xNN,
    /// so that a name cannot forge a log line.
    package var text: String {
        let bytes = (0..<Int(byteCount)).map { self[$0] }
        let isPlain = bytes.allSatisfy {
            (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        return isPlain && !isCut ? String(decoding: bytes, as: UTF8.self) : escapedText
    }

    private var escapedText: String {
        var text = ""
        for index in 0..<Int(byteCount) {
            let byte = self[index]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text += "\\\(Character(Unicode.Scalar(byte)))"
            case 0x20..<0x7F: text.append(Character(Unicode.Scalar(byte)))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return isCut ? text + "…" : text
    }
}
