internal import Glibc
internal import TFTPLoad

/// One line on a terminal that is rewritten in place; nothing if standard error is not a terminal.
struct ProgressLine {
    let isTerminal = isatty(STDERR_FILENO) == 1

    func show(_ text: String) {
        if isTerminal { StandardError.write("\r\u{1B}[K\(text)") }
    }

    func show(_ progress: StormSample, until ending: StormConfiguration.Ending) {
        guard isTerminal, progress.seconds > 0 else { return }
        let rate = Double(progress.byteCount) / progress.seconds / 1e6
        let packets = Double(progress.packetCount) / progress.seconds
        var text = "\(progress.doneCount)"
        if case .transfers(let total) = ending { text += "/\(total)" }
        text += " transfers, \(decimal(rate, 1)) MB/s, \(decimal(packets, 0)) packets/s, "
        text += "\(progress.failedCount) failed"
        if let left = secondsLeft(progress, until: ending) {
            text += ", \(decimal(left.rounded(.up), 0)) s left"
        }
        show(text)
    }

    func clear() {
        if isTerminal { StandardError.write("\r\u{1B}[K") }
    }

    /// As if it went on as it has so far; nil before the first transfer has ended.
    private func secondsLeft(
        _ progress: StormSample, until ending: StormConfiguration.Ending
    ) -> Double? {
        switch ending {
        case .seconds(let seconds): return max(0, seconds - progress.seconds)
        case .transfers(let total):
            let ended = progress.doneCount + progress.failedCount
            guard ended > 0 else { return nil }
            return Double(max(0, total - ended)) * progress.seconds / Double(ended)
        }
    }
}

/// `value` with this number of decimal places; `-` if it is not finite or does not fit an integer.
func decimal(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    guard let scaled = Int(exactly: (abs(value) * scale).rounded()) else { return "-" }
    let fraction = String(scaled % Int(scale))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(scaled)" }
    let padding = String(repeating: "0", count: digits - fraction.count)
    return "\(sign)\(scaled / Int(scale)).\(padding)\(fraction)"
}
