/// How long the peer lets this end wait before a retransmit, as both agreed by `timeout` (RFC 2349)
/// or tftp-hpa's `utimeout`, in one byte.
///
/// Up to 1.27 s in steps of 10 ms, beyond in steps of 100 ms, rounded down: a repeat may come
/// earlier than agreed, never later. Beyond 12.7 s it limits nothing, because no time-out is
/// longer.
struct RepeatLimit: Equatable, BitwiseCopyable {
    /// 0: nothing was agreed. With the highest bit: tenths of a second, else hundredths.
    private var code: UInt8 = 0

    /// Nothing was agreed.
    init() {}

    /// - Parameter microseconds: 10,000 or more; 0 when nothing was agreed.
    init(microseconds: UInt32) {
        guard microseconds > 0 else { return }
        let hundredths = max(1, microseconds / 10_000)
        guard hundredths > 127 else {
            code = UInt8(hundredths)
            return
        }
        code = 128 | UInt8(min(127, hundredths / 10))
    }

    /// Nil when nothing was agreed.
    var nanoseconds: UInt64? {
        guard code > 0 else { return nil }
        let step: UInt64 = code >= 128 ? 100_000_000 : 10_000_000
        return UInt64(code & 127) * step
    }
}
