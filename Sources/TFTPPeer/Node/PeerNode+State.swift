internal import TFTPClient
internal import TFTPFetch
internal import TFTPServer
internal import TFTPStore

/// What nodes report of their names, so that a missing name is not queried at every node.
extension PeerNode {
    /// How long a server without states is not queried for one.
    private static let statelessMemory = Duration.seconds(60)

    var originsID: OriginsID { OriginsID(configuration.origins.map(\.description)) }

    // MARK: This node's

    func state() -> NodeState {
        var state = NodeState(node: id, origins: originsID)
        state.hasSnapshots = configuration.hasSnapshots
        state.names = catalogue?.names.names
        let arriving = findings.values.filter { $0.version != nil && isJoinable($0) }.map(\.name)
        state.setArriving(arriving.flatMap { SnapshotLayout.names($0) })
        return state
    }

    func names() -> TFTPServer.Response {
        guard let filter = catalogue?.names.filter else { return .notFound }
        return .bytes(filter.bytes, key: "\(NodeState.filterName)\n\(filter.revision)")
    }

    // MARK: The others'

    /// What a peer's names say of `name`, after it has been asked for them, at most once in two
    /// seconds; nil where it has to be asked for the name itself.
    ///
    /// - Throws: `TFTPClient.Failure` where it does not answer.
    func absence(of name: String, at index: Int) async throws -> Offer? {
        try await refresh(index)
        guard case .hasNot(let offer) = peers[index].names.word(on: peers[index].folder + name),
            offer.node != id
        else { return nil }
        return offer
    }

    /// Asks a peer for its state, unless that has just been done.
    func refresh(_ index: Int, patience: Duration? = nil) async throws {
        if let end = peers[index].namesHoldUntil, end > .now { return }
        let task =
            refreshes[index]
            ?? Task {
                defer { refreshes[index] = nil }
                try await self.askState(index, patience: patience ?? configuration.patience)
            }
        refreshes[index] = task
        try await task.value
    }

    private func askState(_ index: Int, patience: Duration) async throws {
        let server = peers[index].server
        do {
            let source = source(index, patience: patience)
            let bytes = try await source.bytes(
                of: peers[index].folder + NodeState.name, byteCountMax: NodeState.byteCountMax)
            guard let state = NodeState(String(decoding: bytes, as: UTF8.self)) else {
                return noteStateless(index, server)
            }
            guard peers[index].server == server else { return }
            noteAnswer(index)
            peers[index].kind = state.node == id ? .thisNode : .node
            // Any host can repeat the announcement of another one.
            if peers[index].announcedID != nil { peers[index].announcedID = state.node }
            peers[index].names.set(state)
            if let revision = peers[index].names.wantedRevision {
                let bytes = try await source.bytes(
                    of: peers[index].folder + NodeState.filterName,
                    byteCountMax: NameFilter.byteCountMax)
                guard peers[index].server == server else { return }
                NameFilter(bytes).map { peers[index].names.set($0, revision: revision) }
            }
            peers[index].namesHoldUntil = .now + NameKnowledge.freshDuration
        } catch let failure as TFTPClient.Failure where failure.isAnswer {
            noteStateless(index, server)
        } catch {
            guard peers[index].server == server else { throw error }
            noteFailure(index, error)
            throw error
        }
    }

    /// It answers, but not with a state: it is asked for each name.
    private func noteStateless(_ index: Int, _ server: TFTPClient.Server) {
        guard peers[index].server == server else { return }
        noteAnswer(index)
        peers[index].names = NameKnowledge()
        peers[index].namesHoldUntil = .now + PeerNode.statelessMemory
    }
}

extension SnapshotLayout {
    /// The names that nodes ask for a file by: its own, and of one in a snapshot the name in there.
    static func names(_ name: String) -> [String] {
        [name] + (parts(of: name).map { [$0.name] } ?? [])
    }
}

extension TFTPClient.Failure {
    /// The peer is up and has answered.
    fileprivate var isAnswer: Bool {
        switch self {
        case .notFound, .tooLarge, .refused: true
        default: false
        }
    }
}
