internal import TFTPLoad

/// Two heat maps for each load, blksize by windowsize: what arrived, and what was sent again.
struct TunePlot {
    private let findings: TuneFindings
    private let title: String
    private let loads: [TuneJudge]
    private let columns: [Int]
    private let rows: [Int]
    /// Wide enough for the title of a map, however few columns it has.
    private let cellWidth: Double

    private static let cellWidthMin = 58.0
    private static let mapWidthMin = 240.0
    private static let cellHeight = 36.0
    /// Around each map, for its title and its labels.
    private static let margin = (left: 96.0, top: 40.0, right: 24.0, bottom: 58.0)
    private static let titleHeight = 40.0
    private static let legendHeight = 22.0
    /// Where this much is sent again, a cell is as dark as can be.
    private static let repeatShareDarkest = 0.5

    init(_ findings: TuneFindings, title: String) {
        self.findings = findings
        self.title = title
        loads = findings.judges
        columns = findings.plan.grid.windowsizes
        rows = findings.plan.grid.blksizes
        cellWidth = max(TunePlot.cellWidthMin, TunePlot.mapWidthMin / Double(columns.count))
    }

    func canvas() -> Canvas {
        let last = map(load: loads.count - 1, isRight: true)
        let margin = TunePlot.margin
        var canvas = Canvas(
            width: last.right + margin.right,
            height: last.bottom + margin.bottom + TunePlot.legendHeight)
        canvas.text(title, at: Point(x: margin.left, y: 30), size: 15, isBold: true)
        for (index, load) in loads.enumerated() {
            drawGoodput(load, in: map(load: index, isRight: false), on: &canvas)
            drawRepeats(load, in: map(load: index, isRight: true), on: &canvas)
        }
        drawLegend(below: last.bottom + margin.bottom, on: &canvas)
        return canvas
    }

    /// Where a map is.
    private func map(load index: Int, isRight: Bool) -> Box {
        let width = Double(columns.count) * cellWidth
        let height = Double(rows.count) * TunePlot.cellHeight
        let margin = TunePlot.margin
        let step = isRight ? margin.left + width + margin.right : 0
        return Box(
            x: margin.left + step,
            y: TunePlot.titleHeight + margin.top
                + Double(index) * (margin.top + height + margin.bottom),
            width: width, height: height)
    }

    private func drawGoodput(_ load: TuneJudge, in box: Box, on canvas: inout Canvas) {
        let top = load.scores.map(\.goodput).max() ?? 1
        draw(load, "MB/s, \(load.name)", in: box, on: &canvas) { score in
            (megabytes(score.goodput), score.goodput / max(1, top))
        }
    }

    private func drawRepeats(_ load: TuneJudge, in box: Box, on canvas: inout Canvas) {
        draw(load, "sent again, %, \(load.name)", in: box, on: &canvas) { score in
            let percent = score.repeatShare * 100
            return (
                decimal(percent, percent < 9.95 ? 1 : 0),
                score.repeatShare / TunePlot.repeatShareDarkest
            )
        }
    }

    private func draw(
        _ load: TuneJudge, _ title: String, in box: Box, on canvas: inout Canvas,
        _ show: (TuneScore) -> (label: String, heat: Double)
    ) {
        let axes = Axes(
            box: box, x: .cells(columns.map(String.init)), y: .cells(rows.map(label)))
        axes.draw(on: &canvas, title: title, xLabel: "windowsize", yLabel: "")
        canvas.text(
            "blksize", at: Point(x: box.x - 8, y: box.y - 12), anchor: .end, ink: .faint)
        for score in load.scores {
            guard let cell = cell(of: score.setting, on: axes) else { continue }
            let (label, heat) = show(score)
            let ink = Ink.heat(heat)
            canvas.rect(cell, fill: ink)
            canvas.text(
                label, at: Point(x: cell.center.x, y: cell.center.y + 4), anchor: .middle,
                ink: ink.contrast)
        }
        for (setting, ink) in marked(load) {
            guard let cell = cell(of: setting, on: axes) else { continue }
            canvas.outline(cell, ink: ink)
        }
    }

    private func label(_ blksize: Int) -> String {
        "\(blksize)\(findings.path.packetCount(blksize: blksize) > 1 ? "*" : "")"
    }

    private func cell(of setting: TuneSetting, on axes: Axes) -> Box? {
        guard let column = columns.firstIndex(of: setting.windowsize),
            let row = rows.firstIndex(of: setting.blksize)
        else { return nil }
        let (x, y) = (Double(column), Double(row))
        return axes.box((x, y), (x + 1, y + 1))
    }

    /// What is framed: the best of the load, and the one for all loads over it.
    private func marked(_ load: TuneJudge) -> [(TuneSetting, Ink)] {
        let best = load.best.map { [($0.setting, Ink.blue)] } ?? []
        guard loads.count > 1, let all = TuneCompromise(loads) else { return best }
        return best + [(all.setting, .green)]
    }

    private func drawLegend(below y: Double, on canvas: inout Canvas) {
        var text = "blue frame: best of its load; green frame: for all loads"
        if rows.contains(where: { findings.path.packetCount(blksize: $0) > 1 }) {
            text += "; *: travels in fragments at MTU \(findings.path.mtu)"
        }
        canvas.text(text, at: Point(x: TunePlot.margin.left, y: y + 4), ink: .faint)
    }
}

extension Canvas {
    /// The frame of a box, inside of it.
    fileprivate mutating func outline(_ box: Box, ink: Ink) {
        let (left, right) = (box.x + 1.5, box.right - 1.5)
        let (top, bottom) = (box.y + 1.5, box.bottom - 1.5)
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        polyline(corners.map { Point(x: $0.0, y: $0.1) }, ink: ink, width: 3)
    }
}
