/// Says of each kind of event at most once a minute that it happens, and how often it did. Sans-IO:
/// `now` is an argument.
package struct FailureLimiter<Kind: Hashable> {
    private struct Row {
        var saidAt: UInt64
        /// Events since then.
        var count: Int
    }

    private var rows: [Kind: Row] = [:]
    private static var intervalNanoseconds: UInt64 { 60_000_000_000 }
    private static var rowsMax: Int { 64 }

    package init() {}

    /// Counts an event.
    ///
    /// - Returns: how many there were since the last time something was said, with this one; nil
    ///   when nothing is to be said now.
    package mutating func note(_ kind: Kind, now: UInt64) -> Int? {
        guard let row = rows[kind] else {
            if rows.count >= FailureLimiter.rowsMax { rows = [:] }
            rows[kind] = Row(saidAt: now, count: 0)
            return 1
        }
        let count = row.count + 1
        guard now &- row.saidAt >= FailureLimiter.intervalNanoseconds else {
            rows[kind]?.count = count
            return nil
        }
        rows[kind] = Row(saidAt: now, count: 0)
        return count
    }
}
