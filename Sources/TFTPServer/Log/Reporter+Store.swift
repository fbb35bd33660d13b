internal import Files
internal import Logging
internal import SystemPackage
internal import TFTPReactor

extension Reporter {
    /// One line of what there is to say of the folder.
    func log(_ note: StoreNote) {
        switch note {
        case .leftoversRemoved(let count):
            logger.notice("removed \(count) unfinished uploads that an earlier server had left")
        case .root(let change, let path): log(change, path.inOneLine)
        case .failure(let kind, let count): log(kind, count)
        }
    }

    private func log(_ change: ServedRoot.Change, _ path: String) {
        switch change {
        case .lost:
            logger.error("there is no folder \(path) any more: clients get ERROR 0 until there is")
        case .back: logger.notice("the folder \(path) is there again, and is served")
        case .replaced:
            logger.notice("another folder is at \(path) now, and is served from now on")
        case .walled:
            logger.error(
                """
                another folder is at \(path) now, outside of what this server may read (Landlock): clients get ERROR 0; \
                restart the server to serve it
                """)
        }
    }

    private func log(_ kind: StoreNote.FailureKind, _ count: Int) {
        let errno = Errno(rawValue: kind.errno)
        let times = count == 1 ? "" : " (\(count) times within the last minutes)"
        logger.error("\(kind.operation.text) failed: \(errno)\(times). \(errno.advice)")
    }
}

extension StoreNote.Operation {
    fileprivate var text: String {
        switch self {
        case .opening: "opening a file"
        case .reading: "reading a file"
        case .writing: "writing an upload"
        case .syncing: "syncing an upload"
        }
    }
}

extension Errno {
    /// What an operator can do.
    fileprivate var advice: String {
        switch self {
        case .noSpace: "The disk is full: make room."
        case .diskQuotaExceeded: "A quota is used up: raise it, or make room."
        case .tooManyOpenFiles: "Raise the limit of open files of this process (LimitNOFILE)."
        case .tooManyOpenFilesInSystem: "Raise fs.file-max."
        case .ioError: "Look at the kernel's log: the disk may be failing."
        default: "Look at the kernel's log."
        }
    }
}
