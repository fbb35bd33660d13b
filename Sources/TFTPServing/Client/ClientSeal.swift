package import TFTPSeal
internal import TFTPWire

/// What a client knows of the seal of one transfer: at first what it asked, then the keys.
///
/// @unchecked Sendable: its maker hands it over with the request, and only the client that runs the
/// transfer changes it.
package final class ClientSeal: @unchecked Sendable {
    let request: SealedRequest
    /// The OACK that began the transfer.
    private var oack: [UInt8] = []
    private var packets: PacketSeal?
    /// The failure that an unauthenticated packet reports: valid if no authenticated answer comes.
    var doubt: ClientFailure?

    static let tagByteCount = PacketSeal.byteCount

    /// The seal of a transfer that asks with `request`.
    package init(_ request: SealedRequest) { self.request = request }

    // MARK: Answers to the request

    /// What an OACK or the message of an ERROR has under its seal; nil when it has none that is the
    /// server's.
    @inline(never)
    func open(oack packet: RawSpan) -> SealedRequest.Answer? {
        do throws(SealError) {
            return try request.read(oack: packet)
        } catch {
            doubt = doubt ?? (error == .malformed ? .unsealed : nil)
            return nil
        }
    }

    @inline(never)
    func open(errorMessage message: RawSpan, code: ErrorCode) -> SealedRequest.Answer? {
        do throws(SealError) {
            return try request.read(errorMessage: message)
        } catch {
            doubt = doubt ?? .sealRefused(code, message: String(printing: message))
            return nil
        }
    }

    func begin(_ packets: PacketSeal, oack packet: RawSpan) {
        self.packets = packets
        doubt = nil
        oack = packet.byteOffsets.map { packet.byte(at: $0) }
    }

    var hasBegun: Bool { packets != nil }

    func blockSealer(blksize: Int) -> BlockSealer? { packets?.blockSealer(blksize: blksize) }

    /// Whether the OACK has come once more.
    func isSame(oack packet: RawSpan) -> Bool {
        packet.byteCount == oack.count
            && oack.indices.allSatisfy { packet.byte(at: $0) == oack[$0] }
    }

    // MARK: Packets

    @inline(never)
    @_lifetime(output: copy output)
    func writeTag(ack block: UInt64, to output: inout OutputRawSpan) {
        guard let tag = packets?.tag(ack: block) else { return }
        for index in tag.indices { output.append(tag[index]) }
    }

    @inline(never)
    func isAuthentic(ack block: UInt64, tag: RawSpan) -> Bool {
        packets?.isAuthentic(ack: block, tag: tag) ?? false
    }

    /// Opens DATA `block` into `room`. Returns how many bytes its content has.
    @inline(never)
    func open(_ payload: RawSpan, block: UInt64, into room: UnsafeMutableRawBufferPointer) -> Int? {
        unsafe packets?.open(payload, block: block, into: room)
    }

    /// What an ERROR says when it is the server's.
    func open(errorMessage message: RawSpan) -> (code: ErrorCode, text: [UInt8])? {
        packets?.open(errorMessage: message)
    }

    /// The message of our ERROR; nil before there are keys, and when there has been one.
    func errorMessage(_ code: ErrorCode, _ reason: StaticString) -> [UInt8]? {
        packets?.errorMessage(code, reason.rawSpan)
    }
}
