internal import TFTPCore
internal import TFTPReactor
internal import TFTPWire

extension TFTPClient {
    /// A packet of a transfer, for looking at. Its description is a line as tcpdump writes it.
    public struct TracedPacket: Sendable, CustomStringConvertible {
        /// Sent by this client; otherwise received.
        public let isOutgoing: Bool
        /// The client's own port, which is its TID.
        public let port: UInt16
        /// The other end, `ADDRESS:PORT`.
        public let peer: String
        /// The beginning of the packet: all of a request, the header of DATA.
        public let bytes: [UInt8]
        /// Of the whole packet.
        public let byteCount: Int

        /// `> 10.0.0.1:69 from 40123: TFTP, length 47, RRQ "boot/vmlinuz" octet blksize 1468
        /// windowsize 16`
        public var description: String {
            let ends = isOutgoing ? "\(port) > \(peer)" : "\(peer) > \(port)"
            return "\(ends): TFTP, length \(byteCount), \(content)"
        }

        /// What it says.
        private var content: String {
            guard let packet = unsafe try? Packet(parsing: bytes.span.bytes) else {
                return "malformed"
            }
            switch packet {
            case .request(let request):
                let kind = request.opcode == .rrq ? "RRQ" : "WRQ"
                let mode = request.mode.map { "\($0.wireName)" } ?? "?"
                return "\(kind) \"\(text(request.filename))\" \(mode)\(options(request.options))"
            case .data(let block, _):
                return "DATA block \(block.rawValue), \(byteCount - Packet.headerByteCount) bytes"
            case .ack(let block): return "ACK block \(block.rawValue)"
            case .error(let code, let message): return "ERROR \(code.rawValue) \"\(text(message))\""
            case .oack(let bytes): return "OACK\(options(bytes))"
            }
        }

        /// Each name and value as it stands there, known or not.
        private func options(_ bytes: RawSpan) -> String {
            var words = ""
            var start = 0
            while let end = bytes.offsetOfNUL(from: start) {
                words += " \(text(bytes.extracting(start..<end)))"
                start = end + 1
            }
            return words
        }

        /// Nothing that a terminal would obey.
        private func text(_ bytes: RawSpan) -> String {
            var text = ""
            for offset in bytes.byteOffsets {
                let byte = bytes.byte(at: offset)
                text.unicodeScalars.append(
                    Unicode.Scalar((0x20..<0x7F).contains(byte) ? byte : 0x3F))
            }
            return text
        }

        init(_ packet: TFTPReactor.TracedPacket) {
            isOutgoing = packet.isOutgoing
            port = packet.port
            peer = packet.peer.description
            bytes = packet.bytes
            byteCount = packet.byteCount
        }
    }
}
