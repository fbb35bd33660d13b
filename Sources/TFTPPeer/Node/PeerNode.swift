public import Logging
internal import SystemPackage
public import TFTPClient
internal import TFTPFetch
internal import TFTPReactor
public import TFTPSeal
public import TFTPServer

/// A node of a group of servers that share their files: what its folder does not have, it gets from
/// the others, or from an origin, and serves while it arrives.
///
///     let node = try PeerNode(configuration, logger: logger)
///     node.prepare(&serverConfiguration)
///     let server = TFTPServer(serverConfiguration, logger: logger, get: node.answer)
///
/// However many clients and nodes ask for a file, it comes in once. It stays in the server's memory
/// for files as long as there is room, and half of that is the most that a file may have which many
/// share.
///
/// What comes from a node is compared chunk by chunk with the manifest that the node has of it,
/// before a client gets it.
///
/// (More than twelve properties: the actor is where tasks of all kinds meet. What it does about a
/// file is decided in `Fetch`, and where the file comes from in `SourcePlan`.)
public actor PeerNode {
    /// How a node is to look for files.
    public struct Configuration: Sendable {
        /// The folder that the server serves; nil for a program that only gets files.
        public var root: String?
        /// Whether the folder is a tree of snapshots, as with the server's `snapshotHold`. What a
        /// client's snapshot lacks is then looked for as `sets/SNAPSHOT/NAME`, so that no file
        /// comes from another one.
        public var hasSnapshots = false
        /// The other nodes, or any TFTP servers that may have files. The node itself may be among
        /// them.
        public var peers: [TFTPClient.Server] = []
        /// The origins to query for what no peer has, in this order.
        public var origins: [Origin] = []
        /// What web servers among the origins are shown and asked with.
        public var originAccess = OriginAccess()
        /// How long a peer may take to say whether it has a file.
        public var patience = Duration.milliseconds(300)
        /// How long the other peers have, at least, once one has said that it holds the file.
        var grace = Duration.milliseconds(20)
        /// How long the source of a file is remembered. A missing name is remembered for a
        /// thirtieth of that. A plain TFTP server does not report when a file changes: its files
        /// are assumed not to change for this time, and while they arrive. A peer that has sent
        /// wrong bytes of a file is not used for it for this time.
        public var memory = Duration.seconds(60)
        /// The port of the server's requests, if this node is to announce itself on the links of
        /// this host and to receive announcements there.
        public var announcedPort: UInt16?
        /// Where the server listens: it is announced from these addresses of the host alone. None:
        /// from every address.
        public var announcedAddresses: [TFTPServer.ListenAddress] = []
        /// The UDP port of announcements, the same for all nodes.
        public var announcementPort: UInt16 = 6970
        /// Announcements stay within this host instead of going out on its links.
        var announcesWithinHost = false
        /// If there are any, peers are queried under a seal with the first of them, and a peer that
        /// does not seal, or has none of these keys, is skipped. Origins are queried unencrypted.
        /// Announcements are authenticated with the first key; announcements without a valid tag
        /// are ignored.
        ///
        /// The server that this node answers in takes the same, in its own configuration.
        public var sealKeys: SealKeys?
        /// What this node's manifests are signed with.
        public var signingKey: SigningKey?
        /// Where there are any, files are taken from peers only by manifests that one of these has
        /// signed. Origins are trusted as they are.
        public var trustedKeys: [TrustedKey] = []
        /// With `hasSnapshots`: files that a snapshot lacks are refused without querying peers or
        /// origins.
        public var isClosed = false
        /// Files are taken from the origins alone, where there are any: no peer is asked for what
        /// the folder lacks.
        public var trustsOriginsOnly = false

        /// - Parameter root: as the server's; nil for a program that only gets files.
        public init(root: String?) { self.root = root }
    }

    /// How much has come and gone.
    public struct Statistics: Hashable, Sendable {
        /// Files that began to be fetched.
        public internal(set) var fetchCount = 0
        /// Bytes that peers sent.
        public internal(set) var peerByteCount: UInt64 = 0
        /// Bytes that origins sent.
        public internal(set) var originByteCount: UInt64 = 0
        /// Bytes of both that no manifest could be found for.
        public internal(set) var unverifiedByteCount: UInt64 = 0
        /// Chunks that were not what the manifest says.
        public internal(set) var badChunkCount = 0
        /// Sources that were left for another in the middle of a file.
        public internal(set) var failoverCount = 0
    }

    let configuration: Configuration
    let logger: Logger
    let client: TFTPClient
    let catalogue: Catalogue?
    let id = NodeID.random()
    /// The servers that are queried by TFTP: the peers, followed by the origins.
    var peers: [Peer]
    let origins: [OriginPlace]
    /// What is known of names.
    var findings: [String: Resolution] = [:]
    /// Searches for names that are running.
    var searches: [Search: Task<Resolution, Never>] = [:]
    /// Queries of origins that are running, by name.
    var looks: [String: Task<Resolution, Never>] = [:]
    /// Checks whether what is known of a name is still valid.
    var checks: [String: Task<Bool, Never>] = [:]
    /// What arrives, by the number of its resolution.
    var arrivals: [Int: Arrival] = [:]
    /// Of the latest resolution.
    var findingCount = 0
    /// Origins that were late a moment ago, and until when they are asked behind the others.
    var lateOrigins: [Int: ContinuousClock.Instant] = [:]
    var distrust = Distrust()
    /// The same of origins, by their numbers.
    var originDistrust = Distrust()
    /// Of the log about announcements, which anybody can make.
    var announcementLines = LineLimit()
    /// Of queries to peers that have just announced themselves.
    var announcementProbes = LineLimit(burst: 64, perSecond: 64)
    /// Of the log about origins.
    var originLines = OriginLines()
    /// Chunks of the folder's files that are being got from others.
    var mendCount = 0
    let served = TrafficCounter()
    public internal(set) var statistics = Statistics()

    /// What origins have said of names a moment ago.
    var judged: [String: Judged] = [:]
    /// Of snapshots that have one.
    var indexes = IndexMemory()
    /// Queries of peers for their names.
    var refreshes: [Int: Task<Void, any Error>] = [:]

    static let findingsMax = 4096
    static let mendsMax = 64

    /// - Throws: `TFTPClient.Failure.system` if the kernel refuses io_uring to this process, or the
    ///   folder does not exist.
    public init(_ configuration: Configuration, logger: Logger) throws(TFTPClient.Failure) {
        self.configuration = configuration
        self.logger = logger
        client = try TFTPClient(transfersMax: 1024)
        catalogue = try configuration.root.map { root throws(TFTPClient.Failure) in
            do throws(Errno) {
                return Catalogue(try Folder(root), key: configuration.signingKey, logger: logger)
            } catch {
                throw .system("cannot serve \"\(root)\": \(error)")
            }
        }
        var peers = configuration.peers.map { Peer(server: $0, isNamed: true) }
        let sources = try PeerNode.webSources(configuration)
        origins = configuration.origins.indices.map { index in
            switch configuration.origins[index].kind {
            case .http, .s3:
                guard let source = sources[index] else {
                    preconditionFailure("there is one for each of them")
                }
                return .http(source)
            case .tftp(let server, let folder):
                peers.append(Peer(server: server, folder: folder, isOrigin: true))
                return .peer(peers.count - 1)
            }
        }
        self.peers = peers
        for peer in peers { served.add(nodeAt: peer.server.host) }
    }

    /// By the numbers of the origins.
    private static func webSources(
        _ configuration: Configuration
    ) throws(TFTPClient.Failure) -> [Int: HTTPSource] {
        var sources: [Int: HTTPSource] = [:]
        do throws(InvalidAccess) {
            var client: WebClient?
            for (index, origin) in configuration.origins.enumerated() {
                let isWeb: Bool
                let url: WebURL
                switch origin.kind {
                case .tftp: continue
                case .http(let given): (url, isWeb) = (given, true)
                case .s3(let bucket):
                    (url, isWeb) = (try bucket.url(configuration.originAccess), false)
                }
                if client == nil { client = try WebClient(configuration.originAccess) }
                sources[index] = client.map {
                    HTTPSource(url: url, client: $0, text: origin.description, isS3: !isWeb)
                }
            }
        } catch {
            throw .system("origins cannot be asked: \(error)")
        }
        return sources
    }

    /// Sets what a server of the same folder needs: files that the folder lacks come from the node,
    /// and what is read of the folder's files is verified against their manifests, so that clients
    /// do not get what a disk has corrupted.
    public nonisolated func prepare(_ server: inout TFTPServer.Configuration) {
        server.handlerOrder = .afterFolder
        server.observer = { [served] in served.note($0) }
        guard let catalogue else { return }
        server.contentCheck = FolderCheck(node: self, known: catalogue.known)
    }

    /// The handler for a server that `prepare` has been called for.
    public nonisolated var answer: TFTPServer.GetHandler {
        { request in await self.respond(to: request.name, in: request.snapshot) }
    }

    /// Runs the node's background work until the task is cancelled: it reads the folder's files,
    /// and reads changed files again, so that peers can get manifests; looks up the names of peers;
    /// checks which peers are up; and announces itself. Files are shared without it too, but are
    /// read only when they are requested, and a peer that is down costs the first two requests
    /// `patience`.
    public nonisolated func run() async {
        await withTaskGroup { group in
            group.addTask { await self.keepPulse() }
            group.addTask { await self.keepLookingUp() }
            if let port = configuration.announcedPort {
                group.addTask { await self.announce(port: port) }
            }
            if let catalogue, let root = configuration.root {
                let watch = FolderWatch(
                    root, hasSnapshots: configuration.hasSnapshots, names: catalogue.names,
                    logger: logger)
                group.addTask { await catalogue.keepUp(with: watch) }
            }
        }
    }
}
