/// How a transfer ended.
package enum Outcome: UInt8, BitwiseCopyable, Sendable, CaseIterable {
    /// Every byte arrived and was acknowledged.
    case done
    /// Everything was sent, the last ACK never came: many boot loaders start what they have got.
    case doneUnacknowledged
    /// The client only asked for the size or the options (it ends with ERROR 0 or 8 at once).
    case probe
    /// The client ended it with an ERROR.
    case aborted
    case timedOut
    /// This end answered ERROR before anything was transferred.
    case refused
    /// This end had to end it with an ERROR midway.
    case failed
    /// The client began anew on the same port.
    case replaced
    /// A duplicate of the request had opened it; the original is running.
    case ghost
    /// The server stopped and its patience ran out.
    case cutOff
}

/// What the table knows of a transfer that ends.
package struct TransferSummary: BitwiseCopyable, Sendable {
    /// Both ends and the socket.
    package var flow: Flow
    /// Whether this end received.
    package var isReceiver: Bool
    /// Bytes of a block, as granted.
    package var blksize: UInt16
    /// Blocks of a window, as granted.
    package var windowsize: UInt16
    /// The granted `timeout` option; 0 when there was none.
    /// Blocks that were acknowledged, by whichever end received them.
    package var blocksAcked: UInt64
    /// Whether the last block was acknowledged.
    package var isLastAcked: Bool
    /// Blocks that were sent again.
    package var retransmissionCount: UInt32
    /// From the request to the end.
    package var milliseconds: UInt32
}
