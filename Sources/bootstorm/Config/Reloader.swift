internal import Logging

/// Applies a changed configuration to a running server.
///
/// `reload` is the one entry point for SIGHUP, `systemctl reload` and `bootstorm reload`. It never ends a
/// transfer: what is refused leaves the old configuration in force.
final class Reloader: Sendable {
    private let logger: Logger

    /// What a reload has done.
    enum Outcome: Equatable, Sendable {
        /// The server runs without a configuration file.
        case nothingToReload
    }

    /// Why the old configuration stays: one line for each error.
    struct Refusal: Error, Equatable, Sendable {
        let lines: [String]
    }

    init(logger: Logger) { self.logger = logger }

    /// Reads the configuration again and applies it, and logs what came of it.
    @discardableResult
    func reload() -> Result<Outcome, Refusal> {
        logger.notice("nothing to reload: the server runs without a configuration file")
        return .success(.nothingToReload)
    }
}
