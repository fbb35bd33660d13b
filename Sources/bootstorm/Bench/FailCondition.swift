internal import ArgumentParser

/// `METRIC>VALUE` or `METRIC<VALUE`: what makes a storm fail, for instance `p99>20ms`.
struct FailCondition: ExpressibleByArgument {
    /// What a condition may name, and how its value is read.
    enum Metric: String, CaseIterable {
        case p50, p90, p99
        case p999 = "p99.9"
        case max, mean
        case turnaroundP50 = "turnaround-p50"
        case turnaroundP99 = "turnaround-p99"
        case turnaroundMax = "turnaround-max"
        case failed, dropped, unfinished, retransmissions, silence
        case megabytesPerSecond = "mb/s"
        case transfersPerSecond = "transfers/s"

        /// Whether the value is a time, which needs a unit.
        var isTime: Bool {
            switch self {
            case .p50, .p90, .p99, .p999, .max, .mean, .silence: true
            case .turnaroundP50, .turnaroundP99, .turnaroundMax: true
            default: false
            }
        }
    }

    let metric: Metric
    /// Whether values above the limit fail; otherwise those below.
    let failsAbove: Bool
    /// Seconds, or a number.
    let limit: Double
    /// As it was given.
    let text: String

    init?(argument: String) {
        guard let sign = argument.firstIndex(where: { $0 == ">" || $0 == "<" }),
            let metric = Metric(rawValue: argument[..<sign].trimmingSpaces().lowercased()),
            let limit = FailCondition.number(
                argument[argument.index(after: sign)...].trimmingSpaces(), isTime: metric.isTime)
        else { return nil }
        self.metric = metric
        self.limit = limit
        failsAbove = argument[sign] == ">"
        text = argument
    }

    static let help = """
        Fail (exit code 1) on a condition, repeatable: METRIC>VALUE or METRIC<VALUE. Metrics: \
        \(Metric.allCases.map(\.rawValue).joined(separator: ", ")). Times have a unit: us, ms, s.
        """

    private static func number(_ text: String, isTime: Bool) -> Double? {
        let units: [(String, Double)] = isTime ? [("us", 1e-6), ("ms", 1e-3), ("s", 1)] : [("", 1)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let value = Double(text.dropLast(unit.count)), value.isFinite, value >= 0
            else { continue }
            return value * factor
        }
        return nil
    }

    /// Whether a storm with this report fails by this condition.
    func fails(_ summary: BenchSummary) -> Bool {
        let value = value(in: summary)
        return failsAbove ? value > limit : value < limit
    }

    /// The line that reports the failure.
    func line(_ summary: BenchSummary) -> String {
        let value = value(in: summary)
        let shown = metric.isTime ? "\(decimal(value * 1000, 3)) ms" : decimal(value, 1)
        return "\(text): it is \(shown)"
    }

    private func value(in summary: BenchSummary) -> Double {
        switch metric {
        case .p50: summary.transferTime.p50
        case .p90: summary.transferTime.p90
        case .p99: summary.transferTime.p99
        case .p999: summary.transferTime.p999
        case .max: summary.transferTime.max
        case .mean: summary.transferTime.mean
        case .turnaroundP50: summary.turnaround.p50
        case .turnaroundP99: summary.turnaround.p99
        case .turnaroundMax: summary.turnaround.max
        case .failed: Double(summary.failed)
        case .dropped: Double(summary.dropped)
        case .unfinished: Double(summary.unfinished)
        case .retransmissions: Double(summary.retransmissions)
        case .silence: summary.silence.longest
        case .megabytesPerSecond: summary.megabytesPerSecond
        case .transfersPerSecond: summary.transfersPerSecond
        }
    }
}

extension Substring {
    fileprivate func trimmingSpaces() -> String {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
