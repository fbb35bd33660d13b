package import TFTPWire

extension MachineTable {
    /// What the caller must do next for one machine.
    ///
    /// Few parts are ever set together. They are to be done in the order in which they stand here:
    /// look at the payload, send the ACK, send the ERROR (both to where the packet came from), send
    /// the request, and take note of the result.
    package struct Effect: Equatable, Sendable, BitwiseCopyable {
        /// The payload is new and belongs into the file.
        package var accept: Accepted?
        /// Send ACK of this number, with `writeAck`.
        package var ack: BlockNumber?
        /// Send this ERROR, with `writeError`.
        package var error: ErrorReply?
        /// Send the request of the stage, with `writeRequest`, to the port that requests go to.
        package var request: Requested?
        /// The boot is over. The machine takes no notice of packets until `start`.
        package var result: BootResult?

        package init() {}

        package static var none: Effect { Effect() }
    }

    package struct Accepted: Equatable, Sendable, BitwiseCopyable {
        /// Counted from 1; the payload belongs at `(block - 1) * blksize`.
        package var block: UInt64
        /// Whether it is the short one at the end. It may come before others that are missing.
        package var isLast: Bool

        package init(block: UInt64, isLast: Bool) {
            self.block = block
            self.isLast = isLast
        }
    }

    package struct Requested: Equatable, Sendable, BitwiseCopyable {
        /// Whether it comes from another port than the one before. Else it is a repetition.
        package var fromNewPort: Bool

        package init(fromNewPort: Bool) { self.fromNewPort = fromNewPort }
    }

    /// Where a machine stands in one transfer.
    package enum Phase: UInt8, Sendable, BitwiseCopyable {
        /// Nothing was started, or the boot is over.
        case idle
        /// The request is out, nothing has come back.
        case requesting
        case receiving
    }
}

/// How one boot ended.
package enum BootResult: Equatable, Sendable, BitwiseCopyable {
    case done
    case failed(BootFailure)
}

/// Why a boot failed.
package enum BootFailure: Equatable, Sendable, BitwiseCopyable {
    /// ERROR 1 from the server.
    case notFound
    case errorFromServer(ErrorCode)
    /// The client's patience ended in this phase.
    case timedOut(MachineTable.Phase)
    /// The client does not go along with what the server granted.
    case badOACK(OACKFault)
    /// DATA without an OACK came to a client that needs one (GRUB).
    case noOACK
    /// A second OACK in mid-transfer (U-Boot starts all over).
    case repeatedOACK
    /// DATA with more bytes than the blksize.
    case overlongBlock
    /// Block 0 before 65535 was here (iPXE ends at once).
    case blockZeroEarly
    /// Block 65535, or another of its cycle, after block 0 was due: iPXE takes it for one 65,536
    /// blocks farther on and never completes.
    case repeated65535
    /// A packet from another port (curl ends at once).
    case strangeTID
    /// A packet from another address (curl ends at once).
    case strangeAddress
    /// The client's patience ended, and what came meanwhile was from another port or another
    /// address.
    case strayPort
    case strayAddress
}

/// What is wrong with an OACK in the eyes of a client.
package enum OACKFault: Equatable, Sendable, BitwiseCopyable {
    case unasked(Options.Name)
    /// An option that was not asked and that no RFC names.
    case unaskedUnknown
    case raised(Options.Name)
    case changed(Options.Name)
    case outOfRange(Options.Name)
    /// An option that the client requires.
    case missing(Options.Name)
    /// `tsize` 0: curl and PXELINUX take it for an error.
    case emptyFile
    /// The last byte is not NUL.
    case unterminated
    /// A name without its value.
    case malformedPair
}

/// An ERROR as a client words it.
package enum ErrorReply: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// EDK II closes a probe.
    case userAborted
    /// PXELINUX closes each file, also one that it has read to its end.
    case fileClosed
    /// barebox closes a probe.
    case wordless
    /// Raspberry Pi closes a probe.
    case earlyTerminate
    /// Windows closes a probe.
    case aborted
    /// The storm is over before the boot is.
    case switchedOff
    /// PXELINUX refuses an OACK.
    case protocolError
    /// U-Boot refuses an OACK.
    case negotiationFailed
    /// EDK II refuses an OACK.
    case malformattedOACK
    /// busybox refuses an OACK, and so does `plain`.
    case badOption
    /// lwIP refuses an OACK, and anyone an overlong block.
    case illegalOperation
    /// lwIP on any block but the next and the one before.
    case wrongBlock
    /// lwIP to a stranger.
    case oneConnection
    /// `plain` to a stranger (RFC 1350 §4).
    case unknownTID
}

extension ErrorReply {
    package var code: ErrorCode {
        switch self {
        case .fileClosed, .wordless, .earlyTerminate, .aborted, .switchedOff: .notDefined
        case .oneConnection: .accessViolation
        case .malformattedOACK, .illegalOperation: .illegalOperation
        case .wrongBlock, .unknownTID: .unknownTransferID
        case .userAborted, .protocolError, .negotiationFailed, .badOption: .optionNegotiation
        }
    }

    package var message: StaticString {
        switch self {
        case .userAborted: "User aborted the transfer"
        case .fileClosed: "No error, file close"
        case .wordless: ""
        case .earlyTerminate: "Early terminate"
        case .aborted: "TFTP Aborted"
        case .switchedOff: "The storm is over"
        case .protocolError: "TFTP protocol error"
        case .negotiationFailed: "Option Negotiation Failed"
        case .malformattedOACK: "Malformatted OACK packet"
        case .badOption: "bad option"
        case .illegalOperation: "Illegal operation"
        case .wrongBlock: "Wrong block number"
        case .oneConnection: "Only one connection at a time is supported"
        case .unknownTID: "Unknown transfer ID"
        }
    }
}
