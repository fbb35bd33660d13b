internal import FoundationEssentials
internal import Glibc
internal import Histogram
internal import TFTPLoad

/// A storm as a picture: how long things took on the left, how much went through over time on the
/// right.
struct BenchPlot {
    private let summary: BenchSummary
    private let report: StormReport

    private static let latencyBox = Box(x: 70, y: 90, width: 420, height: 400)
    private static let bytesBox = Box(x: 580, y: 90, width: 390, height: 100)
    private static let transfersBox = Box(x: 580, y: 245, width: 390, height: 100)
    private static let machinesBox = Box(x: 580, y: 400, width: 390, height: 90)

    init(_ summary: BenchSummary, _ report: StormReport) {
        self.summary = summary
        self.report = report
    }

    func canvas() -> Canvas {
        var canvas = Canvas(width: 1000, height: 560)
        drawHeading(on: &canvas)
        drawLatencies(on: &canvas)
        drawRates(
            "Throughput", "MB/s", BenchPlot.bytesBox, on: &canvas
        ) { Double($0.bytes) / 1e6 }
        drawRates(
            "Transfers", "transfers/s", BenchPlot.transfersBox, on: &canvas
        ) { Double($0.transfers) }
        drawMachines(on: &canvas)
        return canvas
    }

    private func drawHeading(on canvas: inout Canvas) {
        let parameters = summary.parameters
        canvas.text(
            "\(parameters.clients) clients, \(parameters.files.joined(separator: ", ")) from \(parameters.server)",
            at: Point(x: 20, y: 28), size: 16, isBold: true)
        canvas.text(summary.headline, at: Point(x: 20, y: 50), ink: .faint)
    }

    // MARK: Latencies

    private func drawLatencies(on canvas: inout Canvas) {
        let curves: [(name: String, ink: Ink, histogram: Histogram<UInt64>)] = [
            ("turn-around of a block", .blue, report.turnaround),
            ("whole transfer", .orange, report.bootTime),
        ].filter { $0.histogram.totalCount > 0 }
        guard !curves.isEmpty else { return }
        let lowest = curves.map { BenchPlot.seconds($0.histogram, 0) }.min() ?? 1e-6
        let highest = curves.map { BenchPlot.seconds($0.histogram, 100) }.max() ?? 1
        let count = curves.map(\.histogram.totalCount).max() ?? 1
        let nines = min(5, max(2, Int(log10(Double(count)))))
        let axes = Axes(
            box: BenchPlot.latencyBox, x: .percentiles(nines: nines),
            y: .logarithmic(lowest, highest, label: durationLabel))
        axes.draw(on: &canvas, title: "Latency", xLabel: "percentile", yLabel: "")
        for (index, curve) in curves.enumerated() {
            let points = BenchPlot.percentiles(nines).map {
                axes.point(Scale.percentilePlace($0), BenchPlot.seconds(curve.histogram, $0))
            }
            canvas.polyline(points, ink: curve.ink, width: 2)
            for percentile in [50.0, 99.0] {
                mark(percentile, curve.histogram, curve.ink, axes, on: &canvas)
            }
            drawLegend(curve.name, curve.ink, row: index, on: &canvas)
        }
    }

    /// A cross on the curve, and its value.
    private func mark(
        _ percentile: Double, _ histogram: Histogram<UInt64>, _ ink: Ink, _ axes: Axes,
        on canvas: inout Canvas
    ) {
        let seconds = BenchPlot.seconds(histogram, percentile)
        let at = axes.point(Scale.percentilePlace(percentile), seconds)
        canvas.line(
            from: Point(x: at.x - 4, y: at.y), to: Point(x: at.x + 4, y: at.y), ink: ink, width: 2)
        canvas.line(
            from: Point(x: at.x, y: at.y - 4), to: Point(x: at.x, y: at.y + 4), ink: ink, width: 2)
        canvas.text(
            "p\(decimal(percentile, 0)) \(decimal(seconds * 1000, 1)) ms",
            at: Point(x: at.x, y: at.y - 8), anchor: .end, ink: ink, size: 11)
    }

    private func drawLegend(_ name: String, _ ink: Ink, row: Int, on canvas: inout Canvas) {
        let x = BenchPlot.latencyBox.x + 90 + Double(row) * 180
        let y = BenchPlot.latencyBox.y - 16
        canvas.line(from: Point(x: x, y: y), to: Point(x: x + 20, y: y), ink: ink, width: 2)
        canvas.text(name, at: Point(x: x + 26, y: y + 4))
    }

    /// Twenty-four percentiles from each nine to the next.
    private static func percentiles(_ nines: Int) -> [Double] {
        (0...24 * nines).map { 100 - 100 * pow(0.1, Double($0) / 24) }
    }

    private static func seconds(_ histogram: Histogram<UInt64>, _ percentile: Double) -> Double {
        Double(max(1_000, histogram.valueAtPercentile(percentile))) / 1e9
    }

    // MARK: Rates

    /// Steps: each interval of the timeline has one rate.
    private func drawRates(
        _ title: String, _ unit: String, _ box: Box, on canvas: inout Canvas,
        _ value: (BenchSummary.Interval) -> Double
    ) {
        var from = 0.0
        var steps: [(from: Double, to: Double, rate: Double)] = []
        for interval in summary.timeline where interval.seconds > from {
            steps.append((from, interval.seconds, value(interval) / (interval.seconds - from)))
            from = interval.seconds
        }
        let axes = Axes(
            box: box, x: .linear(upTo: from), y: .linear(upTo: steps.map(\.rate).max() ?? 1))
        axes.draw(on: &canvas, title: title, xLabel: "seconds", yLabel: unit)
        let points = steps.flatMap {
            [axes.point($0.from, $0.rate), axes.point($0.to, $0.rate)]
        }
        if !points.isEmpty { canvas.polyline(points, ink: .green) }
    }
}

extension BenchPlot {
    /// How many machines ran, how many boots waited for one, and how many failed in each interval.
    fileprivate func drawMachines(on canvas: inout Canvas) {
        let curves: [(name: String, ink: Ink, value: (BenchSummary.Interval) -> Int)] = [
            ("running", .blue, { $0.running }), ("late", .faint, { $0.late }),
            ("failed", .orange, { $0.failed }),
        ]
        let highest = summary.timeline.flatMap { [$0.running, $0.late, $0.failed] }.max() ?? 1
        let axes = Axes(
            box: BenchPlot.machinesBox, x: .linear(upTo: summary.timeline.last?.seconds ?? 1),
            y: .linear(upTo: Double(max(1, highest))))
        axes.draw(on: &canvas, title: "Machines", xLabel: "seconds", yLabel: "boots")
        for (index, curve) in curves.enumerated() {
            let points = summary.timeline.map { axes.point($0.seconds, Double(curve.value($0))) }
            if points.count > 1 { canvas.polyline(points, ink: curve.ink) }
            canvas.text(
                curve.name,
                at: Point(x: axes.box.x + 130 + Double(index) * 80, y: axes.box.y - 12),
                ink: curve.ink)
        }
    }
}

/// A time as an axis has it.
func durationLabel(_ seconds: Double) -> String {
    switch seconds {
    case ..<0.999e-3: "\(decimal(seconds * 1e6, 0)) µs"
    case ..<0.999: "\(decimal(seconds * 1e3, 0)) ms"
    default: "\(decimal(seconds, 0)) s"
    }
}
