/// So many in each second.
package struct RateWindow {
    private let perSecond: Int
    private var left: Int
    private var since: UInt64 = 0

    package init(perSecond: Int) {
        self.perSecond = perSecond
        left = perSecond
    }

    /// Whether one more may be now.
    package mutating func take(now: UInt64) -> Bool {
        if now &- since >= 1_000_000_000 {
            since = now
            left = perSecond
        }
        guard left > 0 else { return false }
        left -= 1
        return true
    }
}
