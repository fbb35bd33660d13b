internal import Glibc

/// Times as snapshots have them in their names, and as they are shown: in UTC.
package enum SnapshotTime {
    /// Such as `20261129T080500Z`.
    package static func name(_ nanoseconds: Int64) -> String { text(nanoseconds, "%Y%m%dT%H%M%SZ") }

    /// Such as `2026-11-29 08:05:00 UTC`.
    package static func line(_ nanoseconds: Int64) -> String {
        text(nanoseconds, "%Y-%m-%d %H:%M:%S UTC")
    }

    private static func text(_ nanoseconds: Int64, _ format: String) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        var bytes = [CChar](repeating: 0, count: 32)
        let count = unsafe strftime(&bytes, bytes.count, format, &parts)
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
