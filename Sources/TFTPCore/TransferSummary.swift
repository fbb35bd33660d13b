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
