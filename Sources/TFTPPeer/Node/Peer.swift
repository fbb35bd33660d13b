internal import TFTPClient
internal import TFTPFetch

/// What is known of a peer. (More than twelve properties: unlike facts, each with a time of its
/// own.)
struct Peer: Sendable {
    let server: TFTPClient.Server
    /// What stands before every name.
    var folder = ""
    /// It is asked only for what no peer has.
    var isOrigin = false
    /// The configuration names it, or DNS does for a name in there; any host can announce itself.
    var isNamed = false
    var kind = Kind.unknown
    /// Requests in a row that it did not answer.
    var silentCount = 0
    /// It is being asked whether it is back.
    var isProbed = false
    /// When that was begun last.
    var probedAt: ContinuousClock.Instant?
    /// Which names it has.
    var names = NameKnowledge()
    /// Until then it is not asked for them again.
    var namesHoldUntil: ContinuousClock.Instant?
    /// It does not seal, and is not asked before then whether it does by now: it writes a line
    /// about each question.
    var restsUntil: ContinuousClock.Instant?
    /// The log says already that it does not seal.
    var isNotedUnsealed = false
    /// It is a name, and all that it stands for are peers as well.
    var isLookedUp = false
    /// Which node has announced itself from there.
    var announcedID: NodeID?
    /// When it did so last.
    var announcedAt: ContinuousClock.Instant?
    /// The peer has been removed; its number may be reused.
    var isGone = false
    /// It has answered a query, so something may name it by its number.
    var hasAnswered = false
    /// Bytes that came from it.
    var byteCount: UInt64 = 0
    /// Chunks that were not what the manifest says.
    var badChunkCount = 0

    /// The words stand in a `PeerReport`.
    enum Kind: String, Sendable {
        case unknown
        case node
        /// A TFTP server that knows nothing of nodes.
        case plain
        /// It does not seal, or by other keys, and this node asks its peers under a seal: it is
        /// left out.
        case unsealed
        /// This node itself: a list for the whole group names it too.
        case thisNode
    }

    /// Whether it is known by announcements alone, and does not answer.
    var isUnproven: Bool {
        isAnnouncedOnly && (kind == .unknown || kind == .unsealed) && !isGone
    }
    /// Whether nothing but announcements speaks for it.
    var isAnnouncedOnly: Bool { announcedAt != nil && !isNamed }
    /// Whether the peer has stopped answering.
    var isSilent: Bool { silentCount >= 2 }
    /// Whether a search waits for this peer's answer.
    var isWaitedFor: Bool { !isSilent && kind != .unsealed }
}

/// Which peers are not believed, and about which names.
struct Distrust: Sendable {
    private var names: [String: [Int: ContinuousClock.Instant]] = [:]
    private static let namesMax = 4096

    mutating func add(_ peer: Int, _ name: String, until end: ContinuousClock.Instant) {
        if names.count >= Distrust.namesMax {
            let now = ContinuousClock.now
            names = names.filter { $0.value.contains { $0.value > now } }
        }
        names[name, default: [:]][peer] = end
    }

    func peers(_ name: String) -> Set<Int> {
        let now = ContinuousClock.now
        return Set((names[name] ?? [:]).filter { $0.value > now }.keys)
    }
}
