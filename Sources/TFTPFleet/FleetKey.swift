/// Where a node stands: which hall and rack of which fleet. The narrowest that something is said
/// for wins.
package struct FleetPlace: Hashable, Sendable {
    package var fleet: String
    package var hall: String
    package var rack: String
    /// A word that names the node among all of the fleet, also after a restart.
    package var node: String

    /// See the properties; each is 1 to 64 letters, digits and `._-`.
    package init(fleet: String, hall: String, rack: String, node: String) {
        (self.fleet, self.hall, self.rack, self.node) = (fleet, hall, rack, node)
    }

    /// Where the node is registered.
    package var key: FleetKey { .node(hall: hall, rack: rack, node: node) }

    /// The scopes that this node belongs to, the narrowest first.
    package var scopes: [FleetScope] {
        [.node(node), .rack(hall: hall, rack: rack), .hall(hall), .fleet]
    }

    /// Whether a name may be a part of a key.
    package static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// The nodes that an order is for.
package enum FleetScope: Hashable, Sendable, CustomStringConvertible {
    case fleet
    case hall(String)
    case rack(hall: String, rack: String)
    case node(String)

    /// Reads `fleet`, `hall/H`, `rack/H/R` or `node/N`.
    package init?(_ text: some StringProtocol) {
        let words = String(text).split(separator: "/", omittingEmptySubsequences: false)
            .map(String.init)
        guard words.dropFirst().allSatisfy(FleetPlace.isName) else { return nil }
        switch (words.first, words.count) {
        case ("fleet", 1): self = .fleet
        case ("hall", 2): self = .hall(words[1])
        case ("rack", 3): self = .rack(hall: words[1], rack: words[2])
        case ("node", 2): self = .node(words[1])
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .fleet: "fleet"
        case .hall(let hall): "hall/\(hall)"
        case .rack(let hall, let rack): "rack/\(hall)/\(rack)"
        case .node(let node): "node/\(node)"
        }
    }
}

/// The keys of a fleet, below `/bootstorm/1/FLEET/`.
package enum FleetKey: Hashable, Sendable, CustomStringConvertible {
    /// A node, under a lease.
    case node(hall: String, rack: String, node: String)
    /// What a scope serves.
    case current(FleetScope)
    /// What a scope fetches without serving it.
    case stage(FleetScope)
    /// What was served when, by the time and scope.
    case history(String)
    /// What a node is told to do.
    case order(String)

    /// Reads what stands behind the fleet's name.
    package init?(_ text: some StringProtocol) {
        let parts = String(text).split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        switch parts[0] {
        case "nodes":
            let words = parts[1].split(separator: "/").map(String.init)
            guard words.count == 3 else { return nil }
            self = .node(hall: words[0], rack: words[1], node: words[2])
        case "current":
            guard let scope = FleetScope(parts[1]) else { return nil }
            self = .current(scope)
        case "stage":
            guard let scope = FleetScope(parts[1]) else { return nil }
            self = .stage(scope)
        case "history": self = .history(parts[1])
        case "order": self = .order(parts[1])
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .node(let hall, let rack, let node): "nodes/\(hall)/\(rack)/\(node)"
        case .current(let scope): "current/\(scope)"
        case .stage(let scope): "stage/\(scope)"
        case .history(let text): "history/\(text)"
        case .order(let node): "order/\(node)"
        }
    }
}
