/// Why a request got an ERROR instead of a transfer, or a transfer ended with one from this end.
///
/// The log, `status` and the metrics name it. The client gets the ERROR code and a message that
/// does not tell what exists outside of what is served.
package enum RefusalReason: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// Nothing was refused.
    case none
    /// The file does not exist.
    case notFound
    /// The process may not read the file or search a folder on the way (EACCES, EPERM).
    case permission
    /// The name leads out of the served folder, or through a loop of links (EXDEV, ELOOP).
    case outsideRoot
    /// A folder, a device, a pipe or a socket.
    case notRegular
    /// The name is a folder's, or reserved for files that are never served.
    case reservedName
    /// The name is empty, or has bytes that no name has.
    case invalidName
    case nameTooLong
    /// The policy takes no uploads.
    case uploadsDenied
    /// The file system is mounted read-only.
    case readOnly
    case alreadyExists
    case diskFull
    /// The upload is larger than the limit.
    case tooLarge
    /// The client, its network or all have uploaded as much as they may for now.
    case quota
    /// The file changed while it was read, or an upload's target while it was received.
    case changed
    /// Every transfer, upload or request that may wait is in use.
    case busy
    /// Reading or writing failed.
    case inputOutput
    /// A handler, a peer or an origin failed.
    case handlerFailed
    /// A handler, a peer or an origin took too long.
    case handlerSlow
    /// A handler answered with an ERROR of its own.
    case handlerRefused
    /// Neither octet nor netascii.
    case unknownMode
    /// The client sent what is no TFTP packet, or options that cannot be granted.
    case invalidOption
    /// Plain requests are not answered in this network.
    case sealRequired
    /// The seal could not be opened with any key.
    case sealInvalid
    /// A policy refuses this client or name.
    case policy
    /// The access list does not permit this client.
    case access
    /// The client or its network has as many transfers, at once or in a second, as it may.
    case limit
    case shuttingDown
    /// The served folder is missing, or not a folder.
    case noRoot
    case other
}

extension RefusalReason {
    /// For metrics and JSON: lower case, words joined by `_`.
    package var label: String {
        switch self {
        case .none: "none"
        case .notFound: "not_found"
        case .permission: "permission"
        case .outsideRoot: "outside_root"
        case .notRegular: "not_regular"
        case .reservedName: "reserved_name"
        case .invalidName: "invalid_name"
        case .nameTooLong: "name_too_long"
        case .uploadsDenied: "uploads_denied"
        case .readOnly: "read_only"
        case .alreadyExists: "already_exists"
        case .diskFull: "disk_full"
        case .tooLarge: "too_large"
        case .quota: "upload_quota"
        case .changed: "changed"
        case .busy: "busy"
        case .inputOutput: "input_output"
        case .handlerFailed: "handler_failed"
        case .handlerSlow: "handler_slow"
        case .handlerRefused: "handler_refused"
        case .unknownMode: "unknown_mode"
        case .invalidOption: "invalid_option"
        case .sealRequired: "seal_required"
        case .sealInvalid: "seal_invalid"
        case .policy: "policy"
        case .access: "access"
        case .limit: "limit"
        case .shuttingDown: "shutting_down"
        case .noRoot: "no_root"
        case .other: "other"
        }
    }

    /// For people: what is wrong, as a part of a line.
    package var text: String {
        switch self {
        case .none: ""
        case .notFound: "no such file"
        case .permission: "permission denied"
        case .outsideRoot: "a link or .. leads outside of the served folders"
        case .notRegular: "not a regular file"
        case .reservedName: "a folder, or a name that is never served"
        case .invalidName: "not a valid file name"
        case .nameTooLong: "the name is too long"
        case .uploadsDenied: "uploads are not allowed"
        case .readOnly: "the file system is read-only"
        case .alreadyExists: "the file exists, and only new ones may be created"
        case .diskFull: "the disk is full"
        case .tooLarge: "larger than an upload may be"
        case .quota: "the upload quota of the client, its network or all is used up"
        case .changed: "the file was changed during the transfer"
        case .busy: "the server is busy"
        case .inputOutput: "reading or writing the file failed"
        case .handlerFailed: "the source of the content failed"
        case .handlerSlow: "the source of the content took too long"
        case .handlerRefused: "refused by the handler"
        case .unknownMode: "unknown transfer mode"
        case .invalidOption: "an option that cannot be granted"
        case .sealRequired: "plain requests are not answered in this network"
        case .sealInvalid: "the seal does not open with any key"
        case .policy: "refused by a policy"
        case .access: "the client's address is not permitted to do that"
        case .limit:
            "the client or its network has reached its number of transfers at once, or per second"
        case .shuttingDown: "the server is shutting down"
        case .noRoot: "the served folder is not there"
        case .other: "refused"
        }
    }
}
