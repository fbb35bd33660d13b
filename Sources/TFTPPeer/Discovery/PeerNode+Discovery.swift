internal import FoundationEssentials
internal import Logging
internal import TFTPClient
internal import TFTPCore
internal import TFTPFetch
internal import TFTPReactor
internal import TFTPSeal
internal import TFTPServer

/// The peers that a node knows, from its configuration, from DNS and from announcements, and which
/// of them are up.
extension PeerNode {
    static let peersMax = 256
    /// Peers that have answered keep their numbers. Beyond this number of them, no new one is added
    /// until the node starts again.
    static let peerNumbersMax = 4096
    private static let pulse = Duration.seconds(2)
    private static let lookupInterval = Duration.seconds(60)
    /// After this time without an announcement a node is queried whether it is up.
    private static let announcementInterval = Duration.seconds(5)
    /// A place that was not announced again within this is forgotten, unless it answers.
    private static let announcementMemory = Duration.seconds(20)

    // MARK: Liveness

    /// Asks nodes whether they are there, so that no client waits for one that is not: of a small
    /// group all, of a larger one some in turn, so that the questions of all nodes together do not
    /// grow with the square of the group. Until the task is cancelled.
    func keepPulse() async {
        var next = 0
        while !Task.isCancelled {
            forgetSilent(at: .now)
            // A plain server would log a line about each query.
            let nodes = peers.indices.filter { isAsked($0) && peers[$0].kind != .plain }
            let count = nodes.isEmpty ? 0 : min(nodes.count, max(1, 64 / nodes.count))
            for offset in 0..<count { probe(nodes[(next + offset) % nodes.count]) }
            next += count
            try? await Task.sleep(for: PeerNode.pulse)
        }
    }

    /// Whether this peer is asked for files at all.
    func isAsked(_ index: Int) -> Bool {
        guard !peers[index].isOrigin, !peers[index].isLookedUp, !peers[index].isGone else {
            return false
        }
        if case .thisNode = peers[index].kind { return false }
        if let end = peers[index].restsUntil, end > .now { return false }
        return true
    }

    /// Makes `server` a peer, unless it is one.
    ///
    /// - Parameter isNamed: whether the configuration, or DNS, names it.
    func add(_ server: TFTPClient.Server, isNamed: Bool = false) {
        if let index = peers.firstIndex(where: { $0.server == server && !$0.isOrigin }) {
            guard peers[index].isGone else {
                peers[index].isNamed = peers[index].isNamed || isNamed
                return
            }
            served.add(nodeAt: server.host)
            let hasAnswered = peers[index].hasAnswered
            peers[index] = Peer(server: server, isNamed: isNamed, hasAnswered: hasAnswered)
            return
        }
        // What a source has sent is to come from that source: a number is given again only if no
        // resolution can have it.
        let free = peers.firstIndex { $0.isGone && !$0.hasAnswered }
        guard peers.count(where: { !$0.isGone }) < PeerNode.peersMax,
            free != nil || peers.count < PeerNode.peerNumbersMax
        else {
            guard announcementLines.take(at: .now) else { return }
            logger.warning("\(server) is not taken as a peer: there are \(PeerNode.peersMax)")
            return
        }
        served.add(nodeAt: server.host)
        let peer = Peer(server: server, isNamed: isNamed)
        if let free {
            peers[free] = peer
        } else {
            peers.append(peer)
        }
    }

    // MARK: Names

    /// Looks names up again and again, until the task is cancelled.
    func keepLookingUp() async {
        while !Task.isCancelled {
            await lookUpNames()
            try? await Task.sleep(for: PeerNode.lookupInterval)
        }
    }

    /// Puts all addresses of a name, and all hosts of a service, in the place of the name.
    private func lookUpNames() async {
        for index in peers.indices where !peers[index].isOrigin {
            let server = peers[index].server
            guard let found = await PeerLookup.servers(of: server), !found.isEmpty else { continue }
            guard peers[index].server == server else { continue }
            peers[index].isLookedUp = true
            for server in found { add(server, isNamed: peers[index].isNamed) }
        }
    }

    // MARK: Announcements

    /// Says on every link that this node is there, and listens for the others. Until the task is
    /// cancelled.
    func announce(port: UInt16) async {
        // A host may be without one of the two protocols.
        let sockets = AnnouncementSocket.Group.allCases.compactMap {
            AnnouncementSocket(
                $0, port: configuration.announcementPort,
                isLoopback: configuration.announcesWithinHost)
        }
        guard !sockets.isEmpty else {
            logger.warning(
                "no announcements: UDP port \(configuration.announcementPort) is not to be had")
            return
        }
        await withTaskGroup(of: Void.self) { group in
            for socket in sockets { group.addTask { await self.listen(to: socket) } }
            while !Task.isCancelled {
                let announcement = Announcement(node: id, port: port, seconds: PeerNode.seconds)
                let text = announcement.text(secret: secrets.first)
                for socket in sockets { _ = socket.say(text, where: isAnswered(at:)) }
                try? await Task.sleep(for: PeerNode.announcementInterval)
            }
            group.cancelAll()
        }
    }

    /// Whether the server answers at this address of the host.
    nonisolated func isAnswered(at address: Address) -> Bool {
        let listening = configuration.announcedAddresses.map(\.address.address)
        return listening.isEmpty
            || listening.contains {
                $0 == address || $0 == .unspecified || $0.isUnspecified && address.isIPv4
            }
    }

    private func listen(to socket: AnnouncementSocket) async {
        for await heard in socket.heard {
            switch Announcement.read(heard.text, secrets: secrets, now: PeerNode.seconds) {
            case .announcement(let announcement):
                guard announcement.node != id else { continue }
                take(
                    announcement,
                    TFTPClient.Server(host: "\(heard.address)", port: announcement.port))
            case .wrongTime(let seconds):
                guard announcementLines.take(at: .now) else { continue }
                logger.warning(
                    "the announcement of \(heard.address) is not taken: its time is \(abs(seconds)) s \(seconds > 0 ? "behind" : "ahead of") this host's clock"
                )
            case .nothing: break
            }
        }
    }

    /// A node that is heard on several links, or whose announcement another host repeats, stays the
    /// one that was heard first, as long as it answers.
    func take(_ announcement: Announcement, _ server: TFTPClient.Server) {
        let now = ContinuousClock.now
        let known = peers.firstIndex {
            $0.announcedID == announcement.node && $0.isWaitedFor && !$0.isGone
        }
        if let known {
            if peers[known].server == server { peers[known].announcedAt = now }
            return
        }
        let isNew = !peers.contains { $0.server == server && !$0.isOrigin && !$0.isGone }
        guard !isNew || add(announced: server, at: now) else { return }
        guard
            let index = peers.firstIndex(where: {
                $0.server == server && !$0.isOrigin && !$0.isGone
            })
        else { return }
        peers[index].announcedID = announcement.node
        peers[index].announcedAt = now
        // It has just been heard, whatever it did not answer before.
        peers[index].silentCount = 0
        guard isNew else { return }
        // One that answers keeps its place, however many more are announced.
        if announcementProbes.take(at: now) { probe(index) }
        if announcementLines.take(at: now) {
            logger.notice("peer \(server) has announced itself")
        }
    }

    /// Makes a place that was announced a peer. Where there are as many as may be, one goes that
    /// was announced before and has never answered: so forged ones do not keep true ones out.
    private func add(announced server: TFTPClient.Server, at now: ContinuousClock.Instant) -> Bool {
        let isFull = peers.count { !$0.isGone } >= PeerNode.peersMax
        if isFull {
            let oldest = peers.indices.filter { peers[$0].isUnproven }.min {
                (peers[$0].announcedAt ?? now) < (peers[$1].announcedAt ?? now)
            }
            guard let oldest else {
                if announcementLines.take(at: now) {
                    logger.warning(
                        "\(server) is not taken as a peer: there are \(PeerNode.peersMax)")
                }
                return false
            }
            drop(oldest)
        }
        add(server)
        return true
    }

    /// Lets go of places that were announced and are not any more, and that say nothing.
    func forgetSilent(at now: ContinuousClock.Instant) {
        for index in peers.indices {
            guard let heardAt = peers[index].announcedAt, peers[index].isAnnouncedOnly,
                !peers[index].isGone,
                now - heardAt > PeerNode.announcementMemory,
                peers[index].isSilent || peers[index].isUnproven
            else { continue }
            drop(index)
        }
    }

    /// Makes a peer one no more.
    private func drop(_ index: Int) {
        peers[index].isGone = true
        let host = peers[index].server.host
        if !peers.contains(where: { !$0.isGone && $0.server.host == host }) {
            served.remove(nodeAt: host)
        }
    }

    /// What announcements are tagged by.
    private var secrets: [[UInt8]] { configuration.sealKeys?.secrets ?? [] }

    private static var seconds: Int { Int(Date().timeIntervalSince1970) }
}
