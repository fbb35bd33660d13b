internal import TFTPWire

let optionWorkloads = [
    Workload(name: "options: parse and grant") {
        let asked = optionBytes
        let limits = GrantLimits(blksizeMax: 1468, windowsizeMax: 64)
        return { count in
            var digest: UInt64 = 0
            for _ in 0..<count {
                let options = Options(parsing: asked.raw)
                let grant = options.grant(
                    limits: limits, byteCount: 1 << 20, mode: .octet, opcode: .rrq)
                digest &+= UInt64(grant.blksize) &* UInt64(grant.windowsize)
            }
            precondition(digest == UInt64(count) * 1468 * 4)
            return digest
        }
    },
    Workload(name: "options: write OACK") {
        let room = Room(byteCount: Packet.oackByteCountMax)
        return { count in
            var digest: UInt64 = 0
            for index in 0..<count {
                var options = edk2Options
                options.tsize = UInt64(index)
                digest &+= room.write { Packet.writeOACK(options, to: &$0) }
            }
            return digest
        }
    },
]

/// The option bytes of a request.
private let optionBytes: [UInt8] = {
    // What stands before them: two bytes, the name, the mode, and a NUL behind each of both.
    let packet = request(Array("a".utf8), edk2Options)
    return Array(packet.dropFirst(2 + 2 + "octet".utf8.count + 1))
}()
