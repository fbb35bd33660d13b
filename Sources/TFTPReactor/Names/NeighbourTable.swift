internal import SystemPackage
internal import TFTPCore
internal import TFTPNames

/// Ethernet addresses of machines on the same links, as the kernel's table of neighbours has them.
/// IPv4 only.
///
/// Read again at most once a second, and only for a request that needs it.
struct NeighbourTable {
    private var entries: [Address: MACAddress] = [:]
    private var readAt: UInt64?
    private let path: FilePath

    private static let ageNanosecondsMax: UInt64 = 1_000_000_000
    private static let byteCountMax = 1 << 22

    init(path: FilePath = "/proc/net/arp") { self.path = path }

    mutating func mac(of address: Address, now: UInt64) -> MACAddress? {
        if readAt.map({ now &- $0 >= NeighbourTable.ageNanosecondsMax }) ?? true {
            readAt = now
            entries = NeighbourTable.parse(NeighbourTable.text(of: path))
        }
        return entries[address]
    }

    /// Lines of `/proc/net/arp`: address, hardware type, flags, hardware address, mask, device.
    /// Entries that are not complete have no flag.
    static func parse(_ text: String) -> [Address: MACAddress] {
        var entries: [Address: MACAddress] = [:]
        for line in text.split(separator: "\n").dropFirst() {
            let words = line.split(separator: " ")
            guard words.count >= 4, words[2] != "0x0",
                let address = Address(numericText: String(words[0])),
                let mac = MACAddress(text: String(words[3]))
            else { continue }
            entries[address] = mac
        }
        return entries
    }

    private static func text(of path: FilePath) -> String {
        guard let file = try? FileDescriptor.open(path, .readOnly) else { return "" }
        defer { try? file.close() }
        var bytes: [UInt8] = []
        while bytes.count < byteCountMax {
            let part = try? unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
                count = try unsafe file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            guard let part, !part.isEmpty else { break }
            bytes += part
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
