internal import TFTPCore

extension Address {
    /// The key of a client in a table of limits. It depends on a secret seed: with a known key, the
    /// owner of an IPv6 network could pick an address that has another client's.
    ///
    /// Never 0, and bits 62 and 63, which tell the key of a network, are clear.
    func clientKey(seed: UInt64) -> UInt64 {
        let first = (low ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        let second = (high ^ first.high ^ first.low)
            .multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return (second.high ^ second.low) & ~(3 << 62) | 1
    }
}
