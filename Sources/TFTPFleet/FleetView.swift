/// What a node knows of its fleet: everything that it decides by. The engine only changes it, and
/// nothing waits for that.
///
/// A value without a clock, a socket or a file.
package struct FleetView: Equatable, Sendable {
    /// A value, and when it was written.
    package struct Entry: Equatable, Sendable {
        package var text: String
        /// Of the engine: later changes have greater ones.
        package var revision: Int64

        /// See the properties.
        package init(text: String, revision: Int64) {
            self.text = text
            self.revision = revision
        }
    }

    package let place: FleetPlace
    package private(set) var entries: [FleetKey: Entry] = [:]
    /// Of the last change.
    package private(set) var revision: Int64 = 0
    /// Whether the engine is heard; nil before it has been for the first time.
    package private(set) var isConnected: Bool?
    /// When it was heard last.
    package private(set) var heardAt: Duration?
    /// What this node was told to serve last. It stays when the engine is gone, wiped or wrong.
    package private(set) var accepted: CurrentSet?
    /// Values that could not be read, by their keys.
    package private(set) var refused: Set<FleetKey> = []
    /// What the engine says and this node does not accept, because it is older than what it has
    /// accepted; nil for nothing.
    package private(set) var outdated: CurrentSet?

    /// - Parameter accepted: what the node was told to serve last, before it was started.
    package init(place: FleetPlace, accepted: CurrentSet? = nil) {
        self.place = place
        self.accepted = accepted
    }

    /// Takes what the engine says.
    ///
    /// - Parameter now: of a clock that only goes forward.
    /// - Returns: whether this node is to serve something else from now on.
    @discardableResult
    package mutating func apply(_ change: FleetChange, now: Duration) -> Bool {
        switch change {
        case .all(let entries, let revision):
            self.entries = entries
            self.revision = revision
            hear(now)
        case .stale(let entries, let revision):
            self.entries = entries
            self.revision = revision
            isConnected = false
            return accept(isHeard: true)
        case .put(let key, let entry):
            entries[key] = entry
            revision = max(revision, entry.revision)
            hear(now)
        case .gone(let key, let revision):
            entries[key] = nil
            self.revision = max(self.revision, revision)
            hear(now)
        case .away: isConnected = false
        }
        return accept(isHeard: isConnected == true)
    }

    private mutating func hear(_ now: Duration) {
        isConnected = true
        heardAt = now
    }

    /// What the narrowest scope of this node that says anything says; nil where none does.
    package var current: (scope: FleetScope, set: CurrentSet)? {
        for scope in place.scopes {
            guard let entry = entries[.current(scope)],
                let set = FleetValue.read(CurrentSet.self, entry.text)
            else { continue }
            return (scope, set)
        }
        return nil
    }

    /// A word that is older than the one that was accepted comes from an engine that was restored,
    /// and changes nothing.
    private mutating func accept(isHeard: Bool) -> Bool {
        refused = Set(
            place.scopes.map { FleetKey.current($0) }.filter { key in
                entries[key].map { FleetValue.read(CurrentSet.self, $0.text) == nil } ?? false
            })
        guard isHeard, let new = current?.set, new != accepted else {
            outdated = nil
            return false
        }
        guard new.at >= accepted?.at ?? .min else {
            outdated = new
            return false
        }
        outdated = nil
        let isOther = new.set != accepted?.set
        accepted = new
        return isOther
    }

    /// What this node is to fetch, the narrowest scope first.
    package var staged: [String] {
        place.scopes.compactMap { scope in
            entries[.stage(scope)].flatMap { FleetValue.read(StagedSet.self, $0.text)?.set }
        }
    }

    /// Whether this node is to take no new clients.
    package var isDraining: Bool {
        entries[.order(place.node)].flatMap { FleetValue.read(NodeOrder.self, $0.text)?.isDraining }
            ?? false
    }

    /// The nodes that the engine knows to be there.
    package var nodes: [(hall: String, rack: String, node: String, report: NodeReport)] {
        entries.compactMap { key, entry in
            guard case .node(let hall, let rack, let node) = key,
                let report = FleetValue.read(NodeReport.self, entry.text)
            else { return nil }
            return (hall, rack, node, report)
        }.sorted { ($0.hall, $0.rack, $0.node) < ($1.hall, $1.rack, $1.node) }
    }
}

/// What an engine says.
package enum FleetChange: Equatable, Sendable {
    /// All that there is, as of a revision.
    case all([FleetKey: FleetView.Entry], Int64)
    /// The same as one member knows it that may be cut off from the others: the engine is not heard
    /// by that.
    case stale([FleetKey: FleetView.Entry], Int64)
    case put(FleetKey, FleetView.Entry)
    case gone(FleetKey, Int64)
    /// The engine is unreachable; `all` follows when it is back.
    case away(String)
}
