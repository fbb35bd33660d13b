internal import FoundationEssentials

/// A time in UTC, as ISO 8601 writes it.
///
/// - Parameter seconds: since 1970. Times come from other machines: one before 1970 or after 9999
///   is shown as the nearest that can be written.
func timestamp(_ seconds: Int) -> String {
    let written = min(max(seconds, 0), 253_402_300_799)
    return Date(timeIntervalSince1970: Double(written)).formatted(.iso8601)
}
