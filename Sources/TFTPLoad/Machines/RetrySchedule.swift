/// When a client sends its latest packet again, and when it times out.
package struct RetrySchedule: Equatable, Sendable, BitwiseCopyable {
    /// How long it waits after the first transmission.
    package var firstMilliseconds: UInt32
    /// What a later period comes to.
    package var growth: Growth
    /// Where the growth stops.
    package var maxMilliseconds: UInt32
    /// How often the packet is sent in all, or how many periods are waited where it is not
    /// repeated.
    package var triesMax: UInt8
    /// Whether the packet is sent again at all. GRUB and lwIP only wait.
    package var repeats: Bool

    package enum Growth: Equatable, Sendable, BitwiseCopyable {
        case constant
        case doubling
        /// Half as much again, in whole milliseconds.
        case byHalf
        /// So many milliseconds more each time.
        case adding(UInt16)
        /// Twice as long, from a first period that follows the round trip. A period that would pass
        /// the maximum is a failure instead (iPXE).
        case adaptive
        /// The table of PXELINUX, in BIOS ticks.
        case biosTicks
    }

    package init(
        _ firstMilliseconds: UInt32, _ growth: Growth = .constant, max: UInt32 = .max, tries: UInt8,
        repeats: Bool = true
    ) {
        precondition(firstMilliseconds > 0)
        precondition(tries > 0)
        self.firstMilliseconds = firstMilliseconds
        self.growth = growth
        maxMilliseconds = max
        triesMax = tries
        self.repeats = repeats
    }
}

extension RetrySchedule {
    /// How long to wait after this number of time-outs.
    package func periodMilliseconds(retries: Int) -> UInt32 {
        guard retries > 0 else { return firstMilliseconds }
        switch growth {
        case .constant:
            return firstMilliseconds
        case .doubling, .adaptive:
            return min(maxMilliseconds, firstMilliseconds << UInt32(min(retries, 12)))
        case .byHalf:
            return periodByHalf(retries: retries)
        case .adding(let step):
            return min(maxMilliseconds, firstMilliseconds + UInt32(step) * UInt32(retries))
        case .biosTicks:
            let ticks = RetrySchedule.biosTicks
            return RetrySchedule.milliseconds(ticks: ticks[min(retries, ticks.count - 1)])
        }
    }

    /// The time from the first transmission to the final time-out.
    package var patienceMilliseconds: UInt64 {
        var sum: UInt64 = 0
        for retries in 0..<Int(triesMax) { sum += UInt64(periodMilliseconds(retries: retries)) }
        return sum
    }

    private func periodByHalf(retries: Int) -> UInt32 {
        var period = firstMilliseconds
        for _ in 0..<retries {
            period = min(maxMilliseconds, period + period / 2)
            if period == maxMilliseconds { break }
        }
        return period
    }

    /// A tick of the PC's BIOS is 54.9 ms.
    private static func milliseconds(ticks: UInt8) -> UInt32 { UInt32(ticks) * 54_925 / 1000 }

    private static var biosTicks: InlineArray<31, UInt8> {
        [
            2, 2, 3, 3, 4, 5, 6, 7, 9, 10, 12, 15, 18, 21, 26, 31, 37, 44, 53, 64, 77, 92, 110, 132,
            159, 191, 229, 255, 255, 255, 255,
        ]
    }

    /// Two ticks at first.
    static var pxelinux: RetrySchedule { RetrySchedule(109, .biosTicks, tries: 31) }
}
