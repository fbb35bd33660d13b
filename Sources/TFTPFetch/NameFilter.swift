/// Which names a node may have: a Bloom filter of ten bits a name. It never denies a name that was
/// put in, and lets one in a hundred pass that was not.
package struct NameFilter: Equatable, Sendable {
    private var words: [UInt64]

    private static let bitsPerName = 10
    private static let hashCount: UInt64 = 7
    /// Of a filter that is taken from another node.
    package static let byteCountMax = 1 << 20

    /// - Parameter hashes: of `hash(of:)`.
    package init(_ hashes: some Collection<UInt64>) {
        let bitCount = max(64, hashes.count * NameFilter.bitsPerName)
        words = Array(repeating: 0, count: (bitCount + 63) / 64)
        for hash in hashes {
            for bit in bits(of: hash) { words[Int(bit / 64)] |= 1 << (bit % 64) }
        }
    }

    /// Reads what `bytes` has written; nil for anything else.
    package init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, bytes.count % 8 == 0, bytes.count <= NameFilter.byteCountMax else {
            return nil
        }
        words = stride(from: 0, to: bytes.count, by: 8).map { start in
            bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    /// Words of 64 bits, the most significant byte first.
    package var bytes: [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    }

    /// False for a name that the node does not have.
    package func mayContain(_ hash: UInt64) -> Bool {
        bits(of: hash).allSatisfy { words[Int($0 / 64)] & 1 << ($0 % 64) != 0 }
    }

    /// Of a name as nodes ask for it. Slashes that stand twice, and `.` between two, do not make
    /// another name.
    package static func hash(of name: some StringProtocol) -> UInt64 {
        let isPlain = !name.contains("//") && !name.contains("./")
        let text =
            isPlain
            ? String(name) : name.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
        return NameHash.mixed(NameHash.value(of: text))
    }

    private func bits(of hash: UInt64) -> [UInt64] {
        let (step, count) = (NameHash.mixed(hash) | 1, UInt64(words.count) * 64)
        return (0..<NameFilter.hashCount).map { (hash &+ $0 &* step) % count }
    }
}
