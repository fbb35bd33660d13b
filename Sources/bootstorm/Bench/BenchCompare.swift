internal import ArgumentParser
internal import FoundationEssentials
internal import Glibc

/// `bootstorm bench compare`: two reports of storms side by side.
struct BenchCompare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare two JSON reports of bench.",
        discussion: """
            Prints each figure of both reports and their ratio, and whether the second is worse. Exit codes: 0 not worse, \
            1 worse by more than --tolerance, 64 wrong usage.

            Example: bootstorm bench compare before.json after.json --plot compare.svg
            """)

    @Argument(help: .init("Report to compare with.", valueName: "before.json"), completion: .file())
    var before: String

    @Argument(help: .init("Report to judge.", valueName: "after.json"), completion: .file())
    var after: String

    @Option(
        help: .init("Change that counts as noise, in percent, 0 to 1000.", valueName: "percent"))
    var tolerance = 10.0

    @Option(
        help: .init("Draw both latency curves: FILE.svg or FILE.png.", valueName: "file"),
        completion: .file(), transform: PictureFile.argument)
    var plot: PictureFile?

    func validate() throws {
        guard (0...1000).contains(tolerance) else {
            throw ValidationError("--tolerance is 0 to 1000 percent.")
        }
    }

    func run() throws {
        ignoreBrokenPipes()
        do {
            let reports = (try BenchCompare.read(before), try BenchCompare.read(after))
            let comparison = BenchComparison(reports.0, reports.1, tolerance: tolerance / 100)
            try plot?.check()
            try plot?.write(ComparePlot(reports.0, reports.1).canvas())
            StandardOutput.write(comparison.text)
            if comparison.isWorse { throw ExitCode.failure }
        } catch let error as OutputError {
            StandardError.write("bootstorm: \(error)\n")
            throw ExitCode.failure
        }
    }

    private static func read(_ path: String) throws -> BenchSummary {
        let data: Data
        do throws(NamedFile.Failure) {
            data = Data(try NamedFile.bytes(of: path, byteCountMax: 64 << 20))
        } catch {
            throw ValidationError("'\(path)' \(error)")
        }
        do {
            return try JSONDecoder().decode(BenchSummary.self, from: data)
        } catch {
            throw ValidationError(
                "'\(path)' is not a report of this version of bench (schema \(BenchSummary.currentSchemaVersion)); "
                    + "write it with 'bootstorm bench … --json FILE'")
        }
    }
}

/// Two reports side by side.
struct BenchComparison {
    private struct Row {
        var name: String
        var unit: String
        var before: Double
        var after: Double
        /// Whether more is worse; nil where a change is neither.
        var worsens: Bool?

        /// After divided by before; nil where there is nothing to divide by.
        var ratio: Double? { before > 0 ? after / before : nil }

        func isWorse(_ tolerance: Double) -> Bool {
            guard let worsens else { return false }
            if worsens { return after > before * (1 + tolerance) && after > before }
            return after < before / (1 + tolerance)
        }
    }

    private let rows: [Row]
    private let tolerance: Double
    private let notes: [String]
    /// What makes the second worse, whatever its figures are.
    private let troubles: [String]

    init(_ before: BenchSummary, _ after: BenchSummary, tolerance: Double) {
        self.tolerance = tolerance
        // A figure that one of them has not is not compared.
        func number(
            _ name: String, _ unit: String, _ worsens: Bool?, _ value: (BenchSummary) -> Double?
        ) -> Row? {
            guard let old = value(before), let new = value(after) else { return nil }
            return Row(name: name, unit: unit, before: old, after: new, worsens: worsens)
        }
        func milliseconds(
            _ name: String, _ latency: KeyPath<BenchSummary, BenchSummary.Latency>,
            _ value: (BenchSummary.Latency) -> Double
        ) -> Row? {
            number(name, "ms", true) { summary in
                let latency = summary[keyPath: latency]
                return latency.histogram.isEmpty ? nil : value(latency) * 1000
            }
        }
        rows = [
            number("throughput", "MB/s", false) { $0.megabytesPerSecond },
            number("transfers", "/s", false) { $0.transfersPerSecond },
            milliseconds("transfer time mean", \.transferTime) { $0.mean },
            milliseconds("transfer time p50", \.transferTime) { $0.p50 },
            milliseconds("transfer time p99", \.transferTime) { $0.p99 },
            milliseconds("turn-around p50", \.turnaround) { $0.p50 },
            milliseconds("turn-around p99", \.turnaround) { $0.p99 },
            number("failed", "", true) { Double($0.failed) },
            number("dropped", "", true) { Double($0.dropped) },
            number("repeats sent", "", nil) { Double($0.retransmissions) },
            number("server CPU", "s/GB", true) { $0.server?.cpuSecondsPerGB },
        ].compactMap(\.self)
        troubles = BenchComparison.troubles(before, after)
        notes = BenchComparison.differences(before, after)
    }

    /// What has gone wrong in the second run and had not in the first: a server that falls silent
    /// has fine figures until then.
    private static func troubles(_ before: BenchSummary, _ after: BenchSummary) -> [String] {
        var troubles: [String] = []
        if before.problems.isEmpty { troubles += after.problems }
        if before.unfinished == 0, after.unfinished > 0 {
            troubles.append("\(after.unfinished) transfers are unfinished")
        }
        func isSilent(_ summary: BenchSummary) -> Bool {
            summary.silence.longest >= BenchVerdict.silenceSecondsMax
                || summary.silence.atEnd >= BenchVerdict.silenceAtEndSecondsMax
        }
        if !isSilent(before), isSilent(after) {
            troubles.append(
                "the server was silent for \(decimal(after.silence.longest, 1)) s, "
                    + "\(decimal(after.silence.atEnd, 1)) s of it at the end")
        }
        return troubles
    }

    /// What makes the two less comparable.
    private static func differences(_ before: BenchSummary, _ after: BenchSummary) -> [String] {
        var notes: [String] = []
        let (one, other) = (before.parameters, after.parameters)
        if one.clients != other.clients { notes.append("clients \(one.clients), \(other.clients)") }
        if one.files != other.files { notes.append("files differ") }
        if one.kinds != other.kinds { notes.append("kinds of machines differ") }
        if one.rate != other.rate { notes.append("rates differ") }
        if one.impair != other.impair { notes.append("impairments differ") }
        if before.environment.host != after.environment.host { notes.append("hosts differ") }
        if before.environment.kernel != after.environment.kernel { notes.append("kernels differ") }
        return notes
    }

    var isWorse: Bool { !troubles.isEmpty || rows.contains { $0.isWorse(tolerance) } }

    /// A line a figure, then the verdict.
    var text: String {
        var lines = [line("", "before", "after", "ratio")]
        for row in rows where row.before > 0 || row.after > 0 {
            let ratio = row.ratio.map { "× \(decimal($0, 2))" } ?? "-"
            let mark = row.isWorse(tolerance) ? "  worse" : ""
            let name = row.unit.isEmpty ? row.name : "\(row.name), \(row.unit)"
            lines.append(line(name, decimal(row.before, 3), decimal(row.after, 3), ratio + mark))
        }
        lines += notes.map { "note: \($0)" }
        lines += troubles.map { "worse: \($0)" }
        let share = decimal(tolerance * 100, 0)
        if !isWorse {
            lines.append("verdict: not worse by more than \(share) %")
        } else if rows.contains(where: { $0.isWorse(tolerance) }) {
            lines.append("verdict: worse by more than \(share) %")
        } else {
            lines.append("verdict: worse")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ name: String, _ before: String, _ after: String, _ ratio: String) -> String
    {
        name + String(repeating: " ", count: max(1, 26 - name.count))
            + String(repeating: " ", count: max(0, 12 - before.count)) + before
            + String(repeating: " ", count: max(1, 13 - after.count)) + after + "  " + ratio
    }
}

/// The transfer times of two reports in one picture.
struct ComparePlot {
    private let reports: [(name: String, ink: Ink, summary: BenchSummary)]
    private static let box = Box(x: 70, y: 90, width: 560, height: 380)

    init(_ before: BenchSummary, _ after: BenchSummary) {
        reports = [("before", .blue, before), ("after", .orange, after)]
    }

    func canvas() -> Canvas {
        var canvas = Canvas(width: 660, height: 540)
        canvas.text("Transfer time", at: Point(x: 20, y: 28), size: 16, isBold: true)
        let drawn = reports.filter { !$0.summary.transferTime.histogram.isEmpty }
        guard !drawn.isEmpty else { return canvas }
        let all = drawn.flatMap(\.summary.transferTime.histogram).map { max($0.upTo, 1e-6) }
        let axes = Axes(
            box: ComparePlot.box, x: .percentiles(nines: 3),
            y: .logarithmic(all.min() ?? 1e-6, all.max() ?? 1, label: durationLabel))
        axes.draw(on: &canvas, title: "", xLabel: "percentile", yLabel: "")
        for (index, report) in drawn.enumerated() {
            let latency = report.summary.transferTime
            let points = (0...72).map { step in
                let percentile = 100 - 100 * pow(0.1, Double(step) / 24)
                return axes.point(
                    Scale.percentilePlace(percentile), max(latency.value(at: percentile), 1e-6))
            }
            canvas.polyline(points, ink: report.ink, width: 2)
            let y = 52.0 + Double(index) * 18
            let text =
                "\(report.name): p50 \(decimal(latency.p50 * 1000, 1)) ms, p99 \(decimal(latency.p99 * 1000, 1)) ms"
                + ", \(report.summary.failed) failed"
            canvas.text(text, at: Point(x: 20, y: y), ink: report.ink)
        }
        return canvas
    }
}

extension BenchSummary.Latency {
    /// The time that `percentile` percent of the values do not exceed, from the histogram.
    func value(at percentile: Double) -> Double {
        let total = histogram.reduce(0) { $0 + $1.count }
        let wanted = (Double(total) * percentile / 100).rounded(.up)
        var seen = 0
        for bucket in histogram {
            seen += bucket.count
            if Double(seen) >= wanted { return bucket.upTo }
        }
        return max
    }
}
