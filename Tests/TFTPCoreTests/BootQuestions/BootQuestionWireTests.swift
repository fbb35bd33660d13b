import TFTPWire
import Testing

@testable import TFTPCore

/// The hard cases that are about bytes. Beside each stands what a naive server makes of the same
/// bytes.
@Suite struct BootQuestionWireTests {
    private typealias Bytes = [UInt8]

    @Test("Q10 Windows sends ACKs of five bytes")
    func q10() throws {
        let bytes: [UInt8] = [0, 4, 0, 7, 0]
        var isAck = false
        if case .ack(let block) = try Packet(parsing: bytes.span.bytes) {
            isAck = block.rawValue == 7
        }
        #expect(isAck)
        let naiveIsAck = bytes.count == 4
        #expect(!naiveIsAck)
    }

    @Test("Q12 HP PA-RISC leaves garbage behind the mode")
    func q12() throws {
        var bytes: [UInt8] = [0, 1] + Array("kernel\0octet\0".utf8)
        bytes += Array("blksize".utf8)
        while bytes.count < 516 { bytes.append(0xA5) }
        guard case .request(let request) = try Packet(parsing: bytes.span.bytes) else {
            Issue.record("no request")
            return
        }
        #expect(request.mode == .octet)
        #expect(Options(parsing: request.options).isEmpty)
        // Cut at NULs, with what has none at its end.
        let naive = bytes[15...].split(separator: 0)
        #expect(!naive.isEmpty)
    }

    private let curl = wireOptions("tsize\0" + "0\0blksize\0" + "512\0timeout\0" + "6\0")

    @Test("Q13 curl fails over tsize 0")
    func q13() {
        func grant(_ options: Options) -> Grant {
            let policy = ClientPolicies()[Fingerprint(options)]
            return options.grant(
                limits: GrantLimits(tellsEmptySize: policy.tellsEmptySize), byteCount: 0,
                mode: .octet, opcode: .rrq)
        }
        #expect(grant(curl).options.tsize == nil)
        #expect(grant(wireOptions("blksize\0" + "1432\0tsize\0" + "0\0")).options.tsize == 0)
        let naive: UInt64? = curl.tsize.map { _ in 0 }
        #expect(naive != nil)
    }

    /// What `text` becomes in blocks of eight bytes; from `offset` on, where the encoder stood as
    /// it does there.
    private func encode(_ text: [UInt8], from place: (offset: Int, encoder: NetasciiEncoder))
        -> (block: [UInt8], next: (offset: Int, encoder: NetasciiEncoder))
    {
        var (offset, encoder) = place
        var block = [UInt8](repeating: 0, count: 8)
        let count = block.withUnsafeMutableBytes { buffer in
            var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
            while !output.isFull && (offset < text.count || encoder.hasPending) {
                let rest = Array(text[offset...])
                offset += encoder.encode(rest.span.bytes, into: &output)
            }
            return output.finalize(for: buffer)
        }
        return (Array(block[..<count]), (offset, encoder))
    }

    @Test("Q20 netascii: a line end across two blocks is sent again as it was")
    func q20() {
        let text = Array("1234567\nabc\r\n".utf8)
        let first = encode(text, from: (0, NetasciiEncoder()))
        let second = encode(text, from: first.next)
        let again = encode(text, from: first.next)
        #expect(first.block == Array("1234567\r".utf8))
        #expect(second.block == Array("\nabc\r\0\r\n".utf8))
        #expect(again.block == second.block)
        // A server that begins every block with a fresh encoder at the next byte loses the LF.
        let naive = encode(text, from: (first.next.offset, NetasciiEncoder()))
        #expect(naive.block != second.block)
        let grant = wireOptions("tsize\0" + "0\0").grant(
            limits: GrantLimits(), byteCount: 5, mode: .netascii, opcode: .rrq)
        #expect(grant.options.tsize == nil)
    }

    @Test("Q22 a size of 2^32 bytes and more is told in full")
    func q22() {
        let byteCount: UInt64 = 1 << 32
        let grant = wireOptions("tsize\0" + "0\0").grant(
            limits: GrantLimits(), byteCount: byteCount, mode: .octet, opcode: .rrq)
        let oack = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer in
            var output = OutputRawSpan(buffer: buffer, initializedCount: 0)
            Packet.writeOACK(grant.options, to: &output)
            return Array(buffer[..<output.finalize(for: buffer)])
        }
        #expect(oack == [0, 6] + Array("tsize\0".utf8) + Array("4294967296\0".utf8))
        let naive = UInt32(truncatingIfNeeded: byteCount)
        #expect(naive == 0)
    }
}

private func wireOptions(_ text: String) -> Options {
    let bytes = Array(text.utf8)
    return Options(parsing: bytes.span.bytes)
}
