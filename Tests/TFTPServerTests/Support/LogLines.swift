import Glibc
import Logging
import Synchronization

/// Keeps what a server logs.
final class LogLines: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var text: String
        var metadata: Logger.Metadata

        /// A field, as text.
        subscript(key: String) -> String? { metadata[key].map { "\($0)" } }
    }

    private let lines = Mutex<[Line]>([])

    var all: [Line] { lines.withLock { $0 } }

    /// The lines on transfers whose name is `name`.
    func lines(of name: String) -> [Line] { all.filter { $0["name"] == name } }

    /// Waits until there are `count` lines on `name`; the log is written a little after the fact.
    func wait(for name: String, count: Int = 1, limit: Duration = .seconds(5)) -> [Line] {
        let end = ContinuousClock.now + limit
        while lines(of: name).count < count && ContinuousClock.now < end { usleep(2_000) }
        return lines(of: name)
    }

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]

        init(lines: LogLines) { self.lines = lines }

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = Line(
                level: event.level, text: "\(event.message)",
                metadata: metadata.merging(event.metadata ?? [:]) { $1 })
            lines.lines.withLock { $0.append(line) }
        }
    }
}
