// Each function writes one packet, or the header of one, behind what `output` already holds. The
// capacity it needs is a constant next to it; less is a mistake of the caller and traps.

extension Packet {
    /// Bytes of an ACK.
    package static var ackByteCount: Int { headerByteCount }

    /// An ERROR with an empty message.
    package static var errorByteCountMin: Int { headerByteCount + 1 }

    /// Bytes of the longest OACK that is written.
    package static var oackByteCountMax: Int { 2 + Options.byteCountMax }

    /// The maximum size of a request for a file name of this length.
    package static func requestByteCountMax(filenameByteCount: Int) -> Int {
        2 + filenameByteCount + 1 + TransferMode.byteCountMax + Options.byteCountMax
    }

    /// Writes the four bytes that precede the payload of DATA `block`.
    ///
    /// - Precondition: `output` has room for `headerByteCount` bytes.
    @_lifetime(output: copy output)
    package static func writeDataHeader(block: BlockNumber, to output: inout OutputRawSpan) {
        precondition(output.freeCapacity >= headerByteCount)
        output.append(bigEndian: Opcode.data.rawValue)
        output.append(bigEndian: block.rawValue)
    }

    /// Writes ACK `block`.
    ///
    /// - Precondition: `output` has room for `ackByteCount` bytes.
    @_lifetime(output: copy output)
    package static func writeAck(block: BlockNumber, to output: inout OutputRawSpan) {
        precondition(output.freeCapacity >= ackByteCount)
        output.append(bigEndian: Opcode.ack.rawValue)
        output.append(bigEndian: block.rawValue)
    }

    /// Writes an ERROR. The message is cut where `output` ends or where it has a NUL itself.
    ///
    /// - Precondition: `output` has room for `errorByteCountMin` bytes.
    @_lifetime(output: copy output)
    package static func writeError(
        code: ErrorCode, message: RawSpan, to output: inout OutputRawSpan
    ) {
        precondition(output.freeCapacity >= errorByteCountMin)
        output.append(bigEndian: Opcode.error.rawValue)
        output.append(bigEndian: code.rawValue)
        let byteCount = message.offsetOfNUL(from: 0) ?? message.byteCount
        let fitting = min(byteCount, output.freeCapacity - 1)
        output.append(contentsOf: message.extracting(first: fitting))
        output.append(0)
    }

    /// Writes an ERROR whose message is a literal.
    ///
    /// - Precondition: `output` has room for `errorByteCountMin` bytes.
    @_lifetime(output: copy output)
    package static func writeError(
        code: ErrorCode, message: StaticString, to output: inout OutputRawSpan
    ) {
        writeError(code: code, message: message.rawSpan, to: &output)
    }

    /// Writes an OACK (RFC 2347): names in lower case, request order, plain decimal, and nothing
    /// after the last NUL. Cisco refuses padding, EDK II a missing NUL, GRUB upper case.
    ///
    /// - Precondition: `output` has room for `oackByteCountMax` bytes.
    @_lifetime(output: copy output)
    package static func writeOACK(_ options: Options, to output: inout OutputRawSpan) {
        precondition(output.freeCapacity >= oackByteCountMax)
        output.append(bigEndian: Opcode.oack.rawValue)
        options.write(to: &output)
    }

    /// Writes an RRQ or a WRQ (RFC 1350 §5, RFC 2347).
    ///
    /// - Precondition: `filename` has no NUL, and `output` has room for
    ///   `requestByteCountMax(filenameByteCount:)` bytes.
    @_lifetime(output: copy output)
    package static func writeRequest(
        _ opcode: Opcode, filename: RawSpan, mode: TransferMode, options: Options,
        to output: inout OutputRawSpan
    ) {
        let byteCountMax = requestByteCountMax(filenameByteCount: filename.byteCount)
        precondition(opcode == .rrq || opcode == .wrq)
        precondition(filename.offsetOfNUL(from: 0) == nil)
        precondition(output.freeCapacity >= byteCountMax)
        output.append(bigEndian: opcode.rawValue)
        output.append(contentsOf: filename)
        output.append(0)
        output.append(terminated: mode.wireName)
        options.write(to: &output)
    }
}

extension Options {
    /// What the longest list comes to: each name once with its largest value, and a NUL after each.
    /// Those of 32 bits have 10 digits, those of 16 have 5; `tsize`, `offset` and `length` have 20.
    package static var byteCountMax: Int { 215 }

    /// What this list comes to on the wire.
    package var byteCount: Int {
        var sum = 0
        for index in 0..<count {
            guard let name = order[index], var value = self[name] else { break }
            // A NUL behind the name, one behind the value, and its last digit.
            sum += name.wireName.utf8CodeUnitCount + 3
            while value >= 10 {
                value /= 10
                sum += 1
            }
        }
        return sum
    }

    @_lifetime(output: copy output)
    fileprivate func write(to output: inout OutputRawSpan) {
        for index in 0..<count {
            guard let name = order[index], let value = self[name] else { break }
            output.append(terminated: name.wireName)
            output.append(terminatedDecimal: value)
        }
    }
}

extension TransferMode {
    /// `netascii` and its NUL.
    fileprivate static var byteCountMax: Int { 9 }
}
