/// A node's number, drawn at its start, by which nodes agree who of them does what.
struct NodeID: Hashable, Sendable, CustomStringConvertible {
    let rawValue: UInt64

    static func random() -> NodeID { NodeID(rawValue: .random(in: 1...UInt64.max)) }

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }

    /// Sixteen hexadecimal digits.
    var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// How much this node is meant to fetch `name`: the highest of a group does (rendezvous hashing). The same on every
    /// node, so it can not be Swift's own hash.
    func weight(for name: String) -> UInt64 {
        // FNV-1a, then the finaliser of MurmurHash3, because neighbouring names would give neighbouring weights.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash ^= rawValue
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ hash >> 33
    }
}
