internal import Logging

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
        let fields = format == .json ? metadata.merging(event.metadata ?? [:]) { $1 } : [:]
        LogOutput.shared.write(
            level: event.level, body: format == .json ? json(event, fields) : text(event),
            format: format)
    }

    private func text(_ event: LogEvent) -> String {
        "\(event.level) \(PrintableLine.text("\(event.message)"))"
    }

    /// The line without its beginning, which is the time.
    private func json(_ event: LogEvent, _ fields: Logger.Metadata) -> String {
        var parts = [
            "\"level\":\"\(event.level)\"", "\"message\":\(quoted("\(event.message)"))",
        ]
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            parts.append("\(quoted(key)):\(json(value))")
        }
        return parts.joined(separator: ",")
    }

    private func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): return quoted(text)
        case .stringConvertible(let number as any BinaryInteger): return "\(number)"
        case .stringConvertible(let number as Double): return "\(number)"
        case .stringConvertible(let other): return quoted("\(other)")
        case .array(let values): return "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let fields):
            let parts = fields.sorted { $0.key < $1.key }.map { "\(quoted($0)):\(json($1))" }
            return "{\(parts.joined(separator: ","))}"
        }
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where PrintableLine.isHidden(scalar):
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
