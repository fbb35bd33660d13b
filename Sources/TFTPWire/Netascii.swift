/// Translates a file to what netascii has on the wire (RFC 1350 §1, RFC 764): LF becomes CR LF, and
/// CR becomes CR NUL.
///
/// It stops wherever the output is full, so the blocks may fall anywhere, also between the two
/// bytes that one became. The state is a byte: copy it to be able to make a block again.
package struct NetasciiEncoder: Equatable, Sendable, BitwiseCopyable {
    /// What has still to follow a CR that has been written.
    private var pending = Pending.nothing

    private enum Pending: UInt8, BitwiseCopyable {
        case nothing
        case lf
        case nul
    }

    /// An encoder or decoder at the beginning of a text.
    package init() {}

    /// Whether a byte is pending that needs no more source. Only ever after a full output.
    package var hasPending: Bool { pending != .nothing }

    /// Writes until `output` is full or `source` is used up.
    ///
    /// - Returns: How many bytes of `source` were used. The next call starts behind them.
    @_lifetime(output: copy output)
    package mutating func encode(_ source: RawSpan, into output: inout OutputRawSpan) -> Int {
        writePending(into: &output)
        var offset = 0
        while offset < source.byteCount, !output.isFull {
            let byte = source.byte(at: offset)
            offset += 1
            switch byte {
            case ASCII.lf:
                output.append(ASCII.cr)
                pending = .lf
            case ASCII.cr:
                output.append(ASCII.cr)
                pending = .nul
            default:
                output.append(byte)
            }
            writePending(into: &output)
        }
        return offset
    }

    /// Translates all of `source`, which makes it twice as long at most.
    package mutating func encodeAll(_ source: [UInt8]) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 2 * source.count) { buffer, count in
            let room = UnsafeMutableRawBufferPointer(buffer)
            var output = unsafe OutputRawSpan(buffer: room, initializedCount: 0)
            let used = unsafe encode(source.span.bytes, into: &output)
            assert(used == source.count && !hasPending)
            count = unsafe output.finalize(for: room)
        }
    }

    @_lifetime(output: copy output)
    private mutating func writePending(into output: inout OutputRawSpan) {
        guard hasPending, !output.isFull else { return }
        output.append(pending == .lf ? ASCII.lf : ASCII.nul)
        pending = .nothing
    }
}

/// Translates what came in netascii back to a file: CR LF becomes LF, and CR NUL becomes CR.
///
/// A CR before any other byte is against RFC 764 and is kept, with that byte. So whatever comes is
/// decoded to something, in blocks that end anywhere.
package struct NetasciiDecoder: Equatable, Sendable, BitwiseCopyable {
    /// Whether a CR was read that nothing was written for yet.
    package private(set) var hasPending = false

    /// An encoder or decoder at the beginning of a text.
    package init() {}

    /// Writes until `output` is full or `source` is used up.
    ///
    /// - Returns: How many bytes of `source` were used. The next call starts behind them.
    @_lifetime(output: copy output)
    package mutating func decode(_ source: RawSpan, into output: inout OutputRawSpan) -> Int {
        var offset = 0
        while offset < source.byteCount, !output.isFull {
            if decode(source.byte(at: offset), into: &output) { offset += 1 }
        }
        return offset
    }

    /// Writes the CR that the last block ended with, if it did.
    ///
    /// - Precondition: `output` has room for one byte.
    @_lifetime(output: copy output)
    package mutating func finish(into output: inout OutputRawSpan) {
        precondition(!output.isFull)
        if hasPending { output.append(ASCII.cr) }
        hasPending = false
    }

    /// Writes at most one byte, for which there is room.
    ///
    /// - Returns: Whether `byte` was used. It is not when only the CR before it was written.
    @_lifetime(output: copy output)
    private mutating func decode(_ byte: UInt8, into output: inout OutputRawSpan) -> Bool {
        switch (hasPending, byte) {
        case (false, ASCII.cr):
            hasPending = true
            return true
        case (false, _):
            output.append(byte)
            return true
        case (true, ASCII.lf), (true, ASCII.nul):
            output.append(byte == ASCII.lf ? ASCII.lf : ASCII.cr)
            hasPending = false
            return true
        case (true, _):
            output.append(ASCII.cr)
            hasPending = false
            return false
        }
    }
}

/// The bytes that netascii gives a meaning.
private enum ASCII {
    static var nul: UInt8 { 0x00 }
    static var lf: UInt8 { 0x0A }
    static var cr: UInt8 { 0x0D }
}
