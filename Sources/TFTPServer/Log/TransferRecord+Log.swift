internal import Logging
internal import TFTPCore
internal import TFTPMetrics
package import TFTPServing
internal import TFTPWire

extension TransferRecord {
    /// What an operator should look at is a warning. Misses and probes are what boot loaders do all
    /// day.
    var level: Logger.Level {
        guard !isStart else { return .debug }
        switch outcome {
        // Boot loaders ask for names all day that are not there.
        case .refused where errorCode == .fileNotFound: return .debug
        case .done, .doneUnacknowledged, .probe, .aborted, .refused, .replaced, .ghost:
            return isQuestion ? .debug : .info
        case .timedOut, .failed, .cutOff: return .warning
        }
    }

    /// A query between nodes, which is frequent and not worth a line.
    private var isQuestion: Bool {
        name.hasPrefix(".bootstorm/") && !name.hasPrefix(".bootstorm/fetch/")
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
        !isStart && (outcome == .refused || outcome == .failed || outcome == .aborted)
    }

    var direction: String { isUpload ? "WRQ" : "RRQ" }

    /// One line for people.
    package var line: String {
        guard !isStart else { return startLine }
        var text = "\(peer) \(direction) \"\(name.text)\" \(outcomeText)"
        if endsInError { text += " (ERROR \(errorCode.rawValue))" }
        if reason != .none { text += ": \(reason.text)" }
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

    /// The transfer begins.
    private var startLine: String {
        var text = "\(peer) \(direction) \"\(name.text)\" begins: \(fingerprint.label)"
        text += ", asked \(asked.text), granted \(options.text)"
        if mode == .netascii { text += ", netascii" }
        return text
    }

    /// The same, field by field, for machines.
    var metadata: Logger.Metadata {
        isStart ? commonMetadata : endMetadata
    }

    private var commonMetadata: Logger.Metadata {
        [
            "client": "\(peer)",
            "name": "\(name.text)",
            "direction": "\(direction)",
            "event": isStart ? "begin" : "end",
            "mode": mode == .netascii ? "netascii" : "octet",
            "kind": "\(fingerprint.label)",
            "asked": .dictionary(asked.metadata),
            "options": .dictionary(options.metadata),
        ]
    }

    private var endMetadata: Logger.Metadata {
        let fields: Logger.Metadata = [
            "outcome": "\(outcomeText)",
            "bytes": .stringConvertible(byteCount),
            "seconds": .stringConvertible(Double(milliseconds) / 1000),
            "retransmissions": .stringConvertible(retransmissionCount),
        ]
        var all = commonMetadata.merging(fields) { $1 }
        if endsInError { all["error"] = .stringConvertible(errorCode.rawValue) }
        if reason != .none { all["reason"] = "\(reason.label)" }
        return all
    }

    private static func seconds(_ milliseconds: UInt32) -> String {
        let fraction = String(milliseconds % 1000)
        return
            "\(milliseconds / 1000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }
}

extension Options {
    /// In the order of the packet, for people; `none` where there is none.
    var text: String {
        guard !isEmpty else { return "none" }
        return (0..<count).compactMap { index in
            guard let option = order[index], let value = self[option] else { return nil }
            return "\(option)=\(value)"
        }.joined(separator: " ")
    }

    var metadata: Logger.Metadata {
        values.mapValues { .stringConvertible($0) }
    }
}

extension RecordName {
    /// Without a text of the name, which is made for lines that are written alone.
    fileprivate func hasPrefix(_ prefix: StaticString) -> Bool {
        let prefix = prefix.rawSpan
        return byteCount >= prefix.byteCount
            && prefix.byteOffsets.allSatisfy { self[$0] == prefix.byte(at: $0) }
    }

    /// Printable, whatever the client sent.
    package var text: String {
        let text = PrintableName.text(of: (0..<Int(byteCount)).map { self[$0] })
        return isCut ? text + "…" : text
    }
}
