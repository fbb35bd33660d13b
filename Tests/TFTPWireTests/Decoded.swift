import TFTPWire
import WireSupport

/// A packet with copies of its spans, so that tests can compare and print it.
enum Decoded: Equatable {
    case request(Opcode, filename: [UInt8], mode: TransferMode?, options: [UInt8])
    case data(UInt16, payload: [UInt8])
    case ack(UInt16)
    case error(UInt16, message: [UInt8])
    case oack(options: [UInt8])
    case failure(PacketError)

    init(_ datagram: [UInt8]) {
        do throws(PacketError) {
            self.init(copying: try Packet(parsing: datagram.span.bytes))
        } catch {
            self = .failure(error)
        }
    }

    init(copying packet: borrowing Packet) {
        switch copy packet {
        case .request(let request):
            self = .request(
                request.opcode, filename: Array(request.filename), mode: request.mode,
                options: Array(request.options))
        case .data(let block, let payload):
            self = .data(block.rawValue, payload: Array(payload))
        case .ack(let block):
            self = .ack(block.rawValue)
        case .error(let code, let message):
            self = .error(code.rawValue, message: Array(message))
        case .oack(let options):
            self = .oack(options: Array(options))
        }
    }
}

extension Options {
    /// The wire form, with `|` for NUL.
    var wire: String {
        let bytes = [UInt8](capacity: Packet.oackByteCountMax) { output in
            Packet.writeOACK(self, to: &output)
        }
        return String(decoding: bytes.dropFirst(2).map { $0 == 0 ? 0x7C : $0 }, as: UTF8.self)
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Calls `body` with every string of at most `countMax` letters of `alphabet`.
func withEveryString(of alphabet: [UInt8], countMax: Int, _ body: ([UInt8]) -> Void) {
    var strings: [[UInt8]] = [[]]
    for _ in 0...countMax {
        strings.forEach(body)
        strings = strings.flatMap { string in alphabet.map { string + [$0] } }
    }
}
