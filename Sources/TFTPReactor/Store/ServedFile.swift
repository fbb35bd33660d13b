internal import CLinux
internal import TFTPStore

extension clinux_status {
    /// Why a file is not served; nil for a regular one that every user of this host may read, or any
    /// regular one where that is configured.
    func refusal(_ configuration: ReactorConfiguration) -> StoreFailure? {
        guard is_regular else { return .forbidden }
        return is_public || configuration.servesUnreadable ? nil : .notPublic
    }
}
