extension Impairment {
    /// Reads `loss=1%,burst=4,dup=1%,reorder=2%:3ms,delay=2ms,jitter=500us,rate=100Mbit,queue=64`.
    ///
    /// Every part may be left out. `up.` or `down.` before a name means one direction only and goes
    /// before what is said of both. The name of a `CommonLink` stands for its parts.
    package init(_ text: String) throws(ImpairmentError) {
        var settings: [Setting] = []
        let parts = CommonLink(rawValue: text)?.parts ?? text
        for part in parts.split(separator: ",", omittingEmptySubsequences: false) {
            let setting = try Setting(part)
            if settings.contains(where: { $0.name == setting.name && $0.ways == setting.ways }) {
                throw ImpairmentError("\(setting.fullName) is given twice")
            }
            settings.append(setting)
        }
        var up = Way()
        var down = Way()
        for setting in settings.filter({ $0.ways == .both }) + settings.filter({ $0.ways != .both })
        {
            if setting.ways != .down { try up.apply(setting) }
            if setting.ways != .up { try down.apply(setting) }
        }
        try Impairment.check(settings, up, down)
        self.init(up: up, down: down, text: parts)
    }

    /// What makes sense alone and not together.
    private static func check(
        _ settings: [Setting], _ up: Way, _ down: Way
    ) throws(ImpairmentError) {
        for setting in settings {
            let ways = setting.ways == .up ? [up] : setting.ways == .down ? [down] : [up, down]
            if setting.name == .queue && ways.allSatisfy({ $0.bitsPerSecond == nil }) {
                throw ImpairmentError("\(setting) has no effect without rate=")
            }
            if setting.name == .burst && ways.allSatisfy({ $0.loss == 0 }) {
                throw ImpairmentError("\(setting) has no effect without loss=")
            }
        }
        for way in [up, down] {
            // Between two bursts stands one frame at least that gets through.
            guard let burst = way.burst, way.loss > burst / (burst + 1) else { continue }
            throw ImpairmentError(
                "bursts of \(burst) cannot cause a loss of \(way.loss * 100)%: give a longer burst="
            )
        }
    }

    /// One `NAME=VALUE`.
    fileprivate struct Setting: CustomStringConvertible {
        enum Name: String, CaseIterable {
            case loss, burst, dup, reorder, delay, jitter, rate, queue
        }

        enum Ways: String {
            case both = ""
            case up = "up."
            case down = "down."
        }

        let ways: Ways
        let name: Name
        let value: String

        init(_ part: Substring) throws(ImpairmentError) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2 else {
                throw ImpairmentError("'\(part)' is not NAME=VALUE, as in loss=1%")
            }
            var left = sides[0]
            ways = left.hasPrefix("up.") ? .up : left.hasPrefix("down.") ? .down : .both
            left = left.dropFirst(ways.rawValue.count)
            guard let name = Name(rawValue: String(left)) else {
                let names = Name.allCases.map(\.rawValue).joined(separator: ", ")
                throw ImpairmentError("there is no '\(sides[0])': \(names), or up. or down. before")
            }
            self.name = name
            value = String(sides[1])
        }

        var fullName: String { ways.rawValue + name.rawValue }
        var description: String { "\(fullName)=\(value)" }
    }
}

extension Impairment.Way {
    fileprivate mutating func apply(_ setting: Impairment.Setting) throws(ImpairmentError) {
        switch setting.name {
        case .loss: loss = try setting.share(setting.value)
        case .burst: burst = try setting.burst()
        case .dup: duplicate = try setting.share(setting.value)
        case .reorder: (reorder, reorderNanoseconds) = try setting.reordering()
        case .delay: delayNanoseconds = try setting.nanoseconds(setting.value)
        case .jitter: jitterNanoseconds = try setting.nanoseconds(setting.value)
        case .rate: bitsPerSecond = try setting.bitsPerSecond()
        case .queue: queueMax = try setting.queue()
        }
    }
}

extension Impairment.Setting {
    private typealias Way = Impairment.Way

    /// `1%`.
    func share(_ value: String) throws(ImpairmentError) -> Double {
        guard value.hasSuffix("%"), let percent = number(value.dropLast()), percent <= 100 else {
            throw ImpairmentError("\(self): give 0% to 100%, as in \(fullName)=1%")
        }
        return percent / 100
    }

    func burst() throws(ImpairmentError) -> Double {
        guard let burst = number(value[...]), (1...Way.burstMax).contains(burst) else {
            throw ImpairmentError("\(self): give 1 to \(Int(Way.burstMax)) packets")
        }
        return burst
    }

    /// `2%` or `2%:3ms`.
    func reordering() throws(ImpairmentError) -> (Double, UInt64) {
        let parts = value.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let share = try share(String(parts[0]))
        guard parts.count == 2 else { return (share, Way.reorderNanosecondsDefault) }
        return (share, try nanoseconds(String(parts[1])))
    }

    func nanoseconds(_ value: String) throws(ImpairmentError) -> UInt64 {
        let units: [(String, Double)] = [("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)]
        for (unit, scale) in units where value.hasSuffix(unit) {
            guard let count = number(value.dropLast(unit.count)) else { break }
            guard count * scale <= Double(Way.nanosecondsMax) else {
                throw ImpairmentError("\(self): 10s is the most")
            }
            return UInt64(count * scale)
        }
        throw ImpairmentError("\(self): give a time with its unit, ns, us, ms or s, as in 2ms")
    }

    func bitsPerSecond() throws(ImpairmentError) -> UInt64 {
        let units: [(String, Double)] = [("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3), ("bit", 1)]
        for (unit, scale) in units where value.lowercased().hasSuffix(unit.lowercased()) {
            guard let count = number(value.dropLast(unit.count)) else { break }
            let rate = count * scale
            guard rate >= Double(Way.bitsPerSecondMin), rate <= Double(Way.bitsPerSecondMax) else {
                throw ImpairmentError("\(self): a rate is 1kbit to 1000Gbit")
            }
            return UInt64(rate)
        }
        throw ImpairmentError(
            "\(self): give a rate with its unit, kbit, Mbit or Gbit, as in 100Mbit")
    }

    func queue() throws(ImpairmentError) -> Int {
        guard let count = Int(value), (1...Way.queueLimit).contains(count) else {
            throw ImpairmentError("\(self): give 1 to \(Way.queueLimit) packets")
        }
        return count
    }

    /// Plain digits with a point perhaps; nil for anything else that `Double` would take, and for
    /// the sign.
    private func number(_ text: Substring) -> Double? {
        guard text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else { return nil }
        return Double(text)
    }
}
