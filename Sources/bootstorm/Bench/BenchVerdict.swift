/// Whether a storm went well: what is wrong, a line each.
struct BenchVerdict {
    private(set) var problems: [String] = []

    /// At the end of a storm a healthy server has been heard within this time.
    static let silenceAtEndSecondsMax = 1.0
    /// Longer than any boot client waits before it repeats itself, but for EDK II and U-Boot, whose
    /// server repeats sooner.
    static let silenceSecondsMax = 3.0

    /// - Parameter conditions: what the user named. Failed transfers are a problem unless a
    ///   condition is about them.
    init(_ summary: BenchSummary, _ conditions: [FailCondition]) {
        if summary.transfers == 0 { problems.append("no transfer was completed") }
        if summary.failed > 0, !conditions.contains(where: { $0.metric == .failed }) {
            problems.append("\(summary.failed) transfers failed")
        }
        if !conditions.contains(where: { $0.metric == .silence }),
            let line = BenchVerdict.silenceLine(summary)
        {
            problems.append(line)
        }
        problems += conditions.filter { $0.fails(summary) }.map { $0.line(summary) }
    }

    private static func silenceLine(_ summary: BenchSummary) -> String? {
        let silence = summary.silence
        if silence.atEnd >= silenceAtEndSecondsMax, !summary.interrupted {
            return "the server fell silent: nothing came in the last \(decimal(silence.atEnd, 1)) s"
                + ", \(summary.unfinished + summary.dropped) boots were waiting"
        }
        // On a path that loses packets, a few machines may all wait for a repeat.
        guard silence.longest >= silenceSecondsMax, summary.relay == nil else { return nil }
        return "the server fell silent: nothing came for \(decimal(silence.longest, 1)) s"
    }
}
