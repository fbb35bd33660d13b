internal import FoundationEssentials
internal import Glibc

/// Where values are along an axis, and which of them are marked.
struct Scale {
    /// A marked value; one without a label has only a line.
    struct Tick {
        var value: Double
        var label: String
    }

    private let lower: Double
    private let upper: Double
    private let isLogarithmic: Bool
    let ticks: [Tick]

    /// From 0 to a round number at or above `highest`.
    static func linear(upTo highest: Double) -> Scale {
        let highest = highest > 0 && highest.isFinite ? highest : 1
        let step = niceStep(highest / 5)
        let count = (highest / step - 1e-9).rounded(.up)
        let digits = max(0, Int(-log10(step).rounded(.down)))
        let ticks = stride(from: 0, through: count, by: 1).map {
            Tick(value: $0 * step, label: decimal($0 * step, min(digits, 9)))
        }
        return Scale(lower: 0, upper: count * step, isLogarithmic: false, ticks: ticks)
    }

    /// Whole powers of ten around `lowest` and `highest`, which are above 0.
    static func logarithmic(_ lowest: Double, _ highest: Double, label: (Double) -> String) -> Scale
    {
        let first = log10(lowest).rounded(.down)
        let last = max(first + 1, log10(highest).rounded(.up))
        var ticks: [Tick] = []
        for exponent in stride(from: first, through: last, by: 1) {
            let power = pow(10, exponent)
            ticks.append(Tick(value: power, label: label(power)))
            guard exponent < last else { break }
            ticks += (2...9).map { Tick(value: power * Double($0), label: "") }
        }
        return Scale(
            lower: pow(10, first), upper: pow(10, last), isLogarithmic: true, ticks: ticks)
    }

    /// Percentiles, each further nine as far from the last as that from the one before. A value is
    /// given as `percentilePlace` of it.
    static func percentiles(nines: Int) -> Scale {
        var ticks = [0.0, 50, 75].map { Tick(value: percentilePlace($0), label: decimal($0, 0)) }
        for nine in 1...max(1, nines) {
            let percentile = 100 - 100 * pow(0.1, Double(nine))
            ticks.append(
                Tick(
                    value: percentilePlace(percentile), label: decimal(percentile, max(0, nine - 2))
                )
            )
        }
        return Scale(
            lower: 1, upper: pow(10, Double(max(1, nines))), isLogarithmic: true, ticks: ticks)
    }

    static func percentilePlace(_ percentile: Double) -> Double {
        1 / max(1e-12, 1 - percentile / 100)
    }

    /// One unit for each label, which stands in its middle: what a heat map's cells need.
    static func cells(_ labels: [String]) -> Scale {
        let ticks = labels.enumerated().map { Tick(value: Double($0) + 0.5, label: $1) }
        return Scale(lower: 0, upper: Double(labels.count), isLogarithmic: false, ticks: ticks)
    }

    /// 0 at the lower end and 1 at the upper; what is outside is put at the end.
    func fraction(of value: Double) -> Double {
        let value = min(max(value, lower), upper)
        guard upper > lower else { return 0 }
        return isLogarithmic
            ? log(value / lower) / log(upper / lower) : (value - lower) / (upper - lower)
    }

    /// The least of 1, 2 and 5 times a power of ten that is not below `step`.
    private static func niceStep(_ step: Double) -> Double {
        let power = pow(10, log10(step).rounded(.down))
        for factor in [1.0, 2, 5] where factor * power >= step * (1 - 1e-9) {
            return factor * power
        }
        return 10 * power
    }
}
