internal import Glibc
internal import TFTPCore
internal import TFTPReactor

/// A pcap file (nanoseconds, raw IP) of what was traced, for Wireshark and tcpdump.
///
/// IP and UDP headers are made up from the addresses; of the payload there is what the trace has,
/// which of DATA is the block number alone.
final class PcapFile {
    private let file: Int32

    /// Creates the file, or empties it.
    init(_ path: String) throws(ControlError) {
        file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .call("create", path: path, errno: errno) }
        write(PcapFile.fileHeader)
    }

    deinit { close(file) }

    func add(_ packet: TracedDatagram) throws(ControlError) {
        for record in PcapRecords.records(of: packet) { write(record) }
    }

    private func write(_ bytes: [UInt8]) {
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
    }

    /// Magic for nanoseconds, version 2.4, snapshot length, LINKTYPE_RAW; little endian.
    static let fileHeader: [UInt8] =
        littleEndian(UInt32(0xA1B2_3C4D)) + littleEndian(UInt16(2)) + littleEndian(UInt16(4))
        + littleEndian(UInt32(0)) + littleEndian(UInt32(0)) + littleEndian(UInt32(65_535))
        + littleEndian(UInt32(101))
}

/// What a traced datagram is in a pcap file.
enum PcapRecords {
    /// One record a datagram: a batch of DATA is as many.
    static func records(of packet: TracedDatagram) -> [[UInt8]] {
        guard let client = Endpoint(text: packet.client, defaultPort: 0),
            let server = Endpoint(text: packet.server, defaultPort: 0)
        else { return [] }
        let (source, target) = packet.isOut ? (server, client) : (client, server)
        var head = packet.headBytes
        var left = packet.byteCount
        return (0..<max(1, packet.datagramCount)).map { _ in
            let byteCount =
                packet.segmentByteCount > 0 ? min(left, packet.segmentByteCount) : left
            left -= byteCount
            let bytes = headers(source, target, payloadByteCount: byteCount) + head
            if head.count >= 4 { advance(&head) }
            return record(
                bytes, wholeByteCount: bytes.count - head.count + byteCount, packet.seconds)
        }
    }

    /// The next block's number.
    private static func advance(_ head: inout [UInt8]) {
        let number = (UInt16(head[2]) << 8 | UInt16(head[3])) &+ 1
        head[2] = UInt8(number >> 8)
        head[3] = UInt8(number & 0xFF)
    }

    private static func record(
        _ bytes: [UInt8], wholeByteCount: Int, _ seconds: Double
    ) -> [UInt8] {
        let whole = UInt32(seconds)
        let nanoseconds = UInt32((seconds - Double(whole)) * 1e9)
        return littleEndian(whole) + littleEndian(nanoseconds) + littleEndian(UInt32(bytes.count))
            + littleEndian(UInt32(wholeByteCount)) + bytes
    }

    private static func headers(
        _ source: Endpoint, _ target: Endpoint, payloadByteCount: Int
    ) -> [UInt8] {
        let udpByteCount = UInt16(clamping: 8 + payloadByteCount)
        // A checksum of 0 says that there is none (RFC 768).
        let udp =
            bigEndian(source.port) + bigEndian(target.port) + bigEndian(udpByteCount)
            + bigEndian(UInt16(0))
        guard source.address.isIPv4, target.address.isIPv4 else {
            return [0x60, 0, 0, 0] + bigEndian(udpByteCount) + [17, 64]
                + bigEndian(source.address.high) + bigEndian(source.address.low)
                + bigEndian(target.address.high) + bigEndian(target.address.low) + udp
        }
        var ip: [UInt8] = [0x45, 0] + bigEndian(UInt16(clamping: 28 + payloadByteCount))
        ip += [0, 0, 0x40, 0, 64, 17, 0, 0]
        ip += bigEndian(source.address.ipv4) + bigEndian(target.address.ipv4)
        let sum = checksum(ip)
        ip[10] = UInt8(sum >> 8)
        ip[11] = UInt8(sum & 0xFF)
        return ip + udp
    }

    /// RFC 1071.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
        return ~UInt16(sum)
    }
}

private func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<(value.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

private func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    littleEndian(value).reversed()
}
