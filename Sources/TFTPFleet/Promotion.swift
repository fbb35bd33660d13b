/// Changes to what a fleet serves, made from a read of it. Each succeeds only if no other change
/// came in between.
package enum Promotion {
    /// Why something cannot be changed as it was asked for.
    package enum Refusal: Error, Equatable, CustomStringConvertible {
        /// Fewer nodes than wanted have the set.
        case notReady(readyCount: Int, nodeCount: Int)
        case nothingBefore(FleetScope)
        /// Another set is served there than the one to go back from.
        case otherSet(String)
        case noSuchSet(FleetScope)

        /// One line.
        package var description: String {
            switch self {
            case .notReady(let ready, let count): "\(ready) of \(count) nodes have the set"
            case .nothingBefore(let scope): "nothing was served by \(scope) before"
            case .otherSet(let set): "'\(set)' is served there by now"
            case .noSuchSet(let scope): "nothing is said for \(scope)"
            }
        }
    }

    /// Has `scope` serve `set`. Narrower scopes that serve the same lose their own word; a canary
    /// that has become the rule needs none.
    ///
    /// - Parameter atLeast: the share of the scope's nodes that must have the set, 0 to 1.
    package static func promote(
        _ set: String, to scope: FleetScope, by who: String, at seconds: Int, reason: String?,
        atLeast: Double, in entries: [FleetKey: FleetView.Entry]
    ) throws(Refusal) -> GuardedChange {
        let nodes = self.nodes(of: scope, in: entries)
        let readyCount = nodes.count { $0.serving == set || $0.ready.contains(set) }
        guard Double(readyCount) >= atLeast * Double(nodes.count) else {
            throw .notReady(readyCount: readyCount, nodeCount: nodes.count)
        }
        let old = current(scope, in: entries)
        var change = GuardedChange()
        let new = CurrentSet(
            set: set, previous: old?.set ?? inherited(scope, in: entries), by: who,
            at: max(seconds, (old?.at ?? 0) + 1),
            reason: reason)
        put(new, scope, entries, &change)
        for (key, entry) in entries {
            guard case .current(let other) = key, other.isBelow(scope),
                FleetValue.read(CurrentSet.self, entry.text)?.set == set
            else { continue }
            change.compares[key] = entry.revision
            change.deletes.append(key)
        }
        return change
    }

    /// Has `scope` serve what it served before.
    ///
    /// - Parameter bad: what is to be served there now; nil for whatever is.
    package static func rollBack(
        _ scope: FleetScope, from bad: String?, by who: String, at seconds: Int, reason: String?,
        in entries: [FleetKey: FleetView.Entry]
    ) throws(Refusal) -> GuardedChange {
        guard let old = current(scope, in: entries) else { throw .noSuchSet(scope) }
        if let bad, old.set != bad { throw .otherSet(old.set) }
        guard let previous = old.previous else { throw .nothingBefore(scope) }
        var change = GuardedChange()
        let new = CurrentSet(
            set: previous, previous: old.set, by: who, at: max(seconds, old.at + 1), reason: reason)
        put(new, scope, entries, &change)
        return change
    }

    private static func put(
        _ new: CurrentSet, _ scope: FleetScope, _ entries: [FleetKey: FleetView.Entry],
        _ change: inout GuardedChange
    ) {
        let key = FleetKey.current(scope)
        let text = FleetValue.text(new)
        change.compares[key] = entries[key]?.revision ?? 0
        change.puts[key] = text
        change.puts[.history("\(new.at)/\(scope)")] = text
    }

    private static func current(
        _ scope: FleetScope, in entries: [FleetKey: FleetView.Entry]
    ) -> CurrentSet? {
        entries[.current(scope)].flatMap { FleetValue.read(CurrentSet.self, $0.text) }
    }

    /// What a scope without an order of its own serves by those of wider ones.
    private static func inherited(
        _ scope: FleetScope, in entries: [FleetKey: FleetView.Entry]
    ) -> String? {
        var wider: [FleetScope] = []
        if case .rack(let hall, _) = scope { wider.append(.hall(hall)) }
        if scope != .fleet { wider.append(.fleet) }
        return wider.lazy.compactMap { current($0, in: entries)?.set }.first
    }

    private static func nodes(
        of scope: FleetScope, in entries: [FleetKey: FleetView.Entry]
    ) -> [NodeReport] {
        entries.compactMap { key, entry in
            guard case .node(let hall, let rack, let node) = key,
                FleetScope.node(node).isBelow(scope, hall: hall, rack: rack)
            else { return nil }
            return FleetValue.read(NodeReport.self, entry.text)
        }
    }
}

extension FleetScope {
    /// Whether it is narrower than `other` and within it, as far as its text tells.
    func isBelow(_ other: FleetScope) -> Bool {
        switch (self, other) {
        case (.fleet, _): false
        case (_, .fleet): true
        case (.rack(let hall, _), .hall(let otherHall)): hall == otherHall
        default: false
        }
    }

    /// Whether a node belongs to `scope`.
    func isBelow(_ scope: FleetScope, hall: String, rack: String) -> Bool {
        switch scope {
        case .fleet: true
        case .hall(let name): name == hall
        case .rack(let otherHall, let otherRack): otherHall == hall && otherRack == rack
        case .node: self == scope
        }
    }
}
