package import SystemPackage
package import TFTPWire

/// Why a file, an extent or an upload is not available.
package enum StoreFailure: UInt8, Error, BitwiseCopyable {
    case notFound
    /// The process may not read it.
    case permission
    /// A symbolic link, or a name with `..`, leads out of what is served.
    case outside
    /// A folder, a device, a pipe or a socket.
    case notRegular
    case readOnly
    /// The policy does not allow it.
    case forbidden
    case alreadyExists
    case diskFull
    case tooLarge
    /// The client, its network or all have uploaded as much as they may for now.
    case quota
    /// The file was changed while it was read, or is another one by now.
    case changed
    case busy
    case input
    /// A handler has thrown, or broken its word.
    case handler
    case tooSlow
    /// The served folder is not a folder, or missing.
    case noRoot
    /// A part of an upload's name is longer than the file system takes, or too many folders of it
    /// are missing.
    case nameTooLong

    /// What the client is told. Nothing in it says what exists outside of what is served.
    package var code: ErrorCode {
        switch self {
        case .notFound: .fileNotFound
        case .permission, .outside, .notRegular, .readOnly, .forbidden, .nameTooLong:
            .accessViolation
        case .alreadyExists: .fileAlreadyExists
        case .diskFull, .tooLarge, .quota: .diskFull
        // Not `fileNotFound`, after which boot loaders try other names.
        case .changed, .busy, .input, .handler, .tooSlow, .noRoot: .notDefined
        }
    }

    /// Whether the file may not be used in this way.
    package var isDenied: Bool {
        switch self {
        case .permission, .notRegular, .readOnly, .forbidden: true
        default: false
        }
    }

    /// The text of the ERROR.
    package var message: StaticString {
        switch self {
        case .notFound: "File not found"
        case .permission, .outside, .notRegular, .readOnly, .forbidden: "Access violation"
        case .alreadyExists: "File already exists"
        case .diskFull: "Disk full or allocation exceeded"
        case .tooLarge: "File too large"
        case .quota: "Upload quota used up"
        case .changed: "File changed while it was read"
        case .busy: "Server busy, try again"
        case .input: "Input or output error"
        case .handler: "Content source failed"
        case .tooSlow: "Content source took too long"
        case .noRoot: "Served folder is not available"
        case .nameTooLong: "File name too long"
        }
    }

    /// The same for a name to write. A file to read does not exist under a name that is too long.
    package init(writing errno: Errno) {
        self = errno == .fileNameTooLong ? .nameTooLong : StoreFailure(errno)
    }

    /// What an error of opening, reading, writing or syncing means to a client.
    package init(_ errno: Errno) {
        switch errno {
        case .noSuchFileOrDirectory, .notDirectory, .fileNameTooLong: self = .notFound
        case .fileExists: self = .alreadyExists
        case .noSpace, .diskQuotaExceeded: self = .diskFull
        case .fileTooLarge: self = .tooLarge
        // It may go better later.
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory,
            .resourceTemporarilyUnavailable:
            self = .busy
        case .permissionDenied, .notPermitted: self = .permission
        // `improperLink`: out of the root.
        case .improperLink, .tooManySymbolicLinkLevels: self = .outside
        case .isDirectory, .noSuchAddressOrDevice: self = .notRegular
        case .readOnlyFileSystem: self = .readOnly
        case .invalidArgument, .resourceBusy, .textFileBusy: self = .forbidden
        case .staleNFSFileHandle: self = .changed
        default: self = .input
        }
    }
}
