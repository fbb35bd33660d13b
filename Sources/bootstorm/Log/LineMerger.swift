/// Merges equal lines: the first is written at once, repeats within `window` are counted and told
/// by one line when it is over.
///
/// A value without a clock. Lines are equal when level, text and fields are; the time is no part of
/// them.
struct LineMerger {
    /// What is to be written.
    struct Line: Equatable {
        var key: String
        /// How often it has come again since it was written; 0: it is new.
        var repeatCount = 0
    }

    private struct Recent {
        var key: String
        var since: UInt64
        var repeatCount = 0
    }

    private var recent: [Recent] = []
    /// Nanoseconds in which a line is not written again.
    static let windowNanoseconds: UInt64 = 5_000_000_000
    /// Lines that are remembered: storms have many different ones, and equal ones come close
    /// together.
    static let recentMax = 32

    /// What has to be written, in this order, when `key` comes.
    mutating func take(_ key: String, now: UInt64) -> [Line] {
        var lines = flush(now: now)
        if let index = recent.firstIndex(where: { $0.key == key }) {
            recent[index].repeatCount += 1
            return lines
        }
        if recent.count == LineMerger.recentMax { lines += LineMerger.told(recent.removeFirst()) }
        recent.append(Recent(key: key, since: now))
        return lines + [Line(key: key)]
    }

    /// Repeats whose time is over.
    mutating func flush(now: UInt64) -> [Line] {
        var lines: [Line] = []
        while let first = recent.first, now &- first.since >= LineMerger.windowNanoseconds {
            lines += LineMerger.told(recent.removeFirst())
        }
        return lines
    }

    /// Whether `key` would be counted instead of written.
    func remembers(_ key: String) -> Bool { recent.contains { $0.key == key } }

    /// All that has not been told.
    mutating func flushAll() -> [Line] {
        defer { recent = [] }
        return recent.flatMap(LineMerger.told)
    }

    private static func told(_ recent: Recent) -> [Line] {
        recent.repeatCount > 0 ? [Line(key: recent.key, repeatCount: recent.repeatCount)] : []
    }
}
