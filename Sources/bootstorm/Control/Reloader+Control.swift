extension Reloader {
    /// Reads the configuration again for a request over the control socket; returns the result in
    /// one line.
    ///
    /// - Throws: `ControlError.refused` with the reasons when the old configuration stays.
    static func reloadForControl(_ reloader: Reloader?) async throws -> String {
        guard let reloader else {
            throw ControlError.refused("this server has no configuration to read again")
        }
        switch await reloader.reload() {
        case .success(let outcome):
            let keys = outcome.applied.joined(separator: ", ")
            let applied = keys.isEmpty ? "nothing has changed" : "applied: \(keys)"
            return ([applied] + outcome.needsRestart).joined(separator: "; ")
        case .failure(let refusal):
            throw ControlError.refused(
                "the old configuration stays: \(refusal.lines.joined(separator: "; "))")
        }
    }
}
