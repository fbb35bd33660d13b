/// Prometheus' text format: a value that lines are added to, a family of metrics at a time.
package struct PrometheusText: Sendable {
    /// What has been written.
    package private(set) var text = ""

    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    package init() {}

    /// Begins a family. Its samples follow.
    ///
    /// - Parameters:
    ///   - name: with unit, and for a counter with `_total`.
    ///   - help: one sentence.
    package mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(PrometheusText.escaped(help, quotes: false))\n"
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    package mutating func add(
        _ name: String, _ labels: [(String, String)] = [], _ value: UInt64
    ) { line(name, labels, String(value)) }

    package mutating func add(
        _ name: String, _ labels: [(String, String)] = [], _ value: Int
    ) { line(name, labels, String(value)) }

    package mutating func add(
        _ name: String, _ labels: [(String, String)] = [], _ value: Double
    ) { line(name, labels, String(value)) }

    /// A family with one sample.
    package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: UInt64) {
        begin(name, kind, help)
        add(name, [], value)
    }

    /// The samples of one histogram, in seconds.
    ///
    /// - Parameters:
    ///   - bounds: of the buckets, in nanoseconds, ascending.
    ///   - counts: by bucket, not cumulative, with one more than bounds.
    package mutating func addHistogram(
        _ name: String, _ labels: [(String, String)], bounds: [UInt64], counts: [UInt64],
        sumNanoseconds: UInt64
    ) {
        precondition(counts.count == bounds.count + 1)
        var sum: UInt64 = 0
        for (bound, count) in zip(bounds, counts) {
            sum += count
            add("\(name)_bucket", labels + [("le", "\(Double(bound) / 1e9)")], sum)
        }
        sum += counts[bounds.count]
        add("\(name)_bucket", labels + [("le", "+Inf")], sum)
        add("\(name)_sum", labels, Double(sumNanoseconds) / 1e9)
        add("\(name)_count", labels, sum)
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            let parts = labels.map { "\($0)=\"\(PrometheusText.escaped($1, quotes: true))\"" }
            text += "{\(parts.joined(separator: ","))}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
