internal import Foundation
internal import Logging
internal import TFTPClient
internal import TFTPSeal

/// Whom a node knows: by list, by name, by what is said on the link; and who is there.
extension PeerNode {
    static let peersMax = 256
    private static let pulse = Duration.seconds(2)
    private static let lookupInterval = Duration.seconds(60)
    /// A node that has said nothing for so long has to be asked whether it is there.
    private static let announcementInterval = Duration.seconds(5)

    // MARK: Who is there

    /// Asks nodes whether they are there, so that no client waits for one that is not. Until the task is cancelled.
    func keepPulse() async {
        while !Task.isCancelled {
            for index in peers.indices where isAsked(index) {
                // What is no node would write a line about each question.
                if case .plain = peers[index].kind { continue }
                probe(index, PeerName.nothing)
            }
            try? await Task.sleep(for: PeerNode.pulse)
        }
    }

    /// Whether this peer is asked for files at all.
    func isAsked(_ index: Int) -> Bool {
        guard !peers[index].isOrigin, !peers[index].isLookedUp else { return false }
        if case .thisNode = peers[index].kind { return false }
        if let end = peers[index].restsUntil, end > .now { return false }
        return true
    }

    /// Makes `server` a peer, unless it is one.
    func add(_ server: TFTPClient.Server) {
        guard !peers.contains(where: { $0.server == server && !$0.isOrigin }) else { return }
        guard peers.count < PeerNode.peersMax else {
            logger.warning("\(server) is not taken as a peer: there are \(PeerNode.peersMax)")
            return
        }
        peers.append(Peer(server: server))
        served.add(nodeAt: server.host)
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
            peers[index].isLookedUp = true
            for server in found { add(server) }
        }
    }

    // MARK: Announcements

    /// Says on every link that this node is there, and listens for the others. Until the task is cancelled.
    func announce(port: UInt16) async {
        guard
            let socket = AnnouncementSocket(
                port: configuration.announcementPort,
                isLoopback: configuration.announcesWithinHost)
        else {
            logger.warning(
                "no announcements: UDP port \(configuration.announcementPort) is not to be had")
            return
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.listen(to: socket) }
            while !Task.isCancelled {
                let announcement = Announcement(node: id, port: port, seconds: PeerNode.seconds)
                _ = socket.say(announcement.text(secret: secrets.first))
                try? await Task.sleep(for: PeerNode.announcementInterval)
            }
            group.cancelAll()
        }
    }

    private func listen(to socket: AnnouncementSocket) async {
        for await heard in socket.heard {
            guard
                let announcement = Announcement(
                    heard.text, secrets: secrets, now: PeerNode.seconds),
                announcement.node != id
            else { continue }
            take(
                announcement,
                TFTPClient.Server(host: "\(heard.address)", port: announcement.port))
        }
    }

    /// A node that is heard on several links stays the one that was heard first, as long as it answers.
    private func take(_ announcement: Announcement, _ server: TFTPClient.Server) {
        let known = peers.firstIndex { $0.announcedID == announcement.node && !$0.isSilent }
        guard known == nil else { return }
        let isNew = !peers.contains { $0.server == server }
        add(server)
        guard let index = peers.firstIndex(where: { $0.server == server && !$0.isOrigin }) else {
            return
        }
        peers[index].announcedID = announcement.node
        // It has just been heard, whatever it did not answer before.
        peers[index].silentCount = 0
        if isNew { logger.notice("peer \(server) has announced itself") }
    }

    /// What announcements are tagged by.
    private var secrets: [[UInt8]] { configuration.sealKeys?.secrets ?? [] }

    private static var seconds: Int { Int(Date().timeIntervalSince1970) }
}
