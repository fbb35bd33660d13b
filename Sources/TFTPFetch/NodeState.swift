/// What a node reports of itself, so that other nodes know which names it does not have:
///
///     bootstorm state 1
///     node 9f3a06c2d417be55
///     origins 7d1c40e2aa91b035
///     names 17 2
///     name 30e14955ebf13522
///     name a41755b6cddfaf10
///     arriving 5f70bf18a0860070
///
/// `names` is how often its names have changed, and how many there are; a few are listed by their
/// hashes, and for many there is a `NameFilter`. If it reports neither, it has to be queried for
/// each name. Lines of other kinds are ignored.
package struct NodeState: Equatable, Sendable {
    package var node: NodeID
    package var origins: OriginsID
    /// Of its folder's names; nil where it does not know them all.
    package var names: Names?
    /// Hashes of names that arrive, or have; nil where these are more than it says.
    package var arriving: Set<UInt64>?
    /// Its names are those of its current snapshot, and it may have others.
    package var hasSnapshots = false

    /// The names of a folder.
    package struct Names: Equatable, Sendable {
        package var revision: Int
        package var count: Int
        /// All of them by their hashes, where these are few.
        package var hashes: Set<UInt64>?

        /// See the properties.
        package init(revision: Int, count: Int, hashes: Set<UInt64>?) {
            self.revision = revision
            self.count = count
            self.hashes = hashes
        }
    }

    package static let name = ".bootstorm/state"
    package static let filterName = ".bootstorm/names"
    package static let byteCountMax = 16 << 10
    /// So many hashes stand in a state.
    package static let hashesMax = 16
    private static let arrivingMax = 256
    private static let heading = "bootstorm state 1"

    /// A node that says nothing of its names yet.
    package init(node: NodeID, origins: OriginsID) {
        self.node = node
        self.origins = origins
    }

    /// Says which names arrive.
    package mutating func setArriving(_ names: some Collection<String>) {
        arriving =
            names.count > NodeState.arrivingMax
            ? nil : Set(names.map { NameFilter.hash(of: $0) })
    }

    /// Nil for what no node says.
    package init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == NodeState.heading else { return nil }
        var hashes: Set<UInt64> = []
        var isComplete = true
        var (node, origins): (NodeID?, OriginsID?)
        arriving = []
        for line in lines.dropFirst() {
            let words = line.split(separator: " ")
            guard words.count >= 2 else { return nil }
            switch words[0] {
            case "node": node = NodeID(words[1])
            case "origins": origins = OriginsID(words[1])
            case "snapshots": hasSnapshots = words[1] == "yes"
            case "names" where words.count == 3:
                names = Int(words[1]).flatMap { revision in
                    Int(words[2]).map { Names(revision: revision, count: $0, hashes: nil) }
                }
            case "name": UInt64(words[1], radix: 16).map { _ = hashes.insert($0) }
            case "arriving":
                guard let hash = UInt64(words[1], radix: 16) else {
                    isComplete = false
                    continue
                }
                arriving?.insert(hash)
            default: break
            }
        }
        guard let node, let origins else { return nil }
        (self.node, self.origins) = (node, origins)
        if !isComplete { arriving = nil }
        if names?.count == hashes.count { names?.hashes = hashes }
    }

    /// As it is sent.
    package var text: String {
        var text = "\(NodeState.heading)\nnode \(node)\norigins \(origins)\n"
        if hasSnapshots { text += "snapshots yes\n" }
        if let names {
            text += "names \(names.revision) \(names.count)\n"
            for hash in (names.hashes ?? []).sorted() { text += "name \(hex(hash))\n" }
        }
        guard let arriving else { return text + "arriving many\n" }
        for hash in arriving.sorted() { text += "arriving \(hex(hash))\n" }
        return text
    }

    private func hex(_ value: UInt64) -> String { String(value, radix: 16) }
}

/// What is known of a peer's names, and since when.
package struct NameKnowledge: Equatable, Sendable {
    /// How long a peer's word holds.
    package static let freshDuration = Duration.seconds(2)

    private var state: NodeState?
    /// Of `filterRevision`.
    private var filter: NameFilter?
    private var filterRevision: Int?

    /// Of one that has said nothing.
    package init() {}

    /// What a peer has, as far as its names tell.
    package enum Word: Equatable, Sendable {
        /// It has to be asked for this name.
        case mayHave
        /// It has not got it; and what else there is to say of the node.
        case hasNot(Offer)
    }

    package mutating func set(_ state: NodeState) { self.state = state }

    package mutating func set(_ filter: NameFilter, revision: Int) {
        self.filter = filter
        filterRevision = revision
    }

    /// Which revision of its names is needed before anything can be concluded from them; nil for
    /// none.
    package var wantedRevision: Int? {
        guard let names = state?.names, names.hashes == nil, names.revision != filterRevision
        else { return nil }
        return names.revision
    }

    /// - Parameter name: as the peer is asked for it.
    package func word(on name: String) -> Word {
        guard let state, let names = state.names, let arriving = state.arriving,
            !(state.hasSnapshots && name.hasPrefix("sets/"))
        else { return .mayHave }
        let hash = NameFilter.hash(of: name)
        let isHeld: Bool
        if let hashes = names.hashes {
            isHeld = hashes.contains(hash)
        } else {
            guard filterRevision == names.revision, let filter else { return .mayHave }
            isHeld = filter.mayContain(hash)
        }
        guard !isHeld, !arriving.contains(hash) else { return .mayHave }
        var offer = Offer(node: state.node, state: .absent)
        offer.origins = state.origins
        return .hasNot(offer)
    }
}
