package import TFTPWire

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
