import Testing

@testable import bootstorm

/// What a machine and the server say to each other, from hand-written datagrams.
struct TraceNarratorTests {
    private func packet(
        _ seconds: Double, _ isOut: Bool, _ head: [UInt8], byteCount: Int? = nil, count: Int = 1
    ) -> TracedDatagram {
        TracedDatagram(
            seconds: 1_700_000_000 + seconds, isOut: isOut, client: "10.0.0.7:4000",
            server: "10.0.0.1:\(isOut || head[1] > 2 ? 5000 : 69)",
            byteCount: byteCount ?? head.count, datagramCount: count,
            segmentByteCount: count > 1 ? 516 : 0,
            head: head.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }

    private func data(_ seconds: Double, _ number: UInt8, count: Int = 1) -> TracedDatagram {
        packet(seconds, true, [0, 3, 0, number], byteCount: 516 * count, count: count)
    }

    private func ack(_ seconds: Double, _ number: UInt8) -> TracedDatagram {
        packet(seconds, false, [0, 4, 0, number])
    }

    private func told(_ packets: [TracedDatagram], showsAll: Bool = false) -> [String] {
        var narrator = TraceNarrator(showsAll: showsAll)
        // Without the time of the day, which depends on the zone.
        return packets.flatMap { narrator.lines(for: $0) }.map { String($0.dropFirst(16)) }
    }

    private let request: [UInt8] = [0, 1] + Array("vmlinuz\0octet\0blksize\01468\0".utf8)

    @Test func aRequestThatIsRepeatedAndRefused() {
        let error: [UInt8] = [0, 5, 0, 1] + Array("File not found\0".utf8)
        #expect(
            told([packet(0, false, request), packet(1, false, request), packet(1, true, error)])
                == [
                    "10.0.0.7:4000 > :69 RRQ \"vmlinuz\" octet blksize=1468",
                    "10.0.0.7:4000 > :69 RRQ \"vmlinuz\" octet blksize=1468 (asked 2 times)",
                    "10.0.0.7:4000 < :5000 ERROR 1 File not found",
                ])
    }

    @Test func aCleanTransferTellsItsBeginning() {
        let oack: [UInt8] = [0, 6] + Array("blksize\01468\0tsize\010\0".utf8)
        let lines = told([
            packet(0, false, request), packet(0, true, oack), ack(0.001, 0), data(0.001, 1),
            ack(0.002, 1), data(0.002, 2), ack(0.003, 2),
        ])
        #expect(
            lines.dropFirst() == [
                "10.0.0.7:4000 < :5000 OACK blksize=1468 tsize=10",
                "10.0.0.7:4000 > :5000 ACK 0",
                "10.0.0.7:4000 < :5000 DATA 1, 512 bytes",
            ])
    }

    @Test func silenceAndRepeatsAreTold() {
        let lines = told([
            data(0, 1), ack(0.001, 1), data(0.001, 2), data(1.001, 2), data(3.001, 2), ack(3.4, 2),
        ])
        #expect(
            lines.suffix(2) == [
                "10.0.0.7:4000 < :5000 DATA 2, 512 bytes, again after 1.0 s of silence",
                "10.0.0.7:4000 < :5000 DATA 2, 512 bytes, again after 2.0 s of silence",
            ])
    }

    @Test func aGapInAWindow() {
        let lines = told([data(0, 1, count: 8), ack(0.001, 3), ack(0.002, 3)])
        #expect(lines.first == "10.0.0.7:4000 < :5000 DATA 1…8, 4096 bytes")
        #expect(lines.last == "10.0.0.7:4000 > :5000 ACK 3, again: block 4 did not arrive")
    }

    @Test func aNameCannotForgeALine() {
        let name: [UInt8] = [0, 1] + Array("a\"\n\u{1B}[2J\0octet\0".utf8)
        let lines = told([packet(0, false, name)])
        #expect(lines == [#"10.0.0.7:4000 > :69 RRQ "a\"\x0a\x1b[2J" octet"#])
    }

    @Test func everyPacketIfAsked() {
        #expect(
            told([data(0, 1), ack(0.1, 1), data(0.1, 2), ack(0.2, 2)], showsAll: true).count == 4)
    }

    /// Whatever arrives has a line, and nothing ends the process.
    @Test func garbage() {
        for count in 0..<8 {
            for first in [UInt8(0), 1, 3, 4, 5, 6, 9] {
                let head = [0, first] + [UInt8](repeating: 0xFF, count: count)
                for cut in 0...head.count {
                    _ = told([packet(0, false, Array(head.prefix(cut)) + [0, 0])])
                }
            }
        }
    }
}

struct PcapTests {
    private func datagram(_ client: String, _ server: String) -> TracedDatagram {
        TracedDatagram(
            seconds: 1.5, isOut: true, client: client, server: server, byteCount: 1100,
            datagramCount: 3, segmentByteCount: 516, head: "0003ffff")
    }

    /// A batch is as many packets, each with its own number and length, and the IPv4 checksum
    /// holds.
    @Test func aBatchOverIPv4() throws {
        let records = PcapRecords.records(of: datagram("10.0.0.7:4000", "10.0.0.1:5000"))
        #expect(records.count == 3)
        #expect(
            records.map { Array($0.suffix(4)) } == [
                [0, 3, 255, 255], [0, 3, 0, 0], [0, 3, 0, 1],
            ])
        let lengths = records.map { Int($0[12]) | Int($0[13]) << 8 }
        #expect(lengths == [544, 544, 96])
        #expect(Array(records[0].prefix(8)) == [1, 0, 0, 0, 0, 0x65, 0xCD, 0x1D])
        for record in records {
            let header = Array(record[16..<36])
            var sum = stride(from: 0, to: 20, by: 2).reduce(UInt32(0)) {
                $0 + UInt32(header[$1]) << 8 + UInt32(header[$1 + 1])
            }
            while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
            #expect(sum == 0xFFFF)
        }
    }

    @Test func overIPv6() {
        let records = PcapRecords.records(of: datagram("[fd00::7]:4000", "[fd00::1]:5000"))
        #expect(records.count == 3)
        #expect(records[0].count == 16 + 40 + 8 + 4)
        #expect(records[0][16] == 0x60)
    }
}
