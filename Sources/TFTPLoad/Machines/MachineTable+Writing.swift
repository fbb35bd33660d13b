internal import TFTPCore
package import TFTPWire

/// The packets that an `Effect` asks for.
extension MachineTable {
    /// The longest name that a request is written for.
    package static var nameByteCountMax: Int { 480 }

    /// Room that any packet of a machine fits in.
    package static var packetByteCountMax: Int { 776 }

    /// Room that an ACK fits in, with Windows' fifth byte.
    package static var ackByteCountMax: Int { Packet.ackByteCount + 1 }

    /// Room that an ERROR fits in: no message is longer than 63 bytes.
    package static var errorByteCountMax: Int { Packet.errorByteCountMin + 63 }

    /// Writes the RRQ of the stage that the machine is in.
    ///
    /// - Parameter name: the file's name, without the changes that a client makes to it.
    /// - Precondition: `output` has room for `packetByteCountMax` bytes, and `name` has no NUL and
    ///   at most `nameByteCountMax` bytes.
    @_lifetime(output: copy output)
    package func writeRequest(
        _ machine: Int, name: RawSpan, into output: inout OutputRawSpan
    ) {
        precondition(name.byteCount <= MachineTable.nameByteCountMax)
        let profile = Int(progress[machine].profile)
        let stage = profiles[profile].stages[Int(progress[machine].stage)]
        var styled = StyledName()
        if stage.hasSerialPrefix { styled.append(serialOf: machine) }
        styled.append(name, profiles[profile].nameStyle)
        Packet.writeRequest(
            .rrq, filename: styled.bytes, mode: profiles[profile].mode, options: stage.options,
            to: &output)
        let isLoad = stage.ending == .load
        if isLoad && profiles[profile].traits.contains(.msftwindow) {
            for index in MachineTable.msftwindow.indices {
                output.append(MachineTable.msftwindow[index])
            }
        }
    }

    /// Writes ACK `block`. Windows has a fifth byte in it, the window it would like next.
    ///
    /// - Precondition: `output` has room for `ackByteCountMax` bytes.
    @_lifetime(output: copy output)
    package func writeAck(
        _ machine: Int, block: BlockNumber, into output: inout OutputRawSpan
    ) {
        Packet.writeAck(block: block, to: &output)
        if profiles[Int(progress[machine].profile)].traits.contains(.msftwindow) {
            output.append(UInt8(clamping: progress[machine].windowsize))
        }
    }

    /// Writes an ERROR.
    ///
    /// - Precondition: `output` has room for `errorByteCountMax` bytes.
    @_lifetime(output: copy output)
    package func writeError(_ reply: ErrorReply, into output: inout OutputRawSpan) {
        Packet.writeError(code: reply.code, message: reply.message, to: &output)
    }

    /// `msftwindow` NUL `31416` NUL.
    private static var msftwindow: InlineArray<17, UInt8> {
        [
            0x6D, 0x73, 0x66, 0x74, 0x77, 0x69, 0x6E, 0x64, 0x6F, 0x77, 0x00, 0x33, 0x31, 0x34,
            0x31, 0x36, 0x00,
        ]
    }
}

/// A file name in the making, as a client spells it.
private struct StyledName {
    private var storage = InlineArray<512, UInt8>(repeating: 0)
    private var byteCount = 0

    var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            // A UInt8 has no padding, and all of the storage is initialised.
            unsafe storage.span.bytes.extracting(first: byteCount)
        }
    }

    private mutating func append(_ byte: UInt8) {
        storage[byteCount] = byte
        byteCount += 1
    }

    /// Eight hexadecimal digits and a slash.
    mutating func append(serialOf machine: Int) {
        for shift in stride(from: 28, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: machine >> shift) & 0xF
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
        append(UInt8(ascii: "/"))
    }

    mutating func append(_ name: RawSpan, _ style: ClientProfile.NameStyle) {
        let slash = UInt8(ascii: "/")
        let backslash = UInt8(ascii: "\\")
        if style == .backslashes, name.byteCount == 0 || name.byte(at: 0) != slash {
            append(backslash)
        }
        var previous: UInt8 = 0
        for offset in name.byteOffsets {
            let byte = name.byte(at: offset)
            if style == .slashesCollapsed && byte == slash && previous == slash { continue }
            append(style == .backslashes && byte == slash ? backslash : byte)
            previous = byte
        }
    }
}
