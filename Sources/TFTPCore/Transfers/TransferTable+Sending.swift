package import TFTPWire

/// The sender: windows out, ACKs in (RFC 1350 §2, RFC 7440 §4).
extension TransferTable {
    /// The blocks that may go out now: `count` from `first` on. Zero when all that may be out is
    /// out, or the pace wants a pause.
    package func due(_ slot: Int, now: UInt64) -> (first: UInt64, count: Int) {
        let first = progress[slot].acked + UInt64(progress[slot].flight) + 1
        let count = missingCount(slot)
        return (first, min(count, allowance(slot, now: now)))
    }

    /// How many blocks are still to go out until all is out that may be.
    func missingCount(_ slot: Int) -> Int {
        let before = progress[slot]
        guard before.phase == .sending else { return 0 }
        let limit = before.flags.contains(.speculating) ? 2 : Int(before.windowsize)
        let room = limit - Int(before.flight)
        let left = before.last - before.acked - UInt64(before.flight)
        return max(0, Int(min(UInt64(max(0, room)), left)))
    }

    /// `count` of the blocks that were due are on their way.
    package mutating func didSend(_ slot: Int, count: Int, now: UInt64) {
        assert(count > 0 && count <= missingCount(slot))
        let stamp = TransferTable.stamp(now)
        if progress[slot].flight == 0 { progress[slot].openedAt = stamp }
        if progress[slot].flightBefore > progress[slot].flight {
            let repeated = min(count, Int(progress[slot].flightBefore - progress[slot].flight))
            history[slot].retransmissionCount &+= UInt32(repeated)
        }
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

    /// Which block ACK `block` can only mean, in 64 bits: the last acknowledged or one that is out.
    /// nil for none.
    package func number(ofAck block: BlockNumber, _ slot: Int) -> UInt64? {
        let before = progress[slot]
        let advance = block.distance(after: before.acked, rollover: rollover(of: slot))
        let reach = max(before.flight, before.flightBefore)
        return advance <= UInt64(reach) ? before.acked + advance : nil
    }

    /// ACK `block` arrived for `slot`.
    package mutating func stepAck(_ slot: Int, block: BlockNumber, now: UInt64) -> Effect {
        switch progress[slot].phase {
        case .sending:
            return stepAckSending(slot, block: block, now: now)
        case .offering where block.rawValue == 0, .requesting where block.rawValue == 0:
            return stepAckOfOffer(slot, now: now)
        case .offering where progress[slot].acked > 0 && number(ofAck: block, slot) != nil:
            // It had not begun anew: the network had made two of its request.
            progress[slot].phase = .sending
            progress[slot].flags.insert(.confirmed)
            return stepAckSending(slot, block: block, now: now)
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
        progress[slot].acked = 0
        progress[slot].flight = 0
        progress[slot].flightBefore = 0
        return .send
    }

    private mutating func stepAckSending(
        _ slot: Int, block: BlockNumber, now: UInt64
    ) -> Effect {
        let before = progress[slot]
        let advance = block.distance(after: before.acked, rollover: rollover(of: slot))
        guard advance <= UInt64(max(before.flight, before.flightBefore)) else {
            staleAckCount &+= 1
            return .none
        }
        guard advance > 0 else { return stepDuplicateAck(slot, now: now) }
        if advance == UInt64(before.flight) { sampleRoundTrip(slot, now: now) }
        if before.windowsize > 1 && advance <= UInt64(before.flight) {
            learnPace(slot, advance: advance, now: now)
        }
        progress[slot].acked += advance
        progress[slot].flight -= min(before.flight, UInt16(advance))
        progress[slot].flightBefore -= min(before.flightBefore, UInt16(advance))
        progress[slot].flags.insert(.confirmed)
        noteProgress(slot, now: now)
        if progress[slot].acked == before.last { return .end(.done) }
        // In lockstep what is left is the block that went out on suspicion, and it may still be
        // right.
        guard before.windowsize > 1 else { return .send }
        return stepAckInWindow(slot, advance: UInt16(advance), before: before, now: now)
    }

    /// ACK of `advance` blocks of a window; `before` is the progress before it.
    ///
    /// Short of the window's end an ACK reports a gap: the next window starts there (RFC 7440 §4).
    /// But EDK II acknowledges what it has at every block that it did not expect. So where blocks
    /// went out twice, it is told by counting what an ACK is about: each repeated block that the
    /// client had already brings one ACK, and so does each block behind a gap. Only more of them
    /// than that, or silence, report another loss.
    private mutating func stepAckInWindow(
        _ slot: Int, advance: UInt16, before: Progress, now: UInt64
    ) -> Effect {
        let isRepeat = before.flags.contains(.rewound)
        let needless = needlessCount(advance: advance, before: before)
        // The last block alone went out again for each time-out, and brings an ACK each time.
        let probes = !isRepeat && advance == before.flight ? Int(before.retries) : 0
        setRepeatedAcks(slot, Int(needless) + probes)
        // py3tftp grants a windowsize and acknowledges every block: it reports no gap. Where an ACK
        // or two of it are lost it reports none either.
        let singles = Int(before.singleAcks) + (advance == 1 ? 1 : advance <= 3 ? -2 : -7)
        progress[slot].singleAcks = UInt8(max(0, singles))
        guard progress[slot].flight > 0 else { return .send }
        if singles >= Limits.singleAcksMin {
            scheduleTimeout(slot, now: now)
            return .send
        }
        if needless > 0 && before.flags.contains(.acknowledgesAll) {
            progress[slot].flags.insert(.trusting)
            progress[slot].openedAt = TransferTable.stamp(now)
            scheduleTimeout(slot, now: now)
            return .send
        }
        // The block that the client misses is one of those in flight, and the one that made it tell
        // is another. After a silence nothing else is under way.
        let isProbed = before.retries > 0 && !isRepeat
        let behind = isProbed ? 0 : max(0, Int(progress[slot].flight) - 2)
        let effect = rewind(slot, now: now)
        setRepeatedAcks(slot, max(behind, Int(needless)))
        return effect
    }

    /// How many of the repeated blocks the client had already when it acknowledged `advance`
    /// blocks. They are still under way to it.
    private func needlessCount(advance: UInt16, before: Progress) -> UInt16 {
        guard before.flags.contains(.rewound) else { return 0 }
        // It was ahead of the repeat where it has no more than was out before that; what has gone
        // out since then comes behind the repeat. Short of all that was out, it reports a gap of
        // its own, unless it was silent before.
        let wasAhead =
            advance == before.flightBefore || before.retries > 0 && advance < before.flightBefore
        if wasAhead { return min(advance, before.flight) }
        guard before.flags.contains(.acknowledgesAll) else { return 0 }
        // What was expected at the last number and has not come is expected at this one.
        let left = min(UInt16(before.repeatedAcks), before.flight)
        return left - min(advance, left)
    }

    private func setRepeatedAcks(_ slot: Int, _ count: Int) {
        progress[slot].repeatedAcks = UInt8(clamping: count)
    }

    /// An ACK that says what the one before said.
    private mutating func stepDuplicateAck(_ slot: Int, now: UInt64) -> Effect {
        staleAckCount &+= 1
        let before = progress[slot]
        // With one block out there is none behind it that could report a gap: it is as in lockstep.
        guard before.windowsize > 1 && before.flight > 1 else {
            return stepDuplicateAckInLockstep(slot, now: now)
        }
        // Of blocks that went out more than a time-out ago none is at work any more: then the peer
        // asks by a timer of its own, and its ACK answers no block.
        let sinceSent = TransferTable.elapsed(from: before.sentAt, to: TransferTable.stamp(now))
        guard before.repeatedAcks == 0 || sinceSent >= timeout(of: slot) else {
            if before.repeatedAcks < .max { progress[slot].repeatedAcks -= 1 }
            progress[slot].flags.insert(.acknowledgesAll)
            // It is at work on what was sent, so it is not silent.
            if before.flight > 0 && missingCount(slot) == 0 { scheduleTimeout(slot, now: now) }
            return .none
        }
        // It reports that block acked + 1 is lost, unless it comes too soon for that: the network
        // made two of one.
        let silence = TransferTable.elapsed(
            from: before.openedAt, to: TransferTable.stamp(now))
        guard silence >= roundTripGuard(of: slot) else { return .none }
        // A second repeat without progress is for a block that was lost twice, or the client is
        // busy with needless ones: then twice the blocks out must be told of before there is a
        // third, or each repeat would bring the next one about.
        let flight = Int(before.flight)
        let behind = before.flags.contains(.rewound) ? 2 * flight : flight - 2
        let effect = rewind(slot, now: now)
        setRepeatedAcks(slot, max(0, behind))
        return effect
    }

    private mutating func stepDuplicateAckInLockstep(_ slot: Int, now: UInt64) -> Effect {
        let before = progress[slot]
        guard before.flight > 0 else { return .none }
        setRepeatedAcks(slot, Int(before.repeatedAcks) + 1)
        // Never answer a duplicate ACK in lockstep: that is how the Sorcerer's Apprentice doubles
        // every packet (RFC 1123 §4.2.3.1). A second one after a long silence is a client that
        // asks; at block 65535, which is held back, the first one is.
        let silence = TransferTable.elapsed(
            from: before.openedAt, to: TransferTable.stamp(now))
        let isHolding = isHoldingRollover(slot)
        let silenceMin = isHolding ? Limits.timeoutMinNanoseconds : timeout(of: slot)
        guard isHolding || before.repeatedAcks > 0, silence >= silenceMin / 2 else { return .none }
        return rewind(slot, now: now)
    }

    /// Whether everything to the last block is out and waits for its ACK.
    package func isLastBlockOut(_ slot: Int) -> Bool {
        let before = progress[slot]
        return before.phase == .sending && before.flags.contains(.confirmed)
            && before.acked + UInt64(before.flight) == before.last
    }

    /// The kernel refused what `didSend` counted: it goes again, another way.
    package mutating func stepSendFailed(_ slot: Int, now: UInt64) -> Effect {
        guard progress[slot].phase == .sending, progress[slot].flight > 0 else { return .none }
        return rewind(slot, now: now)
    }

    /// Starts again after the last block acknowledged.
    mutating func rewind(_ slot: Int, now: UInt64) -> Effect {
        assert(progress[slot].flight > 0)
        rewindCount &+= 1
        progress[slot].flightBefore = max(progress[slot].flightBefore, progress[slot].flight)
        progress[slot].flight = 0
        progress[slot].repeatedAcks = 0
        progress[slot].flags.subtract([.speculating, .trusting])
        progress[slot].flags.insert(.rewound)
        progress[slot].openedAt = TransferTable.stamp(now)
        return .send
    }
}
