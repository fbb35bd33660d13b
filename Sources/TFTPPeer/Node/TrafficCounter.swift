internal import Synchronization
internal import TFTPCore
internal import TFTPReactor
internal import TFTPServer
internal import TFTPServing

/// How much a node's server has sent, to nodes and to clients.
final class TrafficCounter: Sendable {
    private struct State {
        /// Where nodes ask from.
        var nodeHosts: Set<String> = []
        var clientByteCount: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Bytes that were sent to clients, and not to nodes, by transfers that have ended.
    var clientByteCount: UInt64 { state.withLock { $0.clientByteCount } }

    /// Requests from this host count as node traffic.
    func add(nodeAt host: String) { state.withLock { _ = $0.nodeHosts.insert(host) } }

    /// The peer there is gone.
    func remove(nodeAt host: String) { state.withLock { _ = $0.nodeHosts.remove(host) } }

    /// How many hosts count as nodes.
    var nodeHostCount: Int { state.withLock { $0.nodeHosts.count } }

    func note(_ record: TransferRecord) {
        guard !record.isUpload, !record.name.text.hasPrefix(PeerName.folder) else { return }
        let host = "\(record.peer.address)"
        state.withLock { state in
            if !state.nodeHosts.contains(host) { state.clientByteCount += record.byteCount }
        }
    }
}
