internal import ArgumentParser
internal import Logging
internal import Synchronization
internal import TFTPServer

/// Applies a changed configuration to a running server.
///
/// `reload` is the one entry point for SIGHUP, `systemctl reload` and `bootstorm reload`. It never
/// ends a transfer: what is refused leaves the old configuration in force.
final class Reloader: Sendable {
    private let launch: ServeLaunch
    /// What the server was started with; what needs a restart is compared with it.
    private let started: ServeLaunch.Loaded
    private let server: TFTPServer
    private let logger: Logger
    /// What is in force; nil while a reload is under way.
    private let current: Mutex<ServeLaunch.Loaded?>

    /// What a reload has done.
    struct Outcome: Equatable, Sendable {
        /// Keys that have another value from now on.
        var applied: [String] = []
        /// One line for each key that differs from what the server was started with and needs a
        /// restart.
        var needsRestart: [String] = []
    }

    /// Why the old configuration stays: one line for each error.
    struct Refusal: Error, Equatable, Sendable {
        let lines: [String]
    }

    init(launch: ServeLaunch, loaded: ServeLaunch.Loaded, server: TFTPServer, logger: Logger) {
        self.launch = launch
        self.server = server
        self.logger = logger
        started = loaded
        current = Mutex(loaded)
    }

    /// Names variables of the environment that set nothing.
    func warnOfUnknownVariables() {
        for name in started.unknownVariables {
            logger.warning("\(name): no such setting; ignored")
        }
    }

    /// Reads the configuration again and applies it, and logs what came of it. Refused while
    /// another reload is under way.
    @discardableResult
    func reload() async -> Result<Outcome, Refusal> {
        guard let old = current.withLock({ $0.take() }) else {
            let refusal = Refusal(lines: ["another reload is under way"])
            logger.error("not reloaded: \(refusal.lines[0])")
            return .failure(refusal)
        }
        do {
            let (serve, next) = try launch.parse()
            try await server.update(try next.configuration(of: serve))
            LogLevel.configure(serve.logLevel)
            current.withLock { $0 = next }
            return .success(tell(old, next, readAgain: serve.names.files.map(\.key)))
        } catch {
            current.withLock { $0 = old }
            return .failure(refuse(error))
        }
    }

    private func refuse(_ error: any Error) -> Refusal {
        let lines =
            (error as? ConfigurationErrors)?.all.map(\.description)
            ?? [Bootstorm.message(for: error)]
        for line in lines { logger.error("not reloaded: \(line)") }
        return Refusal(lines: lines)
    }

    /// Compares what was with what is, and logs it.
    ///
    /// - Parameter readAgain: keys of files whose content may be another under the same name.
    private func tell(
        _ old: ServeLaunch.Loaded, _ next: ServeLaunch.Loaded, readAgain: [String]
    ) -> Outcome {
        var outcome = Outcome()
        outcome.applied = changedKeys(from: old, to: next, .atReload)
        outcome.applied += readAgain.filter { !outcome.applied.contains($0) }
        if old.file?.policies != next.file?.policies { outcome.applied.append("policies") }
        outcome.needsRestart = changedKeys(from: started, to: next, .atRestart).map { key in
            let source = next.settings.source(of: key) ?? started.settings.source(of: key)
            return source.map { "\($0): \(key) needs a restart" } ?? "\(key) needs a restart"
        }
        let changes = outcome.applied.joined(separator: ", ")
        logger.notice("configuration reloaded: \(changes.isEmpty ? "no change" : changes)")
        for line in outcome.needsRestart { logger.warning("\(line)") }
        return outcome
    }

    private func changedKeys(
        from old: ServeLaunch.Loaded, to next: ServeLaunch.Loaded, _ effect: Setting.Effect
    ) -> [String] {
        launch.arguments.changedKeys(from: old.settings, to: next.settings).filter { key in
            // The first root stays open; those that are searched behind it may change.
            let keepsRoot =
                key == "root"
                && old.settings.texts(of: key)?.first == next.settings.texts(of: key)?.first
            return (keepsRoot ? .atReload : Setting.named(key)?.effect) == effect
        }
    }
}
