internal import Glibc
internal import Logging
internal import Synchronization
internal import TFTPWire

/// One line a message on standard error: text for people, JSON for machines.
struct LineLogHandler: LogHandler {
    let format: LogFormat
    /// Of this logger alone; nil: the process's.
    private var ownLevel: Logger.Level?
    var metadata: Logger.Metadata = [:]

    init(format: LogFormat) { self.format = format }

    var logLevel: Logger.Level {
        get { ownLevel ?? LogLevel.current }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        switch format {
        case .text:
            // Whatever a remote machine has put into the message, it stays one line.
            LogWriter.write("\(timestamp()) \(event.level) \("\(event.message)".printable)\n")
        case .json:
            let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            LogWriter.write(json(event, fields) + "\n")
        }
    }

    private func json(_ event: LogEvent, _ fields: Logger.Metadata) -> String {
        var parts = [
            "\"time\":\"\(timestamp())\"", "\"level\":\"\(event.level)\"",
            "\"message\":\("\(event.message)".quotedAsJSON)",
        ]
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            parts.append("\(key.quotedAsJSON):\(json(value))")
        }
        return "{\(parts.joined(separator: ","))}"
    }

    private func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): return text.quotedAsJSON
        case .stringConvertible(let number as any BinaryInteger): return "\(number)"
        case .stringConvertible(let number as Double): return "\(number)"
        case .stringConvertible(let other): return "\(other)".quotedAsJSON
        case .array(let values): return "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let fields):
            let parts = fields.sorted { $0.key < $1.key }.map { "\($0.quotedAsJSON):\(json($1))" }
            return "{\(parts.joined(separator: ","))}"
        }
    }

    /// RFC 3339 in UTC, to the millisecond.
    private func timestamp() -> String {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        let date = LineLogHandler.latestSecond.withLock { latest in
            if latest.second != now.tv_sec {
                latest = (now.tv_sec, LineLogHandler.date(of: now.tv_sec))
            }
            return latest.text
        }
        return "\(date).\(LineLogHandler.digits(Int32(now.tv_nsec / 1_000_000), 3))Z"
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
