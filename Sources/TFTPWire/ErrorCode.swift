/// The code of an ERROR packet (RFC 1350 Appendix, RFC 2347). Unknown codes survive a round trip.
package struct ErrorCode: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    /// The 16 bits on the wire.
    package var rawValue: UInt16

    /// The code with these bits.
    @inlinable
    package init(rawValue: UInt16) { self.rawValue = rawValue }
}

extension ErrorCode {
    /// The message says what happened. Many boot clients close a probe with it.
    package static var notDefined: ErrorCode { ErrorCode(rawValue: 0) }
    /// File not found.
    package static var fileNotFound: ErrorCode { ErrorCode(rawValue: 1) }
    /// Access violation.
    package static var accessViolation: ErrorCode { ErrorCode(rawValue: 2) }
    /// The disk is full or the allocation exceeded.
    package static var diskFull: ErrorCode { ErrorCode(rawValue: 3) }
    /// Illegal TFTP operation.
    package static var illegalOperation: ErrorCode { ErrorCode(rawValue: 4) }
    /// Unknown transfer ID.
    package static var unknownTransferID: ErrorCode { ErrorCode(rawValue: 5) }
    /// File already exists.
    package static var fileAlreadyExists: ErrorCode { ErrorCode(rawValue: 6) }
    /// No such user.
    package static var noSuchUser: ErrorCode { ErrorCode(rawValue: 7) }
    /// The options of an OACK were refused (RFC 2347). EDK II closes a probe with it.
    package static var optionNegotiation: ErrorCode { ErrorCode(rawValue: 8) }
}
