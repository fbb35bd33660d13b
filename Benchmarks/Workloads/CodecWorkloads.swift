internal import TFTPWire

let codecWorkloads = [
    parsing("ACK", bytes(4) { Packet.writeAck(block: BlockNumber(rawValue: 7), to: &$0) }),
    parsing(
        "DATA of 1468",
        bytes(4) { Packet.writeDataHeader(block: BlockNumber(rawValue: 7), to: &$0) }
            + [UInt8](repeating: 0x5A, count: 1468)),
    parsing("RRQ", request(Array("pxelinux.cfg/01-88-99-aa-bb-cc-dd".utf8), edk2Options)),
    Workload(name: "codec: write ACK") {
        let room = Room(byteCount: 64)
        return { count in
            var digest: UInt64 = 0
            for index in 0..<count {
                let number = BlockNumber(rawValue: UInt16(truncatingIfNeeded: index))
                digest &+= room.write { Packet.writeAck(block: number, to: &$0) }
            }
            return digest
        }
    },
]

/// What EDK II asks.
let edk2Options: Options = {
    var options = Options()
    options.tsize = 0
    options.blksize = 1468
    options.windowsize = 4
    return options
}()

private func parsing(_ name: String, _ packet: [UInt8]) -> Workload {
    Workload(name: "codec: parse \(name)") {
        { count in
            var digest: UInt64 = 0
            for _ in 0..<count { digest &+= number(in: packet.raw) }
            return digest
        }
    }
}

/// A word of what stands in a packet, which must be well formed.
private func number(in bytes: RawSpan) -> UInt64 {
    let packet: Packet
    do throws(PacketError) {
        packet = try Packet(parsing: bytes)
    } catch {
        preconditionFailure("\(error)")
    }
    switch packet {
    case .ack(let block): return UInt64(block.rawValue)
    case .data(let block, let payload): return UInt64(block.rawValue) + UInt64(payload.byteCount)
    case .request(let request): return UInt64(request.filename.byteCount)
    case .error(let code, _): return UInt64(code.rawValue)
    case .oack(let options): return UInt64(options.byteCount)
    }
}

func request(_ filename: [UInt8], _ options: Options) -> [UInt8] {
    bytes(Packet.requestByteCountMax(filenameByteCount: filename.count)) {
        Packet.writeRequest(
            .rrq, filename: filename.raw, mode: .octet, options: options, to: &$0)
    }
}

/// What `body` writes.
private func bytes(_ capacity: Int, _ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
    Room(byteCount: capacity).bytes(body)
}

extension [UInt8] {
    var raw: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            // A UInt8 has no padding.
            unsafe span.bytes
        }
    }
}

/// Memory that packets are written to, over and over.
@safe
final class Room {
    private let buffer: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        unsafe buffer = .allocate(byteCount: byteCount, alignment: 8)
        // A digest may read more than was written.
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { unsafe buffer.deallocate() }

    /// Writes, and tells how many bytes that was, and what the last of them is.
    func write(_ body: (inout OutputRawSpan) -> Void) -> UInt64 {
        let count = fill(body)
        return unsafe UInt64(count) << 8 | UInt64(buffer[count - 1])
    }

    func bytes(_ body: (inout OutputRawSpan) -> Void) -> [UInt8] {
        let count = fill(body)
        return unsafe Array(buffer[..<count])
    }

    private func fill(_ body: (inout OutputRawSpan) -> Void) -> Int {
        // This function owns all of the buffer while the span exists.
        var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
        body(&output)
        return unsafe output.finalize(for: buffer)
    }
}
