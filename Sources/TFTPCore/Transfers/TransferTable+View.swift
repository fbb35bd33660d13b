/// State of a running transfer, for status and metrics.
package struct TransferView: BitwiseCopyable, Sendable {
    /// Where in its life the transfer is.
    package enum Phase: UInt8, BitwiseCopyable, Sendable, CaseIterable {
        /// The request is accepted, and the file is being opened.
        case opening
        /// The OACK is out, and the client has not answered.
        case offering
        case sending
        case receiving
        /// The last block is here and being made safe.
        case committing
        /// Over, but for repeats of the last ACK.
        case dallying
    }

    package var summary: TransferSummary
    package var phase: Phase
    package var waiting: TransferTable.Waiting
    /// Whether the client has acknowledged something, so that its address is not forged.
    package var isConfirmed: Bool
    /// The number of the last block; `Progress.lastUnknown` while unknown.
    package var lastBlock: UInt64
    /// Blocks that are out and not acknowledged.
    package var flight: UInt16
    /// Time-outs since the last progress.
    package var retries: UInt8
    /// Since the last progress.
    package var idleNanoseconds: UInt64
    /// Smoothed; 0 while unknown.
    package var roundTripNanoseconds: UInt64
    /// Between two blocks of a window; 0: as fast as they can be sent.
    package var gapNanoseconds: UInt64
}

extension TransferTable {
    /// The state of the transfer in `slot`; nil where there is none, or where this end has sent the
    /// request.
    package func view(of slot: Int, now: UInt64) -> TransferView? {
        let state = progress[slot]
        guard let phase = TransferView.Phase(state.phase) else { return nil }
        return TransferView(
            summary: summary(of: slot, now: now), phase: phase,
            waiting: state.flags.contains(.parked)
                ? .parked : state.flags.contains(.queued) ? .queued : .nothing,
            isConfirmed: state.flags.contains(.confirmed), lastBlock: state.last,
            flight: state.flight, retries: state.retries,
            idleNanoseconds: elapsedSinceProgress(slot, now: now),
            roundTripNanoseconds: UInt64(state.roundTrip) << 16,
            gapNanoseconds: UInt64(history[slot].pace.gap) << 10)
    }

    /// Nanoseconds since the request of a transfer that has sent nothing yet.
    package func nanosecondsSinceRequest(_ slot: Int, now: UInt64) -> UInt64 {
        TransferTable.elapsed(from: progress[slot].openedAt, to: TransferTable.stamp(now))
    }
}

extension TransferView.Phase {
    init?(_ phase: TransferTable.Phase) {
        switch phase {
        case .free, .requesting: return nil
        case .opening: self = .opening
        case .offering: self = .offering
        case .sending: self = .sending
        case .receiving: self = .receiving
        case .committing: self = .committing
        case .dallying: self = .dallying
        }
    }
}
