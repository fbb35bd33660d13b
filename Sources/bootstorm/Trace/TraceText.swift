internal import Glibc
internal import TFTPServer

/// Times and sizes in a trace.
enum TraceText {
    /// The time of the day to the microsecond, local.
    static func clock(_ seconds: Double) -> String {
        var whole = Int(seconds)
        var parts = unsafe tm()
        _ = unsafe localtime_r(&whole, &parts)
        let fraction = Int((seconds - Double(whole)) * 1e6)
        let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        return
            "\(padded(Int(hour), 2)):\(padded(Int(minute), 2)):\(padded(Int(second), 2))"
            + ".\(padded(fraction, 6))"
    }

    static func seconds(_ seconds: Double) -> String { Rounded.seconds(seconds) }

    static func bytes(_ count: Int) -> String { Rounded.bytes(UInt64(max(0, count))) }

    private static func padded(_ value: Int, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
