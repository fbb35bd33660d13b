/// A place on a canvas, in pixels from its upper left corner.
struct Point {
    var x: Double
    var y: Double
}

/// An upright rectangle on a canvas.
struct Box {
    var x: Double
    var y: Double
    var width: Double
    var height: Double

    var right: Double { x + width }
    var bottom: Double { y + height }
    var center: Point { Point(x: x + width / 2, y: y + height / 2) }
}

/// A picture that grows by shapes and ends as SVG.
struct Canvas {
    let width: Double
    let height: Double
    private var shapes: [String] = []

    enum Anchor: String {
        case start
        case middle
        case end
    }

    /// A white canvas.
    init(width: Double, height: Double) {
        self.width = width
        self.height = height
        rect(Box(x: 0, y: 0, width: width, height: height), fill: .paper)
    }

    mutating func rect(_ box: Box, fill: Ink) {
        shapes.append(
            "<rect \(place("x", box.x)) \(place("y", box.y)) \(place("width", box.width)) "
                + "\(place("height", box.height)) fill=\"\(fill.hex)\"/>")
    }

    mutating func line(from start: Point, to end: Point, ink: Ink, width: Double = 1) {
        polyline([start, end], ink: ink, width: width)
    }

    mutating func polyline(_ points: [Point], ink: Ink, width: Double = 1.5) {
        let places = points.map { "\(decimal($0.x, 1)),\(decimal($0.y, 1))" }
        shapes.append(
            "<polyline points=\"\(places.joined(separator: " "))\" fill=\"none\" "
                + "stroke=\"\(ink.hex)\" \(place("stroke-width", width)) stroke-linejoin=\"round\"/>"
        )
    }

    /// Writes `text` with its base line at `point`; `turned` from bottom to top.
    mutating func text(
        _ text: String, at point: Point, anchor: Anchor = .start, ink: Ink = .text,
        size: Double = 12, isBold: Bool = false, turned: Bool = false
    ) {
        guard !text.isEmpty else { return }
        var attributes = "\(place("x", point.x)) \(place("y", point.y)) "
        attributes += "\(place("font-size", size)) text-anchor=\"\(anchor)\" fill=\"\(ink.hex)\""
        if isBold { attributes += " font-weight=\"bold\"" }
        if turned {
            attributes +=
                " transform=\"rotate(-90 \(decimal(point.x, 1)) \(decimal(point.y, 1)))\""
        }
        shapes.append("<text \(attributes)>\(Canvas.escaped(text))</text>")
    }

    var svg: String {
        let size = "\(place("width", width)) \(place("height", height))"
        let view = "viewBox=\"0 0 \(decimal(width, 1)) \(decimal(height, 1))\""
        let head =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) \(view) font-family=\"sans-serif\">"
        return ([head] + shapes + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func place(_ name: String, _ value: Double) -> String {
        "\(name)=\"\(decimal(value, 1))\""
    }

    /// What XML allows in text: names of files can be anything.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case _ where scalar.value < 0x20: escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
