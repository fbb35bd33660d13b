package import TFTPWire

/// The sender: windows out, ACKs in (RFC 1350 §2, RFC 7440 §4).
extension TransferTable {
    /// The blocks that may go out now: `count` from `first` on. Zero when all that may be out is out, or the pace wants
    /// a pause.
    package func due(_ slot: Int, now: UInt64) -> (first: UInt64, count: Int) {
        let first = progress[slot].acked + UInt64(progress[slot].flight) + 1
        let count = missingCount(slot)
        return (first, min(count, allowance(slot, now: now)))
    }

    /// How many blocks are still to go out until all is out that may be.
    func missingCount(_ slot: Int) -> Int {
        let state = progress[slot]
        guard state.phase == .sending else { return 0 }
        let limit = state.flags.contains(.speculating) ? 2 : Int(state.windowsize)
        let room = limit - Int(state.flight)
        let left = state.last - state.acked - UInt64(state.flight)
        return max(0, Int(min(UInt64(max(0, room)), left)))
    }

    /// `count` of the blocks that were due are on their way.
    package mutating func didSend(_ slot: Int, count: Int, now: UInt64) {
        assert(count > 0 && count <= missingCount(slot))
        let stamp = TransferTable.stamp(now)
        if progress[slot].flight == 0 { progress[slot].openedAt = stamp }
        progress[slot].flight += UInt16(count)
        progress[slot].sentAt = stamp
        if let pause = pause(of: slot) {
            schedule(slot, in: pause, now: now)
        } else {
            scheduleTimeout(slot, now: now)
        }
    }

    /// The content ends with block `last`: known only now, because it was translated on the way.
    package mutating func setLastBlock(_ slot: Int, _ last: UInt64) {
        assert(progress[slot].phase == .sending)
        assert(last > progress[slot].acked)
        progress[slot].last = last
    }

    /// Which block ACK `block` can only mean, in 64 bits: the last acknowledged or one that is out. nil for none.
    package func number(ofAck block: BlockNumber, _ slot: Int) -> UInt64? {
        let state = progress[slot]
        let advance = block.distance(after: state.acked, rollover: rollover(of: slot))
        return advance <= UInt64(state.flight) ? state.acked + advance : nil
    }

    /// ACK `block` arrived for `slot`.
    package mutating func stepAck(_ slot: Int, block: BlockNumber, now: UInt64) -> Effect {
        switch progress[slot].phase {
        case .sending:
            return stepAckSending(slot, block: block, now: now)
        case .offering where block.rawValue == 0, .requesting where block.rawValue == 0:
            return stepAckOfOffer(slot, now: now)
        case .free, .opening, .requesting, .offering, .receiving, .committing, .dallying:
            staleAckCount &+= 1
            return .none
        }
    }

    /// ACK 0 answers the OACK (RFC 2347), or a WRQ whose options the server does not know.
    private mutating func stepAckOfOffer(_ slot: Int, now: UInt64) -> Effect {
        guard !progress[slot].flags.contains(.receiver) else { return .none }
        sampleRoundTrip(slot, now: now)
        beginPace(slot, now: now)
        progress[slot].flags.insert(.confirmed)
        noteProgress(slot, now: now)
        progress[slot].phase = .sending
        return .send
    }

    private mutating func stepAckSending(
        _ slot: Int, block: BlockNumber, now: UInt64
    ) -> Effect {
        let state = progress[slot]
        let advance = block.distance(after: state.acked, rollover: rollover(of: slot))
        guard advance <= UInt64(state.flight) else {
            staleAckCount &+= 1
            return .none
        }
        guard advance > 0 else { return stepDuplicateAck(slot, now: now) }
        if advance == UInt64(state.flight) { sampleRoundTrip(slot, now: now) }
        if state.windowsize > 1 { learnPace(slot, advance: advance, now: now) }
        progress[slot].acked += advance
        progress[slot].flight -= UInt16(advance)
        progress[slot].flags.insert(.confirmed)
        noteProgress(slot, now: now)
        if progress[slot].acked == state.last { return .end(.done) }
        // In lockstep what is left is the block that went out on suspicion, and it may still be right.
        guard progress[slot].flight > 0 && state.windowsize > 1 else { return .send }
        // Short of the window's end an ACK reports a gap: the next window starts there (RFC 7440 §4). But to
        // a window sent again EDK II answers with what it has, block by block, and the rest is still under
        // way for two round trips: to send that once more would go on so to the end of the file.
        let sinceOpened = TransferTable.elapsed(
            from: state.openedAt, to: TransferTable.stamp(now))
        guard state.flags.contains(.rewound), sinceOpened < UInt64(state.roundTrip) << 17 else {
            return rewind(slot, now: now)
        }
        progress[slot].flags.insert(.trusting)
        progress[slot].openedAt = TransferTable.stamp(now)
        scheduleTimeout(slot, now: now)
        return .send
    }

    /// An ACK that says what the one before said.
    private mutating func stepDuplicateAck(_ slot: Int, now: UInt64) -> Effect {
        staleAckCount &+= 1
        let state = progress[slot]
        guard state.flight > 0 else { return .none }
        progress[slot].flags.insert(.duplicated)
        let silence = TransferTable.elapsed(
            from: state.openedAt, to: TransferTable.stamp(now))
        if state.windowsize == 1 && !isHoldingRollover(slot) {
            // Never answer a duplicate ACK in lockstep: that is how the Sorcerer's Apprentice doubles
            // every packet (RFC 1123 §4.2.3.1). A second one after a long silence is a client that asks.
            guard state.flags.contains(.duplicated), silence >= timeout(of: slot) / 2
            else { return .none }
            return rewind(slot, now: now)
        }
        // In a window it reports that the first block is lost; and at block 65535 it says the same.
        guard silence >= roundTripGuard(of: slot) else { return .none }
        return rewind(slot, now: now)
    }

    /// Whether everything to the last block is out and waits for its ACK.
    package func isLastBlockOut(_ slot: Int) -> Bool {
        let state = progress[slot]
        return state.phase == .sending && state.flags.contains(.confirmed)
            && state.acked + UInt64(state.flight) == state.last
    }

    /// The kernel refused what `didSend` counted: it goes again, another way.
    package mutating func stepSendFailed(_ slot: Int, now: UInt64) -> Effect {
        guard progress[slot].phase == .sending, progress[slot].flight > 0 else { return .none }
        return rewind(slot, now: now)
    }

    /// Starts again after the last block acknowledged.
    mutating func rewind(_ slot: Int, now: UInt64) -> Effect {
        assert(progress[slot].flight > 0)
        history[slot].retransmissionCount &+= UInt32(progress[slot].flight)
        rewindCount &+= 1
        progress[slot].flight = 0
        progress[slot].flags.subtract([.speculating, .trusting, .duplicated])
        progress[slot].flags.insert(.rewound)
        progress[slot].openedAt = TransferTable.stamp(now)
        return .send
    }
}
