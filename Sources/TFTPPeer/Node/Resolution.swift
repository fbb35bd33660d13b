internal import TFTPFetch

/// A search under way: one that may lead to a node that fetches is another than one that may not.
struct Search: Hashable, Sendable {
    let name: String
    let mayWait: Bool
    let insists: Bool
}

/// The sources of a file; or that there are none.
struct Resolution: Sendable {
    let name: String
    /// The other nodes, which may have other origins, were to search for it as well.
    var isSoughtByAll = false
    /// nil: no source has it.
    var version: FileVersion?
    /// What its chunks have to be; nil where the source does not tell.
    var manifest: SourcedManifest?
    var sources: [Place] = []
    /// The names that the file has at nodes with snapshots, by peer.
    var snapshotPaths: [Int: String] = [:]
    /// Its sources wait for no other node, so other nodes may wait for this one.
    var isRooted = false
    /// All of it has come, and is here as long as there is room.
    var isWhole = false
    /// No source that answered has it, but some could not answer: nothing is known, and nothing is
    /// remembered.
    var isUncertain = false
    /// Names the image: content that may have changed gets another number, and no two names share
    /// one.
    var number = 0
    let foundAt = ContinuousClock.now
    /// When its source was last asked whether this still is what it has.
    var checkedAt = ContinuousClock.now

    enum Place: Hashable, Sendable {
        /// A peer that has the file under its name.
        case folder(Int)
        /// A node that fetches it, or has it arriving.
        case fetcher(Int)
        /// An HTTP server, by its number among the origins.
        case http(Int)
    }
}

/// A manifest with what its source has written, signature and all, to be handed on.
struct SourcedManifest: Sendable {
    let manifest: Manifest
    let text: String
}

/// Where files come from that no peer has.
enum OriginPlace: Sendable {
    /// By its number among the peers.
    case peer(Int)
    case http(HTTPSource)
}

/// What an origin has said of a name.
struct Judged: Sendable {
    /// Of the origin.
    let index: Int
    let answer: PeerAnswer
    let at: ContinuousClock.Instant
}
