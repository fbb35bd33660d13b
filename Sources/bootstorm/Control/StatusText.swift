internal import TFTPServer

/// A server's status for people.
enum StatusText {
    /// Problems that are shown at most.
    static let problemsMax = 12

    /// All of it, from the whole to the single transfer.
    static func lines(_ status: ServerStatus) -> [String] {
        var lines = head(status) + totals(status) + shards(status)
        for (name, fields) in status.sections.sorted(by: { $0.key < $1.key }) {
            let text = fields.sorted { $0.key < $1.key }.map { "\($0) \($1)" }
            lines.append("\(name): \(text.joined(separator: ", "))")
        }
        if !status.running.isEmpty { lines += [""] + table(status) }
        let problems = status.problems.prefix(problemsMax)
        if !problems.isEmpty { lines += ["", "lately:"] + problems.map(problem) }
        return lines
    }

    /// What is known of one machine: a line for each of its transfers, and for each of its latest
    /// problems.
    ///
    /// - Parameter client: the machine or network as the command line spells it.
    static func clientLines(_ status: ServerStatus, of client: String) -> [String] {
        let lines = status.running.map { "\($0.client) \(transfer($0))" }
        let all = lines + status.problems.map(problem)
        return all.isEmpty
            ? ["No running or recently failed transfer for \(client)."] : all
    }

    private static func head(_ status: ServerStatus) -> [String] {
        let addresses = status.listening.joined(separator: ", ")
        var lines = [
            "bootstorm \(status.version), process \(status.processID), \(status.state) for "
                + "\(age(status.uptimeSeconds)) on \(addresses)",
            "folder \(status.root)\(status.hasSnapshots ? " (snapshots)" : ""), uploads "
                + "\(status.upload)",
        ]
        lines += status.policies.map { "policy \($0)" }
        return lines
    }

    private static func totals(_ status: ServerStatus) -> [String] {
        let totals = status.totals
        let phases = ["opening", "offering", "sending", "receiving", "committing"]
        let parts = phases.compactMap { phase in
            status.phases[phase].flatMap { $0 > 0 ? "\($0) \(phase)" : nil }
        }
        let count = phases.reduce(0) { $0 + (status.phases[$1] ?? 0) }
        var running = "running: \(count)"
        if !parts.isEmpty { running += " (\(parts.joined(separator: ", ")))" }
        if status.waitingCount > 0 { running += ", \(status.waitingCount) wait for content" }
        var lines = [
            running,
            "ended: \(totals.done) done, \(totals.failed) failed, \(totals.refused) refused; "
                + "\(Rounded.bytes(totals.bytesSent)) sent, "
                + "\(Rounded.bytes(totals.bytesReceived)) received, "
                + "\(totals.blocksResent) blocks sent again",
        ]
        if !totals.refusals.isEmpty { lines.append("refused: \(ranked(totals.refusals))") }
        if !totals.misses.isEmpty { lines.append("missing files: \(ranked(totals.misses))") }
        lines.append(cache(status))
        return lines
    }

    /// Counts by label, the largest first.
    private static func ranked(_ counts: [String: UInt64]) -> String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }

    private static func cache(_ status: ServerStatus) -> String {
        let cache = status.cache
        return "cache: \(Rounded.bytes(UInt64(cache.usedByteCount))) of "
            + "\(Rounded.bytes(UInt64(cache.sizeByteCount))), \(cache.imageCount) images, "
            + "\(cache.evictedCount) extents evicted, \(Rounded.bytes(cache.readByteCount)) read"
    }

    private static func shards(_ status: ServerStatus) -> [String] {
        status.shards.map { shard in
            let busy = shard.cpuSeconds.map { "\(Rounded.seconds($0)) s CPU" } ?? "ended"
            return "shard \(shard.index): \(shard.activeCount) transfers, \(busy), "
                + "\(Rounded.bytes(shard.bytesSent)) sent"
        }
    }

    // MARK: Transfers

    private static func table(_ status: ServerStatus) -> [String] {
        let width = max(6, status.running.map(\.client.count).max() ?? 0)
        let kinds = max(4, status.running.map(\.kind.count).max() ?? 0)
        let title = "\(padded("CLIENT", width))  \(padded("KIND", kinds))  TRANSFER"
        return [title]
            + status.running.map { row in
                "\(padded(row.client, width))  \(padded(row.kind, kinds))  \(transfer(row))"
            }
    }

    private static func transfer(_ row: TransferStatus) -> String {
        var text = "\(row.direction) \"\(row.name)\" \(row.explanation)"
        if row.phase != "opening" {
            text += "; \(row.blksize) × \(row.windowsize), \(Rounded.seconds(row.ageSeconds)) s"
        }
        if row.resentCount > 0 { text += ", \(row.resentCount) sent again" }
        return text
    }

    private static func problem(_ problem: ProblemStatus) -> String {
        let times = problem.count > 1 ? ", \(problem.count) times" : ""
        return "\(problem.line) (\(Rounded.seconds(problem.ageSeconds)) s ago\(times))"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    static func age(_ seconds: Double) -> String {
        let whole = Int(seconds)
        switch whole {
        case ..<60: return "\(whole) s"
        case ..<3600: return "\(whole / 60) min"
        case ..<86_400: return "\(whole / 3600) h \(whole % 3600 / 60) min"
        default: return "\(whole / 86_400) days \(whole % 86_400 / 3600) h"
        }
    }
}
