internal import TFTPCore
internal import TFTPMetrics

/// Requests from sockets that another process has bound, and the end of listening.
extension Shard {
    /// Datagrams of one reader in a turn.
    private static let steeredPerTurn = 256

    /// Hands a datagram to the shard that answers its sender. False: that is this one.
    mutating func steer(_ bytes: RawSpan, _ flow: Flow) -> Bool {
        guard let steering, port.sockets[Int(flow.socket)].isPassed else { return false }
        let target = steering.shard(of: flow.peer)
        guard target != link.index else { return false }
        if steering.put(bytes, flow, from: link.index, to: target) {
            steered.insert(target)
        } else {
            link.counters.add(.datagramsIgnored)
        }
        return true
    }

    /// Answers what other shards have read for this one.
    mutating func takeSteered() {
        guard let steering else { return }
        for reader in 0..<steering.readerCount where reader != link.index {
            for _ in 0..<Shard.steeredPerTurn {
                guard let datagram = steering.take(from: reader, at: link.index) else { break }
                // Whole, and gone from the queue: `datagram` is a copy.
                let bytes = unsafe datagram.bytes.span.bytes
                accept(bytes.extracting(0..<Int(datagram.byteCount)), datagram.flow)
            }
        }
    }

    /// Closes the listeners, so that another process can take their requests; what has come in
    /// before is still answered.
    ///
    /// - Returns: whether that is done.
    mutating func endListening() -> Bool {
        guard !configuration.isSinglePort else { return true }
        guard port.leaveListeners() else { return false }
        if !link.hasLeft {
            link.noteLeft()
            if let steering, link.index < steering.readerCount { steering.endReader() }
        }
        return steering?.isOver(for: link.index) ?? true
    }
}
