internal import CLinux

extension clinux_status {
    /// Whether a file is served: a regular one that is world-readable, or any regular file if so
    /// configured.
    func isServed(_ configuration: ReactorConfiguration) -> Bool {
        is_regular && (is_public || configuration.servesUnreadable)
    }
}
