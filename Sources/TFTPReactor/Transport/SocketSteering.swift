internal import CLinux
internal import TFTPCore

/// Where one port serves all, the shard that answers a request must be the one that all further
/// packets of the client reach. The kernel's own hash among sockets of one port is its secret, so a
/// broadcast request, which every shard gets, would be answered by the wrong one: the shards are
/// chosen by a hash of the sender that both sides know.
extension SocketOpener {
    /// The listeners that were opened last, one a shard, share their datagrams out by that hash.
    /// Where the kernel does not take it, its own hash stays, and shard 0 answers broadcasts.
    mutating func steerLatestListeners() {
        let count = UInt32(shardCount)
        guard count > 1, let first = sockets[0].last,
            clinux_udp_steer(first.file, count) == 0
        else { return }
        for shard in 0..<shardCount {
            sockets[shard][sockets[shard].count - 1].steeredCount = count
        }
    }
}

extension ShardSocket {
    /// The number of the shard that answers a request which `peer` sent to all.
    func crowdShard(of peer: Endpoint) -> Int {
        guard steeredCount > 0 else { return 0 }
        let address = UInt32(truncatingIfNeeded: peer.address.low)
        return Int(clinux_steered_index(address, peer.port, steeredCount))
    }
}
