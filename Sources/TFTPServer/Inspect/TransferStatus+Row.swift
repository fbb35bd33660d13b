internal import TFTPCore
internal import TFTPReactor
internal import TFTPServing
internal import TFTPWire

extension TransferStatus {
    /// What a shard said of a transfer, for people and programs.
    init(_ row: TransferRow, shard: Int) {
        let summary = row.view.summary
        client = "\(summary.flow.peer)"
        direction = summary.isReceiver ? "WRQ" : "RRQ"
        kind = row.fingerprint.label
        name = row.name.text
        phase = row.view.phase.label
        mode = row.mode == .netascii ? "netascii" : "octet"
        blksize = Int(summary.blksize)
        windowsize = Int(summary.windowsize)
        options = row.options.values
        byteCount = TransferStatus.byteCount(row)
        sizeByteCount = TransferStatus.size(row)
        ageSeconds = Double(summary.milliseconds) / 1000
        bytesPerSecond = ageSeconds > 0 ? Double(byteCount) / ageSeconds : 0
        idleSeconds = Double(row.view.idleNanoseconds) / 1e9
        resentCount = Int(summary.retransmissionCount)
        let roundTrip = row.view.roundTripNanoseconds
        roundTripSeconds = roundTrip > 0 ? Double(roundTrip) / 1e9 : nil
        gapSeconds = Double(row.view.gapNanoseconds) / 1e9
        isSealed = row.isSealed
        self.shard = shard
        explanation = explain(row)
    }

    private static func byteCount(_ row: TransferRow) -> UInt64 {
        let summary = row.view.summary
        guard !summary.isReceiver else { return row.receivedByteCount }
        let acked = summary.blocksAcked * UInt64(summary.blksize)
        return row.partEnd == .max ? acked : min(acked, row.partEnd - row.partBegin)
    }

    private static func size(_ row: TransferRow) -> UInt64? {
        guard !row.view.summary.isReceiver else { return row.options.tsize }
        guard row.view.phase != .opening, row.partEnd != .max else { return nil }
        return row.partEnd - row.partBegin
    }

    // MARK: One line

    private func explain(_ row: TransferRow) -> String {
        switch row.view.phase {
        case .opening: return explainOpening(row)
        case .offering:
            return "has not answered the OACK; sent \(row.view.retries + 1) times in \(age)"
        case .sending: return explainSending(row)
        case .receiving:
            return isSilent(row)
                ? "silent for \(idle): no DATA behind block \(row.view.summary.blocksAcked)"
                : "stores \(progress)"
        case .committing: return "writes the upload to the disk"
        case .dallying: return "done; repeats the last ACK if it was lost"
        }
    }

    private func explainOpening(_ row: TransferRow) -> String {
        let what =
            row.isSupplied
            ? "a handler, a peer or an origin" : direction == "WRQ" ? "the disk" : "the file"
        return "waits for \(what), for \(age)"
    }

    private func explainSending(_ row: TransferRow) -> String {
        if row.view.waiting == .parked {
            return "waits for \(row.isSupplied ? "its source" : "the disk") at \(progress)"
        }
        guard isSilent(row) else { return "loads \(progress)" }
        let block = row.view.summary.blocksAcked
        guard row.view.isConfirmed else {
            return
                "silent for \(idle): nothing was acknowledged, sent \(row.view.retries + 1) times"
        }
        return
            "silent for \(idle) behind block \(block) (\(progress)); block \(block + 1) sent again "
            + "\(row.view.retries) times"
    }

    /// Without progress for longer than a client on a slow link takes.
    private func isSilent(_ row: TransferRow) -> Bool {
        let patience = max(0.5, 4 * (roundTripSeconds ?? 0))
        return idleSeconds > patience || row.view.retries > 1
    }

    private var idle: String { "\(Rounded.seconds(idleSeconds)) s" }
    private var age: String { "\(Rounded.seconds(ageSeconds)) s" }

    private var progress: String {
        let rate = "\(Rounded.bytes(UInt64(max(0, bytesPerSecond))))/s"
        guard let sizeByteCount else { return "\(Rounded.bytes(byteCount)) at \(rate)" }
        let percent = sizeByteCount > 0 ? byteCount * 100 / sizeByteCount : 100
        return "\(percent) % of \(Rounded.bytes(sizeByteCount)) at \(rate)"
    }
}

/// Numbers with as many digits as people read.
package enum Rounded {
    /// To a tenth, or to milliseconds below one.
    package static func seconds(_ seconds: Double) -> String {
        let parts: (UInt64, Int) = seconds < 1 ? (1000, 3) : (10, 1)
        let units = UInt64(max(0, min(seconds, 1e12)) * Double(parts.0) + 0.5)
        let fraction = String(units % parts.0)
        return "\(units / parts.0)."
            + String(repeating: "0", count: parts.1 - fraction.count) + fraction
    }

    /// With a binary unit.
    package static func bytes(_ count: UInt64) -> String {
        let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(count) bytes" }
        let tenths = UInt64(value * 10 + 0.5)
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}

extension Options {
    /// Every option that is present.
    var values: [String: UInt64] {
        var values: [String: UInt64] = [:]
        for index in 0..<count {
            guard let option = order[index], let value = self[option] else { continue }
            values["\(option)"] = value
        }
        return values
    }
}

extension Fingerprint {
    /// For metrics and JSON.
    package var label: String {
        self == .edk2Probe ? "edk2_probe" : self == .edk2Load ? "edk2" : "\(self)"
    }
}

extension TransferView.Phase {
    /// For metrics and JSON.
    package var label: String { "\(self)" }
}
