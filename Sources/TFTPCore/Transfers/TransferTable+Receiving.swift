package import TFTPWire

/// The receiver: DATA in, ACKs out.
extension TransferTable {
    /// DATA `block` with `byteCount` bytes arrived for `slot`.
    ///
    /// The caller keeps the payload on `.take…` only; a caller with no room for it does not step at
    /// all, and the sender repeats the block.
    package mutating func stepData(
        _ slot: Int, block: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        guard progress[slot].flags.contains(.receiver) else { return .none }
        switch progress[slot].phase {
        case .requesting:
            // DATA 1 right away: the server knows no options, the defaults stand (RFC 2347).
            guard block.rawValue == 1 else { return .none }
            sampleRoundTrip(slot, now: now)
            progress[slot].phase = .receiving
            return stepDataReceiving(slot, block: block, byteCount: byteCount, now: now)
        case .receiving:
            return stepDataReceiving(slot, block: block, byteCount: byteCount, now: now)
        case .dallying:
            let last = progress[slot].last
            let isLast = block.distance(after: last, rollover: rollover(of: slot)) == 0
            return isLast ? .ack(last) : .none
        case .free, .opening, .offering, .sending, .committing:
            return .none
        }
    }

    private mutating func stepDataReceiving(
        _ slot: Int, block: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        let before = progress[slot]
        let received = before.acked + UInt64(before.flight)
        let ahead = block.distance(after: received, rollover: rollover(of: slot))
        guard ahead == 1 else {
            return stepDataOutOfOrder(slot, ahead: ahead, now: now)
        }
        guard byteCount <= Int(before.blksize) else { return .fail(.illegalOperation) }
        // The first block after an ACK answers it.
        if before.flight == 0 { sampleRoundTrip(slot, now: now) }
        progress[slot].flags.insert(.confirmed)
        noteProgress(slot, now: now)
        progress[slot].flight += 1
        if byteCount < Int(before.blksize) {
            progress[slot].last = received + 1
            progress[slot].phase = .committing
            schedule(slot, in: Limits.openingPatienceNanoseconds, now: now)
            return .takeLast
        }
        guard progress[slot].flight == before.windowsize else {
            scheduleTimeout(slot, now: now)
            return .take
        }
        _ = acknowledge(slot, now: now)
        return .takeAndAck(progress[slot].acked)
    }

    /// A block that is not the next: a repeat of the past, or a gap before it.
    private mutating func stepDataOutOfOrder(
        _ slot: Int, ahead: UInt64, now: UInt64
    ) -> Effect {
        let before = progress[slot]
        if ahead == 0 {
            // The end of the last window again: our ACK of it was lost. Not when it comes within
            // half a round trip, for then it was under way already: a duplicate of the network's,
            // or the rest of a window that was sent again and was complete before. To acknowledge
            // it would make some senders repeat the next window.
            let sinceAck = TransferTable.elapsed(from: before.sentAt, to: TransferTable.stamp(now))
            guard before.flight == 0, sinceAck >= UInt64(before.roundTrip) << 15 else {
                return .none
            }
            return acknowledge(slot, now: now)
        }
        // Numbers up to a window ahead are a gap; the rest of the circle is the past.
        guard ahead <= UInt64(min(before.windowsize, 0x7FFF)) else { return .none }
        let sinceGap = TransferTable.elapsed(
            from: before.openedAt, to: TransferTable.stamp(now))
        // One ACK a gap (RFC 7440 §4); again only when the answer to it may be lost as well.
        let isFirst = !before.flags.contains(.rewound)
        guard isFirst || sinceGap >= timeout(of: slot) / 2 else { return .none }
        progress[slot].flags.insert(.rewound)
        progress[slot].openedAt = TransferTable.stamp(now)
        return acknowledge(slot, now: now)
    }

    /// Acknowledges everything that is here in order.
    mutating func acknowledge(_ slot: Int, now: UInt64) -> Effect {
        progress[slot].acked += UInt64(progress[slot].flight)
        progress[slot].flight = 0
        progress[slot].sentAt = TransferTable.stamp(now)
        scheduleTimeout(slot, now: now)
        return .ack(progress[slot].acked)
    }

    /// How far `block` is ahead of what has come in order; 1 is the block awaited, and a large
    /// number is the past.
    package func blocksAhead(_ slot: Int, _ block: BlockNumber) -> UInt64 {
        block.distance(after: receivedBlock(of: slot), rollover: rollover(of: slot))
    }

    /// Receiver: which block DATA `block` can only be, in 64 bits: one of the next window, or of
    /// the past. nil for none.
    package func number(ofData block: BlockNumber, _ slot: Int) -> UInt64? {
        let received = receivedBlock(of: slot)
        let ahead = blocksAhead(slot, block)
        guard ahead > UInt64(progress[slot].windowsize) else { return received + ahead }
        let behind = BlockNumber.distanceNever - ahead
        return behind <= received ? received - behind : nil
    }

    /// Receiver: the last block that has come in order.
    package func receivedBlock(of slot: Int) -> UInt64 {
        progress[slot].acked + UInt64(progress[slot].flight)
    }

    /// Whether `block` ends the window that the sender was told to send.
    package func endsWindow(_ slot: Int, _ block: UInt64) -> Bool {
        block == progress[slot].acked + UInt64(progress[slot].windowsize)
    }

    /// An ACK that was held back because there was no room for more goes out now.
    package mutating func stepRoom(_ slot: Int, now: UInt64) -> Effect {
        guard progress[slot].phase == .receiving else { return .none }
        history[slot].progressAt = TransferTable.stamp(now)
        return acknowledge(slot, now: now)
    }

    /// The deadline has passed, but it is this end that keeps the peer waiting: its silence means
    /// nothing.
    package mutating func stepOwnDelay(_ slot: Int, now: UInt64) {
        history[slot].progressAt = TransferTable.stamp(now)
        scheduleTimeout(slot, now: now)
    }

    /// This end keeps what is due back for so long; nil: no longer. Where the peer owes an answer
    /// to what was sent before, its silence goes on.
    package mutating func stepHeldBack(_ slot: Int, nanoseconds: UInt64?, now: UInt64) {
        if progress[slot].retries == 0 { history[slot].progressAt = TransferTable.stamp(now) }
        if let nanoseconds {
            schedule(slot, in: nanoseconds, now: now)
        } else {
            scheduleTimeout(slot, now: now)
        }
    }

    /// Everything received is safe: acknowledge the last block, and stay to repeat that.
    package mutating func didCommit(_ slot: Int, now: UInt64) -> Effect {
        assert(progress[slot].phase == .committing)
        progress[slot].acked = progress[slot].last
        progress[slot].flight = 0
        progress[slot].phase = .dallying
        schedule(slot, in: Limits.dallyNanoseconds, now: now)
        return .ack(progress[slot].last)
    }

    /// The peer sent ERROR `code` (rule 8). It is never answered.
    ///
    /// - Parameter isWrongBlock: the text says "Wrong block number": lwIP reports a late duplicate
    ///   so and continues the transfer, so it is ignored once between two ACKs.
    package mutating func stepError(
        _ slot: Int, code: ErrorCode, isWrongBlock: Bool
    ) -> Effect {
        let before = progress[slot]
        if code == .unknownTransferID && isWrongBlock && !before.flags.contains(.forgiven) {
            progress[slot].flags.insert(.forgiven)
            return .none
        }
        if before.phase == .dallying { return .end(.done) }
        let isBeginning = before.acked == 0 && !before.flags.contains(.receiver)
        let isProbe = code == .optionNegotiation || code == .notDefined
        return .end(isBeginning && isProbe ? .probe : .aborted)
    }
}
