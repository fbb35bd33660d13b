internal import Synchronization
internal import TFTPFetch
internal import TFTPStore

/// What files have to be made of that have been read once, for whoever reads them again.
final class KnownContent: Sendable {
    private let manifests = Mutex<[FileIdentity: Manifest]>([:])

    subscript(_ file: FileIdentity) -> Manifest? {
        get { manifests.withLock { $0[file] } }
        set { manifests.withLock { $0[file] = newValue } }
    }
}
