internal import CLinux

extension clinux_status {
    /// Whether a file is served: a regular one that everybody on this host may read, or any where
    /// that is configured.
    func isServed(_ configuration: ReactorConfiguration) -> Bool {
        is_regular && (is_public || configuration.servesUnreadable)
    }
}
