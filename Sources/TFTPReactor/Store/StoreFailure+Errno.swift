internal import SystemPackage
internal import TFTPStore

extension StoreFailure {
    /// What an errno of reading means to a client; some stand for what the cache itself says.
    init(errno: Int32) {
        switch errno {
        case ImageCache.changedErrno: self = .changed
        case ImageCache.supplyErrno: self = .handler
        case ImageCache.supplyTimeoutErrno: self = .tooSlow
        default: self.init(Errno(rawValue: errno))
        }
    }
}
