package import SystemPackage
package import TFTPCore
package import TFTPWire

/// What a client asks of a server, and which answers it accepts.
package struct ClientRequest: Sendable {
    /// Where the request goes.
    package var server: Endpoint
    /// Either `rrq` or `wrq`.
    package var opcode: Opcode
    /// The file, without a NUL.
    package var name: [UInt8]
    /// As the request says it; the content is not translated here.
    package var mode = TransferMode.octet
    /// What is asked for; empty: no options at all.
    package var options = Options()
    /// When the request is repeated at the latest; 0: after a second, then ever later.
    package var timeoutSeconds: UInt8 = 0
    /// How long the server may be silent.
    package var patienceMilliseconds: UInt32 = 10_000
    /// How long content that does not come may keep the server waiting; nil: as long as the server
    /// waits.
    package var sourcePatienceMilliseconds: UInt32?
    /// Content of an upload is wanted only once the server has answered: what cannot be read a
    /// second time stays where it is until then.
    package var readsAfterAnswer = false
    /// The most that is taken of a file.
    package var byteCountMax = UInt64.max
    /// Asks for a sealed transfer, and goes along with no other; the name, the mode and the options
    /// are in it.
    package var seal: ClientSeal?

    /// A request with every setting at its default.
    package init(server: Endpoint, opcode: Opcode, name: [UInt8]) {
        self.server = server
        self.opcode = opcode
        self.name = name
    }

    /// The longest name: with mode and options the request still fits the smallest datagram that
    /// every host accepts.
    package static let nameByteCountMax = 380
    /// Bytes of the largest window that is asked for.
    package static let windowByteCountMax = 4 << 20

    /// Bytes of the largest window that can be granted.
    package var windowByteCountMax: Int {
        let blksize = max(options.blksize ?? 0, UInt32(Grant.blksizeDefault))
        return Int(blksize) * Int(max(1, options.windowsize ?? 1))
    }
}

/// The result of a transfer.
package struct ClientSummary: Sendable {
    /// Bytes of content.
    package var byteCount: UInt64
    /// From the request to the end.
    package var nanoseconds: UInt64
    /// As granted, in bytes.
    package var blksize: UInt16
    /// As granted, in blocks.
    package var windowsize: UInt16
    /// What the OACK had; empty when there was none.
    package var options: Options
    /// Requests, ACKs and blocks that were sent more than once.
    package var retransmissionCount: UInt64
    /// The server and its TID.
    package var peer: Endpoint
}

/// Why a transfer failed.
package enum ClientFailure: Error, Sendable {
    /// The server sent an ERROR.
    case refused(ErrorCode, message: String)
    /// Nothing came back to the request.
    case noAnswer(milliseconds: UInt64)
    /// The server fell silent after that many bytes.
    case silence(milliseconds: UInt64, byteCount: UInt64)
    /// The server's host reports that nothing listens on the port; after this number of bytes, if
    /// any had come.
    case unreachable(byteCount: UInt64?)
    /// All was sent, and the last block never acknowledged.
    case unacknowledged
    /// An OACK with what was not asked.
    case negotiation(NegotiationError)
    /// DATA longer than the blksize.
    case overlongBlock(byteCount: Int, blksize: Int)
    /// More than `byteCountMax`.
    case tooLarge(byteCountMax: UInt64)
    /// The server does not seal, or an attacker on the path has removed the seal.
    case unsealed
    /// An unencrypted ERROR says that the server cannot open the request.
    case sealRefused(ErrorCode, message: String)
    /// Another number of bytes than the server's `tsize` said.
    case wrongSize(announced: UInt64, byteCount: UInt64)
    /// The server acknowledged block 0 after 65535 when the same block had gone out as 1 too.
    case unclearRollover
    /// The content to be sent did not come within `sourcePatienceMilliseconds`.
    case sourceStalled(milliseconds: UInt64)
    /// The client has this number of transfers already.
    case tooManyTransfers(max: Int)
    /// The system refused a socket or a send.
    case system(Errno)
    /// The caller ended it.
    case cancelled
    /// The client was closed.
    case closed
}

/// Why the kernel did not send a packet.
package enum SendFailure: Sendable {
    /// It reports an earlier packet instead, perhaps one to a stranger.
    case byEarlierReport
    /// It cannot cut a batch into segments, and the driver sends the next ones one by one.
    case segmented
    /// There is no way to that address, or a firewall.
    case noWay(Errno)
}
