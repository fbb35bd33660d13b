/// Two scales around a box, and where values are in it.
struct Axes {
    var box: Box
    var x: Scale
    var y: Scale

    func point(_ xValue: Double, _ yValue: Double) -> Point {
        Point(
            x: box.x + box.width * x.fraction(of: xValue),
            y: box.bottom - box.height * y.fraction(of: yValue))
    }

    /// The box between two corners given as values.
    func box(_ first: (x: Double, y: Double), _ second: (x: Double, y: Double)) -> Box {
        let (one, other) = (point(first.x, first.y), point(second.x, second.y))
        return Box(
            x: min(one.x, other.x), y: min(one.y, other.y), width: abs(one.x - other.x),
            height: abs(one.y - other.y))
    }

    func draw(on canvas: inout Canvas, title: String, xLabel: String, yLabel: String) {
        for tick in x.ticks { drawVertical(tick, on: &canvas) }
        for tick in y.ticks { drawHorizontal(tick, on: &canvas) }
        let corner = Point(x: box.x, y: box.bottom)
        canvas.line(from: Point(x: box.x, y: box.y), to: corner, ink: .frame)
        canvas.line(from: corner, to: Point(x: box.right, y: box.bottom), ink: .frame)
        canvas.text(title, at: Point(x: box.x, y: box.y - 12), size: 13, isBold: true)
        canvas.text(
            xLabel, at: Point(x: box.center.x, y: box.bottom + 36), anchor: .middle, ink: .faint)
        canvas.text(
            yLabel, at: Point(x: box.x - 48, y: box.center.y), anchor: .middle, ink: .faint,
            turned: true)
    }

    private func drawVertical(_ tick: Scale.Tick, on canvas: inout Canvas) {
        let place = box.x + box.width * x.fraction(of: tick.value)
        canvas.line(
            from: Point(x: place, y: box.y), to: Point(x: place, y: box.bottom), ink: .grid)
        canvas.text(
            tick.label, at: Point(x: place, y: box.bottom + 17), anchor: .middle, size: 11)
    }

    private func drawHorizontal(_ tick: Scale.Tick, on canvas: inout Canvas) {
        let place = box.bottom - box.height * y.fraction(of: tick.value)
        canvas.line(
            from: Point(x: box.x, y: place), to: Point(x: box.right, y: place), ink: .grid)
        guard !tick.label.isEmpty else { return }
        canvas.text(tick.label, at: Point(x: box.x - 7, y: place + 4), anchor: .end, size: 11)
    }
}
