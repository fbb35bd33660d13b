package import TFTPWire

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
