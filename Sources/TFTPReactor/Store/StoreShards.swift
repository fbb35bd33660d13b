internal import TFTPServing

/// The shards, as the store sees them: what they are answered, and whether each has been round.
struct StoreShards {
    let links: [ShardLink]
    /// Those that were answered since they were last woken.
    private var toRing: Set<Int> = []
    /// What each one's turn count was when the grace began; empty when none is under way.
    private var graceTurnCounts: [UInt64] = []

    init(_ links: [ShardLink]) { self.links = links }

    mutating func reply(_ reply: StoreReply, _ shard: Int) {
        // Twice as many places as a shard can have questions open.
        let isPut = links[shard].fromStore.put(reply)
        assert(isPut)
        toRing.insert(shard)
    }

    mutating func ring() {
        for shard in toRing { links[shard].ring() }
        toRing.removeAll(keepingCapacity: true)
    }

    // MARK: Grace

    var isInGrace: Bool { !graceTurnCounts.isEmpty }

    mutating func beginGrace() {
        assert(!isInGrace)
        graceTurnCounts = links.map(\.turnCount)
        // A sleeping shard comes round only when it is woken.
        for link in links { link.ring() }
    }

    /// Ends the grace once every shard has been round or has ended.
    ///
    /// - Parameter isForced: it ends all the same.
    /// - Returns: whether one has ended.
    mutating func endGrace(isForced: Bool) -> Bool {
        guard isInGrace else { return false }
        let isOver = zip(links, graceTurnCounts).allSatisfy { link, before in
            let count = link.turnCount
            return count != before || count == ShardLink.ended
        }
        guard isOver || isForced else { return false }
        graceTurnCounts = []
        return true
    }
}
