internal import Synchronization
internal import TFTPFetch
internal import TFTPStore

/// The manifests of files that have been read once, against which later reads are checked.
final class KnownContent: Sendable {
    private let manifests = Mutex<[FileIdentity: Manifest]>([:])

    subscript(_ file: FileIdentity) -> Manifest? {
        get { manifests.withLock { $0[file] } }
        set { manifests.withLock { $0[file] = newValue } }
    }
}
