/// What keeps a fleet's state: membership by leases, values that are watched, changes that happen
/// only if nothing else has.
package protocol FleetEngine: Sendable {
    /// Everything of the fleet that a node has to know, and then the changes, until the task that
    /// reads it is cancelled. A lost connection is reported as `.away`, followed by `.all` once it
    /// is back.
    func changes(for place: FleetPlace) -> AsyncStream<FleetChange>

    /// Says under a lease what a node reports; the word goes when the node does.
    ///
    /// - Parameter isMissing: the engine has lost what was said before, so that it has to be said
    ///   again even if it has not changed.
    /// - Throws: `FleetFailure` where it could not be said now.
    func report(
        _ report: NodeReport, of place: FleetPlace, isMissing: Bool
    ) async throws(FleetFailure)

    /// All of the fleet, as of a revision.
    func read() async throws(FleetFailure) -> (
        entries: [FleetKey: FleetView.Entry], revision: Int64
    )

    /// Changes several values at once, if the compared ones still have the revisions that were
    /// read; nil stands for one that is not there.
    ///
    /// - Returns: false where they have not, and then nothing is changed.
    /// - Throws: `FleetFailure`; after `unclear` it may have been changed all the same. Nothing is
    ///   tried a second time, since the first may still come to pass.
    func change(_ change: GuardedChange) async throws(FleetFailure) -> Bool
}

/// Values to change at once.
package struct GuardedChange: Equatable, Sendable {
    /// What must not have changed since: revisions; 0 for a key that must not be there.
    package var compares: [FleetKey: Int64] = [:]
    package var puts: [FleetKey: String] = [:]
    package var deletes: [FleetKey] = []

    /// Nothing yet.
    package init() {}
}

/// Why an engine has not done what it was asked for.
package enum FleetFailure: Error, Equatable, CustomStringConvertible {
    /// No member answers; the last thing that was heard.
    case unreachable(String)
    /// It refuses: a role may not write there, or a token has run out.
    case denied(String)
    case invalid(String)
    /// The answer to a change has not come, and what is there now does not tell what became of it.
    case unclear(String)

    /// One line.
    package var description: String {
        switch self {
        case .unreachable(let text): "no member of etcd answers: \(text)"
        case .denied(let text): "etcd refuses: \(text)"
        case .invalid(let text): "the answer of etcd cannot be read: \(text)"
        case .unclear(let text):
            "it is not known whether the change was made; look before you repeat it: \(text)"
        }
    }
}
