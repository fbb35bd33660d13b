/// A node's number, drawn at its start, by which nodes divide work without messages.
package struct NodeID: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt64

    /// A number that no other node has, as far as chance goes.
    package static func random() -> NodeID { NodeID(rawValue: .random(in: 1...UInt64.max)) }

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads sixteen hexadecimal digits.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
        rawValue = value
    }

    /// Sixteen hexadecimal digits.
    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// This node's weight for fetching `name`: the node with the highest weight of a group fetches
    /// it (rendezvous hashing). It is the same on every node, which Swift's own hash is not.
    package func weight(for name: String) -> UInt64 {
        NameHash.mixed(NameHash.value(of: name) ^ rawValue)
    }
}

/// A hash of a name that is the same on every node, which Swift's own is not.
package enum NameHash {
    /// FNV-1a, of 64 bits.
    package static func value(of name: some StringProtocol) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }

    /// The finaliser of MurmurHash3: neighbouring names have neighbouring hashes before.
    package static func mixed(_ value: UInt64) -> UInt64 {
        var hash = value
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ hash >> 33
    }
}
