internal import Logging
internal import TFTPReactor

extension Reporter {
    /// One line of what there is to say of the folder.
    func log(_ note: StoreNote) {
        switch note {
        case .leftoversRemoved(let count):
            logger.notice("removed \(count) unfinished uploads that an earlier server had left")
        }
    }
}
