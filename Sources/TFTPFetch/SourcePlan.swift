/// What a peer has said, by the peer's number.
package typealias PeerAnswer = (peer: Int, answer: SourcePlan.Answer)

/// Where to get a file, decided from the peers' answers.
///
/// A value without a clock or a socket. Peers are numbers, as the node counts them.
package struct SourcePlan: Equatable, Sendable {
    /// What a peer said.
    package enum Answer: Equatable, Sendable {
        case node(Offer)
        /// A plain TFTP server, not a node, has the file.
        case plain(FileVersion)
    }

    /// A node that looks for the file when no node has it.
    package enum Seeker: Equatable, Sendable {
        case peer(Int)
        case thisNode

        /// By its number; nil for this node.
        package var peer: Int? {
            guard case .peer(let peer) = self else { return nil }
            return peer
        }
    }

    /// A peer that has the file, or will have.
    package enum Source: Hashable, Sendable {
        /// Under its own name.
        case folder(Int)
        /// From a source of its own.
        case arriving(Int)

        /// By its number.
        package var peer: Int {
            switch self {
            case .folder(let peer), .arriving(let peer): peer
            }
        }
    }

    /// The sources to fetch from, in this order; all of them announce the same content. Either all
    /// of them hold the file in a folder, or none: a transfer that began at a folder must not
    /// continue at a node that may itself fetch from this node.
    package private(set) var sources: [Source] = []
    /// Whether the sources wait for no other node.
    package var isRooted: Bool {
        if case .folder = sources.first { true } else { false }
    }

    /// Of what the sources have.
    package private(set) var version: FileVersion?
    /// Of its manifest, if one of the sources knows it.
    package private(set) var root: Digest?
    /// When the sources' file was last written to, as the first of them says.
    package private(set) var modifiedSeconds: Int?
    /// Peers with other content under that name in their folders.
    package private(set) var dissenters: [Int] = []
    /// If there is no source: the nodes that may look for it, the best first, among them this one.
    package private(set) var seekers: [Seeker] = []
    /// Nodes that get the file from a node that fetches it, and look for it only if no other node
    /// can. In the same order.
    package private(set) var waiters: [Int] = []

    /// - Parameters:
    ///   - answers: by peer, the quickest first.
    ///   - mayWait: whether a node may be a source that fetches the file itself.
    ///   - byteCount: bytes of the file that this node has.
    ///   - isDated: only a peer that announces the same time has the same content, because that is
    ///     compared with what has been signed.
    package init(
        name: String, node: NodeID, answers: [(peer: Int, answer: Answer)], mayWait: Bool = true,
        byteCount: UInt64 = 0, isDated: Bool = false
    ) {
        let answers = SourcePlan.once(answers)
        // A node that holds the file comes before plain servers, and these before a node that still
        // fetches it.
        for rank in [Rank.holds, .plain, .arriving] where mayWait || rank != .arriving {
            let groups = SourcePlan.groups(
                of: rank, in: answers, except: node, hasBegun: byteCount > 0, isDated: isDated)
            guard let best = SourcePlan.best(of: groups) else { continue }
            version = best.version
            root = best.root
            modifiedSeconds = best.modifiedSeconds
            sources = best.peers.map { rank == .arriving ? .arriving($0) : .folder($0) }
            dissenters = rank == .holds ? groups.flatMap { $0 == best ? [] : $0.peers } : []
            return
        }
        let others = answers.compactMap { peer, answer -> Candidate? in
            guard case .node(let offer) = answer, offer.node != node else { return nil }
            return Candidate(name, .peer(peer), offer)
        }
        let this = Candidate(
            seeker: .thisNode, byteCount: byteCount, weight: node.weight(for: name))
        seekers = (others.filter { !$0.isWaiting } + [this]).sorted(by: >).map(\.seeker)
        waiters = others.filter(\.isWaiting).sorted(by: >).compactMap(\.seeker.peer)
    }

    /// A node that may look for the file. The greatest of a group does, and every node of the group
    /// finds the same one: a node that has begun to look; else the node that has most of the file,
    /// so that an origin sends only what is missing; else the greatest hash of its number and the
    /// name.
    fileprivate struct Candidate: Comparable {
        let seeker: Seeker
        var isWaiting = false
        var isLooking = false
        let byteCount: UInt64
        let weight: UInt64

        static func < (left: Candidate, right: Candidate) -> Bool {
            guard left.isLooking == right.isLooking else { return right.isLooking }
            return (left.byteCount, left.weight) < (right.byteCount, right.weight)
        }
    }

    /// A node that is known by two addresses is one.
    private static func once(
        _ answers: [(peer: Int, answer: Answer)]
    ) -> [(peer: Int, answer: Answer)] {
        var nodes: Set<NodeID> = []
        return answers.filter { answer in
            guard case .node(let offer) = answer.answer else { return true }
            return nodes.insert(offer.node).inserted
        }
    }

    // MARK: Groups

    private enum Rank {
        case holds
        case plain
        case arriving
    }

    /// Peers that have the same content.
    private struct Group: Equatable {
        var version: FileVersion
        var modifiedSeconds: Int?
        var root: Digest?
        var peers: [Int]

        /// By the digest, where both have been read; else by what tells versions apart.
        func isSame(as other: Group, isDated: Bool) -> Bool {
            guard !isDated || modifiedSeconds == other.modifiedSeconds else { return false }
            guard let root, let otherRoot = other.root else { return version == other.version }
            // The digest is only announced: a peer with another size does not have the same
            // content.
            return root == otherRoot && version.size == other.version.size
        }
    }

    private static func groups(
        of rank: Rank, in answers: [(peer: Int, answer: Answer)], except node: NodeID,
        hasBegun: Bool, isDated: Bool
    ) -> [Group] {
        var groups: [Group] = []
        for (peer, answer) in answers {
            guard let new = group(of: rank, answer, peer, except: node, hasBegun: hasBegun) else {
                continue
            }
            guard let index = groups.firstIndex(where: { $0.isSame(as: new, isDated: isDated) })
            else {
                groups.append(new)
                continue
            }
            groups[index].root = groups[index].root ?? new.root
            groups[index].peers += new.peers
        }
        return groups
    }

    private static func group(
        of rank: Rank, _ answer: Answer, _ peer: Int, except node: NodeID, hasBegun: Bool
    ) -> Group? {
        switch answer {
        case .node(let offer):
            let state: Offer.State = rank == .holds ? .holds : .arriving
            guard rank != .plain, offer.state == state, offer.node != node,
                let version = offer.version
            else { return nil }
            // A node with a part of the file would wait for a node that has none of it.
            if state == .arriving, hasBegun, offer.byteCount == 0 { return nil }
            return Group(
                version: version, modifiedSeconds: offer.modifiedSeconds, root: offer.root,
                peers: [peer])
        case .plain(let version):
            guard rank == .plain else { return nil }
            return Group(version: version, modifiedSeconds: nil, root: nil, peers: [peer])
        }
    }

    /// What more than half of three or more have; else the newest; else what came first. A single
    /// disk that has changed does not outvote the others, and a new version does once it has
    /// spread.
    private static func best(of groups: [Group]) -> Group? {
        let count = groups.reduce(0) { $0 + $1.peers.count }
        if count >= 3, let most = groups.first(where: { 2 * $0.peers.count > count }) {
            return most
        }
        var best = groups.first
        for group in groups.dropFirst() {
            if (group.modifiedSeconds ?? .min) > (best?.modifiedSeconds ?? .min) { best = group }
        }
        return best
    }
}

extension SourcePlan.Candidate {
    fileprivate init(_ name: String, _ seeker: SourcePlan.Seeker, _ offer: Offer) {
        self.init(
            seeker: seeker, isWaiting: offer.pursuit == .waiting,
            isLooking: offer.pursuit == .looking, byteCount: offer.byteCount,
            weight: offer.node.weight(for: name))
    }
}
