internal import Glibc
internal import Logging
internal import Synchronization

/// Where log lines go: standard error, each with the time, or with a priority where the journal
/// reads them.
final class LogOutput: Sendable {
    static let shared = LogOutput()

    private struct Pending: Sendable {
        var level: Logger.Level
        var body: String
        var format: LogFormat
    }

    private struct State {
        var merger = LineMerger()
        /// Lines that the merger may tell of again, by its keys.
        var pending: [String: Pending] = [:]
    }

    private let state = Mutex(State())
    private let isJournal = Journal.reads(STDERR_FILENO)

    /// Writes a line, or counts it where an equal one was just written.
    func write(level: Logger.Level, body: String, format: LogFormat) {
        state.withLock { state in
            let key = "\(level) \(body)"
            let lines = state.merger.take(key, now: LogOutput.now)
            state.pending[key] = Pending(level: level, body: body, format: format)
            write(lines, &state)
        }
    }

    /// Tells of repeats that have not been told of. Called now and then, and at the end with
    /// `isLast`.
    func flush(isLast: Bool = false) {
        state.withLock { state in
            let lines =
                isLast ? state.merger.flushAll() : state.merger.flush(now: LogOutput.now)
            write(lines, &state)
        }
    }

    private func write(_ lines: [LineMerger.Line], _ state: inout State) {
        for line in lines {
            guard let pending = state.pending[line.key] else { continue }
            LogWriter.write(text(pending, repeatCount: line.repeatCount))
        }
        // What the merger does not remember is written as new when it comes again.
        guard state.pending.count > 2 * LineMerger.recentMax else { return }
        state.pending = state.pending.filter { state.merger.remembers($0.key) }
    }

    private func text(_ line: Pending, repeatCount: Int) -> String {
        let priority = isJournal ? "<\(Journal.priority(of: line.level))>" : ""
        switch line.format {
        case .text:
            let time = isJournal ? "" : "\(LogTime.now) "
            let again = repeatCount > 0 ? " (repeated \(repeatCount) times)" : ""
            return "\(priority)\(time)\(line.body)\(again)\n"
        case .json:
            let again = repeatCount > 0 ? ",\"repeated\":\(repeatCount)" : ""
            return "\(priority){\"time\":\"\(LogTime.now)\",\(line.body)\(again)}\n"
        }
    }

    private static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// What systemd's journal makes of lines (sd-daemon(3)).
enum Journal {
    /// Whether what is written to `file` goes to the journal: systemd says which file it has given
    /// (systemd.exec(5)).
    static func reads(_ file: Int32) -> Bool {
        guard let stream = environment("JOURNAL_STREAM") else { return false }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }

    /// The number of a level: a line that begins with `<N>` has it in the journal.
    static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }
}

/// The time of a log line.
enum LogTime {
    /// RFC 3339 in UTC, to the millisecond.
    static var now: String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        let date = latestSecond.withLock { latest in
            if latest.second != now.tv_sec {
                latest = (now.tv_sec, LogTime.date(of: now.tv_sec))
            }
            return latest.text
        }
        return "\(date).\(digits(Int32(now.tv_nsec / 1_000_000), 3))Z"
    }

    /// The date of the latest line: many have the same.
    private static let latestSecond = Mutex<(second: Int, text: String)>((.min, ""))

    private static func date(of second: Int) -> String {
        var second = second
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&second, &parts)
        let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
        let (hour, minute, seconds) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
        return "\(date)T\(digits(hour, 2)):\(digits(minute, 2)):\(digits(seconds, 2))"
    }

    private static func digits(_ value: Int32, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
