/// Changes of what a fleet serves, made from what was read of it: each happens only if the same has
/// not changed meanwhile.
package enum Promotion {
    /// Why something cannot be changed as it was asked for.
    package enum Refusal: Error, Equatable, CustomStringConvertible {
        /// Fewer nodes than wanted have the set.
        case notReady(readyCount: Int, nodeCount: Int)
        /// No node of the scope is registered, so none is known to have the set.
        case noNodes(FleetScope)
        case nothingBefore(FleetScope)
        /// Another set is served there than the one to go back from.
        case otherSet(String)
        case noSuchSet(FleetScope)
        /// A word of the fleet has the last time that there is.
        case noTimeLeft
        /// No node of that name is registered.
        case noSuchNode(String)

        /// One line.
        package var description: String {
            switch self {
            case .notReady(let ready, let count): "\(ready) of \(count) nodes have the set"
            case .noNodes(let scope): "no node of \(scope) is registered"
            case .nothingBefore(let scope): "nothing was served by \(scope) before"
            case .otherSet(let set): "'\(set)' is served there by now"
            case .noSuchSet(let scope): "nothing is said for \(scope)"
            case .noTimeLeft: "a word of the fleet is dated at the end of time: delete its key"
            case .noSuchNode(let node): "no node '\(node)' is registered"
            }
        }
    }

    private typealias Entries = [FleetKey: FleetView.Entry]

    /// Has `scope` serve `set`. Narrower scopes that serve the same lose their own word; a canary
    /// that has become the rule needs none.
    ///
    /// - Parameter atLeast: the share of the scope's nodes that must have the set, 0 to 1.
    package static func promote(
        _ set: String, to scope: FleetScope, by who: String, at seconds: Int, reason: String?,
        atLeast: Double, in entries: [FleetKey: FleetView.Entry]
    ) throws(Refusal) -> GuardedChange {
        let (readyCount, nodeCount) = readyCount(set, scope, in: entries)
        guard atLeast <= 0 || nodeCount > 0 else { throw .noNodes(scope) }
        guard Double(readyCount) >= atLeast * Double(nodeCount) else {
            throw .notReady(readyCount: readyCount, nodeCount: nodeCount)
        }
        let old = current(scope, in: entries)
        // A set that is promoted again is not what was served before it.
        let before = old.map { $0.set == set ? $0.previous : $0.set }
        var change = GuardedChange()
        let new = CurrentSet(
            set: set, previous: before ?? inherited(scope, in: entries)?.word.set, by: who,
            at: try later(than: entries, seconds), reason: reason)
        put(new, scope, entries, &change)
        for (key, entry) in entries {
            guard case .current(let other) = key, isBelow(other, scope, in: entries),
                FleetValue.read(CurrentSet.self, entry.text)?.set == set
            else { continue }
            change.compares[key] = entry.revision
            change.deletes.append(key)
        }
        return change
    }

    /// How many of the scope's nodes have a set, and how many there are.
    package static func readyCount(
        _ set: String, _ scope: FleetScope, in entries: [FleetKey: FleetView.Entry]
    ) -> (ready: Int, nodes: Int) {
        let nodes = self.nodes(of: scope, in: entries)
        return (nodes.count { $0.serving == set || $0.ready.contains(set) }, nodes.count)
    }

    /// Has a node take no new clients, or take them again.
    package static func drain(
        _ node: String, isDraining: Bool, in entries: [FleetKey: FleetView.Entry]
    ) throws(Refusal) -> GuardedChange {
        let order = FleetKey.order(node)
        // A node that has gone while it was drained is put back before it returns.
        guard nodes(of: .node(node), in: entries).count > 0 || !isDraining && entries[order] != nil
        else { throw .noSuchNode(node) }
        var change = GuardedChange()
        change.puts[order] = FleetValue.text(NodeOrder(isDraining: isDraining))
        return change
    }

    /// Has `scope` serve what it served before. If that is what it inherits from a wider scope, it
    /// loses its own word, and follows that one from then on.
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
            set: previous, previous: old.set, by: who, at: try later(than: entries, seconds),
            reason: reason)
        put(new, scope, entries, &change)
        guard let wider = inherited(scope, in: entries), wider.word.set == previous else {
            return change
        }
        change.puts[.current(scope)] = nil
        change.deletes.append(.current(scope))
        // Nodes accept no older word than that of the scope which goes.
        var word = wider.word
        word.at = new.at
        change.compares[.current(wider.scope)] = entries[.current(wider.scope)]?.revision ?? 0
        change.puts[.current(wider.scope)] = FleetValue.text(word)
        return change
    }

    /// A time after all that have been said for any scope, and not before `seconds`.
    private static func later(than entries: Entries, _ seconds: Int) throws(Refusal) -> Int {
        let times = entries.compactMap { key, entry -> Int? in
            guard case .current = key else { return nil }
            return FleetValue.read(CurrentSet.self, entry.text)?.at
        }
        let time = max(seconds, times.max().map { $0 + 1 } ?? 0)
        guard CurrentSet.atRange.contains(time) else { throw .noTimeLeft }
        return time
    }

    private static func put(
        _ new: CurrentSet, _ scope: FleetScope, _ entries: Entries, _ change: inout GuardedChange
    ) {
        let key = FleetKey.current(scope)
        let text = FleetValue.text(new)
        change.compares[key] = entries[key]?.revision ?? 0
        change.puts[key] = text
        change.puts[.history("\(new.at)/\(scope)")] = text
    }

    private static func current(_ scope: FleetScope, in entries: Entries) -> CurrentSet? {
        entries[.current(scope)].flatMap { FleetValue.read(CurrentSet.self, $0.text) }
    }

    /// What a scope without an order of its own serves, by the narrowest of the wider scopes that
    /// has one.
    private static func inherited(
        _ scope: FleetScope, in entries: Entries
    ) -> (scope: FleetScope, word: CurrentSet)? {
        wider(than: scope, in: entries).lazy.compactMap { wider in
            current(wider, in: entries).map { (wider, $0) }
        }.first
    }

    /// The scopes that contain `scope`, the narrowest first. Where a node stands is known while it
    /// is registered.
    private static func wider(than scope: FleetScope, in entries: Entries) -> [FleetScope] {
        switch scope {
        case .fleet: return []
        case .hall: return [.fleet]
        case .rack(let hall, _): return [.hall(hall), .fleet]
        case .node(let name):
            for key in entries.keys {
                guard case .node(let hall, let rack, name) = key else { continue }
                return [.rack(hall: hall, rack: rack), .hall(hall), .fleet]
            }
            return [.fleet]
        }
    }

    private static func isBelow(
        _ scope: FleetScope, _ other: FleetScope, in entries: Entries
    ) -> Bool { wider(than: scope, in: entries).contains(other) }

    private static func nodes(of scope: FleetScope, in entries: Entries) -> [NodeReport] {
        entries.compactMap { key, entry in
            guard case .node(let hall, let rack, let node) = key,
                scope.contains(hall: hall, rack: rack, node: node)
            else { return nil }
            return FleetValue.read(NodeReport.self, entry.text)
        }
    }
}

extension FleetScope {
    /// Whether a node belongs to it.
    fileprivate func contains(hall: String, rack: String, node: String) -> Bool {
        switch self {
        case .fleet: true
        case .hall(let name): name == hall
        case .rack(let otherHall, let otherRack): otherHall == hall && otherRack == rack
        case .node(let name): name == node
        }
    }
}
