internal import Glibc
internal import TFTPLoad

/// One line on a terminal that is written over and over; nothing where standard error is no terminal.
struct ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1

    func show(_ progress: StormProgress, of total: Int?) {
        guard isTerminal, progress.seconds > 0 else { return }
        let rate = Double(progress.byteCount) / progress.seconds / 1e6
        let packets = Double(progress.packetCount) / progress.seconds
        var text = "\(progress.doneCount)"
        if let total { text += "/\(total)" }
        text += " transfers, \(decimal(rate, 1)) MB/s, \(Int(packets)) packets/s, "
        text += "\(progress.failedCount) failed"
        if let total, progress.doneCount > 0 {
            let left =
                Double(total - progress.doneCount) * progress.seconds / Double(progress.doneCount)
            text += ", \(Int(left.rounded(.up))) s left"
        }
        show(text)
    }

    func show(_ text: String) {
        if isTerminal { StandardError.write("\r\u{1B}[K\(text)") }
    }

    func clear() {
        if isTerminal { StandardError.write("\r\u{1B}[K") }
    }
}

/// `value` with so many digits behind the point.
func decimal(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "-" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = Int((abs(value) * scale).rounded())
    let fraction = String(scaled % Int(scale))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(scaled)" }
    let padding = String(repeating: "0", count: digits - fraction.count)
    return "\(sign)\(scaled / Int(scale)).\(padding)\(fraction)"
}
