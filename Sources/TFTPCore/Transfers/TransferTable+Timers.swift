internal import TFTPWire

/// Round trips, time-outs and patience (rule 4, RFC 6298).
extension TransferTable {
    /// The retransmission time-out of `slot` now, in nanoseconds.
    ///
    /// The client's `timeout` or `utimeout` only ever shortens it: U-Boot asks for five seconds and
    /// then waits that long for each lost block if the server takes it at its word.
    func timeout(of slot: Int) -> UInt64 {
        let before = progress[slot]
        if before.flags.contains(.trusting) && before.roundTrip > 0 {
            // If nothing comes, it was a gap after all.
            return max(Limits.trustNanoseconds, 3 * UInt64(before.roundTrip) << 16)
        }
        let policy = policies[Int(flows[slot].kind)]
        let unknown = UInt64(policy.firstRepeatMilliseconds) * 1_000_000
        var base = unknown
        if before.roundTrip > 0 {
            let estimate = UInt64(before.roundTrip) + 4 * UInt64(before.roundTripVariation)
            let least =
                before.flags.contains(.shallow)
                ? Limits.timeoutShallowMinNanoseconds : Limits.timeoutMinNanoseconds
            base = max(least, estimate << 16)
        } else if before.windowsize > 1 {
            base = unknown / 2
        }
        // After a repetition the time-out stays doubled until a round trip is measured again (RFC
        // 6298 §5.7): where the round trip has grown beyond it, every block would be sent twice,
        // and none measured, to the end of the file.
        let doublings = max(min(before.retries, 6), before.flags.contains(.echoing) ? 1 : 0)
        var backedOff = base << UInt64(doublings)
        if before.windowsize > 1 && before.phase == .sending && before.flags.contains(.rewound) {
            // A slow client works through what is left of the old window first.
            let estimate = 2 * UInt64(before.roundTrip) + 4 * UInt64(before.roundTripVariation)
            backedOff = max(backedOff, estimate << 16)
        }
        // The source address may be forged: the repeats grow farther apart.
        let isConfirmed = before.flags.contains(.confirmed)
        let isPause = isConfirmed && TransferTable.isPause(afterRepeats: before.retries)
        let most =
            !isConfirmed
            ? Limits.timeoutUnconfirmedMaxNanoseconds
            : isPause ? Limits.pauseNanoseconds : Limits.timeoutMaxNanoseconds
        var timeout = min(backedOff, most)
        if let limit = before.repeatLimit.nanoseconds {
            timeout = min(timeout, isPause ? limit + limit / 4 : limit)
        }
        return isHoldingRollover(slot) ? max(timeout, Limits.rolloverHoldNanoseconds) : timeout
    }

    /// Whether the wait after so many repeats in a row is a pause: every other one, once the
    /// back-off has ended.
    ///
    /// Some clients (tftp-hpa, atftp) start their timer anew with each packet that comes, and pass
    /// over one that they have had. They repeat what was lost only when nothing comes for as long.
    static func isPause(afterRepeats count: UInt8) -> Bool { count >= 5 && count % 2 == 1 }

    /// How long the peer of `slot` may be silent now. A peer that has not acknowledged anything may
    /// not exist, and the ACK of an OACK alone may be forged: it says nothing that was received.
    func patience(of slot: Int) -> UInt64 {
        let before = progress[slot]
        let isClient = before.flags.contains(.client)
        if isClient, patiences[slot] > 0 { return UInt64(patiences[slot]) * 1_000_000 }
        let hasProof =
            before.flags.contains(.confirmed)
            && (isClient || before.phase != .sending || before.acked > 0)
        return hasProof ? Limits.patienceNanoseconds : Limits.offerPatienceNanoseconds
    }

    /// Whether block 65535 (or 131071, …) is out alone in lockstep to a boot client (rule 7).
    func isHoldingRollover(_ slot: Int) -> Bool {
        let before = progress[slot]
        return before.phase == .sending && before.windowsize == 1 && before.acked & 0xFFFF == 0xFFFE
            && before.flags.isDisjoint(with: [.rolloverToOne, .client])
    }

    /// Takes the time since the latest transmission as a round trip, unless that was a repeated
    /// one, because the ACK may answer either transmission (Karn's rule, RFC 6298 §3).
    mutating func sampleRoundTrip(_ slot: Int, now: UInt64) {
        let before = progress[slot]
        guard before.retries == 0, !before.flags.contains(.rewound) else { return }
        let elapsed = TransferTable.elapsed(from: before.sentAt, to: TransferTable.stamp(now))
        let sample = UInt16(clamping: max(1, elapsed >> 16))
        guard before.roundTrip > 0 else {
            progress[slot].roundTrip = sample
            progress[slot].roundTripVariation = sample / 2
            return
        }
        let smoothed = Int(before.roundTrip)
        let deviation = abs(smoothed - Int(sample))
        let variation = Int(before.roundTripVariation)
        progress[slot].roundTrip = UInt16(clamping: max(1, (7 * smoothed + Int(sample)) / 8))
        progress[slot].roundTripVariation = UInt16(clamping: (3 * variation + deviation) / 4)
    }

    /// How long after block acked + 1 went out a repeated ACK can be about it, and is not one that
    /// the network made two of.
    func roundTripGuard(of slot: Int) -> UInt64 {
        let least = UInt64(history[slot].pace.leastRoundTrip.value) << 10
        guard least > 0 else { return timeout(of: slot) / 2 }
        return progress[slot].flags.isDisjoint(with: [.rewound, .echoing]) ? least / 2 : least
    }

    mutating func noteProgress(_ slot: Int, now: UInt64) {
        progress[slot].retries = 0
        let wasRewound = progress[slot].flags.contains(.rewound)
        progress[slot].flags.subtract([
            .rewound, .speculating, .forgiven, .echoing, .trusting,
        ])
        progress[slot].repeatedAcks = 0
        if wasRewound { progress[slot].flags.insert(.echoing) }
        if progress[slot].flags.contains(.hasDuplicateRequest) {
            outliving = UInt32(slot)
            if sharesPort { progress[slot].flags.remove(.hasDuplicateRequest) }
        }
        history[slot].progressAt = TransferTable.stamp(now)
    }

    /// The deadline of `slot` has passed.
    package mutating func stepTimeout(_ slot: Int, now: UInt64) -> Effect {
        switch progress[slot].phase {
        case .free:
            assertionFailure("a free slot has no deadline")
            return .none
        case .opening, .committing:
            return .fail(.notDefined)
        case .requesting:
            return stepTimeoutUnconfirmed(slot, repeating: .request, now: now)
        case .offering:
            return stepTimeoutUnconfirmed(slot, repeating: .oack, now: now)
        case .sending:
            return stepTimeoutSending(slot, now: now)
        case .receiving:
            return stepTimeoutReceiving(slot, now: now)
        case .dallying:
            return .end(.done)
        }
    }

    /// Before the first sign of the peer: few repeats, ever farther apart.
    private mutating func stepTimeoutUnconfirmed(
        _ slot: Int, repeating effect: Effect, now: UInt64
    ) -> Effect {
        guard elapsedSinceProgress(slot, now: now) < patience(of: slot) else {
            return .end(.timedOut)
        }
        countRetry(slot)
        scheduleTimeout(slot, now: now)
        return effect
    }

    private mutating func stepTimeoutSending(_ slot: Int, now: UInt64) -> Effect {
        let before = progress[slot]
        let patience = patience(of: slot)
        guard missingCount(slot) == 0 else {
            // The window is not complete: the pace, the store or the ring keeps us waiting, not the
            // client. But not for ever.
            guard elapsedSinceProgress(slot, now: now) < patience else { return .fail(.notDefined) }
            guard let pause = pause(of: slot) else {
                schedule(slot, in: Limits.timeoutMaxNanoseconds, now: now)
                return .none
            }
            // Woken before the pace allows a block: the pace wakes again for the next one.
            let isEarly = allowance(slot, now: now) == 0
            schedule(slot, in: isEarly ? pause : Limits.timeoutMaxNanoseconds, now: now)
            return .send
        }
        guard elapsedSinceProgress(slot, now: now) < patience else { return .end(.timedOut) }
        if sharesPort && before.flags.contains(.hasDuplicateRequest) {
            return restart(slot, now: now)
        }
        let isLastOut = before.acked + UInt64(before.flight) == before.last
        let retriesMax =
            before.flight > 1 ? Limits.lastWindowRetriesMax : Limits.lastBlockRetriesMax
        if isLastOut && before.flags.contains(.confirmed) && before.retries >= retriesMax {
            return .end(.doneUnacknowledged)
        }
        let isHolding = isHoldingRollover(slot)
        countRetry(slot)
        // Nothing may come of the sending, where the blocks have left memory and the store hangs.
        scheduleTimeout(slot, now: now)
        if before.windowsize > 1 && before.retries < Limits.slowdownsMax { slowPace(slot) }
        if isHolding && speculates(slot) { return .send }
        return asksByLastBlock(slot) ? .send : rewind(slot, now: now)
    }

    /// Whether the last block of the window alone is sent again. A client that has all of the
    /// window repeats its ACK, and one that misses a block of it tells which: either costs one
    /// block. A client that says nothing to it gets the window at the second time-out, and then
    /// every eighth time, because it repeats its ACK by a clock of its own (U-Boot); but the last
    /// window of the file every other time, because its time-outs are counted.
    private mutating func asksByLastBlock(_ slot: Int) -> Bool {
        let before = progress[slot]
        let isLastOut = before.acked + UInt64(before.flight) == before.last
        let isTurn = isLastOut ? before.retries % 2 == 0 : before.retries % 8 == 2
        guard before.windowsize > 1, before.flight > 1, !isTurn,
            policies[Int(flows[slot].kind)].asksByLastBlock
        else { return false }
        progress[slot].flightBefore = max(before.flightBefore, before.flight)
        progress[slot].flight -= 1
        progress[slot].repeatedAcks = 0
        progress[slot].flags.remove(.trusting)
        return true
    }

    /// GRUB never repeats its ACK of 65535 and takes a second 65535 for a block ahead: every other
    /// time-out sends block 0 instead (rule 7).
    private mutating func speculates(_ slot: Int) -> Bool {
        let before = progress[slot]
        guard before.retries % 2 == 0, before.acked + 2 <= before.last else { return false }
        progress[slot].flags.insert(.speculating)
        progress[slot].flight = 1
        return true
    }

    /// As a receiver: repeat the latest ACK, so that the sender continues from there.
    private mutating func stepTimeoutReceiving(_ slot: Int, now: UInt64) -> Effect {
        guard progress[slot].flags.contains(.confirmed) else {
            let hasOACK = progress[slot].flags.contains(.hasOACK)
            return stepTimeoutUnconfirmed(slot, repeating: hasOACK ? .oack : .ack(0), now: now)
        }
        guard elapsedSinceProgress(slot, now: now) < patience(of: slot) else {
            return .end(.timedOut)
        }
        countRetry(slot)
        return acknowledge(slot, now: now)
    }

    private mutating func countRetry(_ slot: Int) {
        progress[slot].retries += 1
    }
}

/// Peers that say nothing, as the server's budgets see them.
extension TransferTable {
    /// How long the peer of `slot` has brought no progress, in nanoseconds.
    package func silenceNanoseconds(of slot: Int, now: UInt64) -> UInt64 {
        elapsedSinceProgress(slot, now: now)
    }

    /// Whether `slot` sends a file to a client that has said nothing for long, although all that it
    /// waits for is out.
    package func isStalled(_ slot: Int, now: UInt64) -> Bool {
        let before = progress[slot]
        return before.phase == .sending && before.flags.contains(.confirmed)
            && missingCount(slot) == 0
            && elapsedSinceProgress(slot, now: now) >= Limits.stallNanoseconds
    }

    /// The deadline of `slot` has passed, but nothing more may be sent before its peer answers:
    /// waits on, or ends it.
    package mutating func stepSilence(_ slot: Int, now: UInt64) -> Effect {
        let (elapsed, patience) = (elapsedSinceProgress(slot, now: now), patience(of: slot))
        guard elapsed < patience else { return .end(.timedOut) }
        schedule(slot, in: patience - elapsed, now: now)
        return .none
    }
}
