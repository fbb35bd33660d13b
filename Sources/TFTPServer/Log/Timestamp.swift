internal import Glibc

/// RFC 3339 in UTC, to the second.
enum Timestamp {
    /// Since 1970.
    static var unixSeconds: Double {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    static var now: String {
        var second = time(nil)
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&second, &parts)
        let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
        let (hour, minute, seconds) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
        return
            "\(year)-\(two(month))-\(two(day))T\(two(hour)):\(two(minute)):\(two(seconds))Z"
    }

    private static func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
