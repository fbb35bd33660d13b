internal import TFTPCore
package import TFTPWire

/// DATA, and the ACKs that answer it.
extension MachineTable {
    /// DATA `block` with a payload of `byteCount` bytes arrived from the server.
    package mutating func stepData(
        _ machine: Int, block: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        progress[machine].turnaround = 0
        switch progress[machine].phase {
        case .idle:
            return .none
        case .requesting:
            return stepDataRequesting(machine, block: block, byteCount: byteCount, now: now)
        case .receiving:
            return stepDataReceiving(machine, block: block, byteCount: byteCount, now: now)
        }
    }

    /// DATA in answer to the request: the server knows no options, the defaults stand (RFC 2347).
    private mutating func stepDataRequesting(
        _ machine: Int, block: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        let index = Int(progress[machine].profile)
        let ending = profiles[index].stages[Int(progress[machine].stage)].ending
        if case .probe(let reply, _) = ending {
            sampleTurnaround(machine, now: now)
            return closeProbe(machine, reply, ack: nil, now)
        }
        if profiles[index].traits.contains(.requiresOACK) {
            progress[machine].flags.insert(.lacksOACK)
            return .none
        }
        guard block.rawValue == 1 else { return .none }
        sampleTurnaround(machine, now: now)
        beginReceiving(machine)
        return stepDataReceiving(machine, block: block, byteCount: byteCount, now: now)
    }

    private mutating func stepDataReceiving(
        _ machine: Int, block: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        guard byteCount <= Int(progress[machine].blksize) else {
            return fail(machine, .overlongBlock, reply: .illegalOperation)
        }
        let index = Int(progress[machine].profile)
        if profiles[index].aheadReaction == .keepAndAck {
            return stepDataIPXE(machine, block: block, byteCount: byteCount, now: now)
        }
        let expected = UInt16(truncatingIfNeeded: progress[machine].expected)
        if block.rawValue == expected {
            return takeNext(machine, byteCount: byteCount, now: now)
        }
        if profiles[index].traits.contains(.anyPacketRestartsTimer) {
            startTimer(machine, now: now)
        }
        if profiles[index].order.isStale(block.rawValue, expected: expected) {
            counters.duplicates += 1
            return stepStale(machine, block: block, now: now)
        }
        return stepAhead(
            machine, block: block, byteCount: byteCount,
            distance: UInt64(block.rawValue &- expected), now: now)
    }

    // MARK: The next block

    /// The block in order, and with it those that were waiting behind it.
    private mutating func takeNext(_ machine: Int, byteCount: Int, now: UInt64) -> Effect {
        sampleTurnaround(machine, now: now)
        var effect = Effect.none
        let block = progress[machine].expected
        effect.accept = noteBlock(machine, block, byteCount: byteCount)
        advance(machine)
        noteProgress(machine, now: now)
        let state = progress[machine]
        if state.expected > state.last {
            return finishLoad(machine, effect)
        }
        if state.expected > state.ackDue {
            effect.ack = acknowledge(machine, now: now)
        } else if profiles[Int(state.profile)].traits.contains(.dataRestartsTimer) {
            startTimer(machine, now: now)
        }
        return effect
    }

    /// Notes a new block and what it says about the end.
    private mutating func noteBlock(
        _ machine: Int, _ block: UInt64, byteCount: Int
    ) -> Accepted {
        let isLast = byteCount < Int(progress[machine].blksize)
        if profiles[Int(progress[machine].profile)].aheadReaction == .keepAndAck {
            // iPXE makes room for the byte behind each block, so a full one is never the last.
            let known = isLast ? block : block + 1
            progress[machine].last = max(progress[machine].last, known)
        } else if isLast {
            progress[machine].last = block
        }
        return Accepted(block: block, isLast: isLast)
    }

    /// Moves `expected` on to the first gap.
    private mutating func advance(_ machine: Int) {
        var isHere = true
        while isHere {
            progress[machine].expected += 1
            isHere = progress[machine].ahead & 1 != 0
            progress[machine].ahead >>= 1
        }
    }

    /// All blocks are here.
    private mutating func finishLoad(_ machine: Int, _ effect: Effect) -> Effect {
        let profile = Int(progress[machine].profile)
        var final = finish(machine, .done)
        final.accept = effect.accept
        final.ack = BlockNumber(progress[machine].expected - 1, rollover: .toZero)
        final.error = profiles[profile].closingReply
        return final
    }

    // MARK: ACKs

    /// Says what is here in order, and waits for what is due on it.
    private mutating func acknowledge(_ machine: Int, now: UInt64) -> BlockNumber {
        let current = progress[machine].expected - 1
        let wire = BlockNumber(current, rollover: .toZero)
        progress[machine].ackDue = current + UInt64(progress[machine].windowsize)
        progress[machine].lastAck = wire.rawValue
        progress[machine].sentAt = now
        progress[machine].flags.insert(.awaiting)
        startTimer(machine, now: now)
        return wire
    }

    mutating func acknowledged(_ machine: Int, now: UInt64) -> Effect {
        acknowledgedOnly(acknowledge(machine, now: now))
    }

    /// Repeats the latest ACK without new data having come. Its answer cannot be told from the
    /// answer to the first ACK, so it gives no round trip.
    mutating func acknowledgedAgain(_ machine: Int, now: UInt64) -> Effect {
        let lastAck = progress[machine].lastAck
        let ack = acknowledge(machine, now: now)
        progress[machine].flags.remove(.awaiting)
        if ack.rawValue == lastAck { counters.retransmittedACKs += 1 }
        return acknowledgedOnly(ack)
    }

    func acknowledgedOnly(_ block: BlockNumber) -> Effect {
        var effect = Effect.none
        effect.ack = block
        return effect
    }

    // MARK: Blocks out of order

    private mutating func stepStale(
        _ machine: Int, block: BlockNumber, now: UInt64
    ) -> Effect {
        let previous = UInt16(truncatingIfNeeded: progress[machine].expected &- 1)
        switch profiles[Int(progress[machine].profile)].staleReaction {
        case .ignore:
            return .none
        case .ackLast:
            return acknowledgedAgain(machine, now: now)
        case .ackNumber:
            counters.retransmittedACKs += 1
            return acknowledgedOnly(block)
        case .ackPrevious:
            // Inside a window the server has no ACK to wait for.
            let isEndOfWindow = previous == progress[machine].lastAck
            guard block.rawValue == previous, isEndOfWindow else { return .none }
            return acknowledgedAgain(machine, now: now)
        case .ackPreviousElseError:
            guard block.rawValue == previous else { return complain(.wrongBlock) }
            return acknowledgedAgain(machine, now: now)
        }
    }

    private mutating func stepAhead(
        _ machine: Int, block: BlockNumber, byteCount: Int, distance: UInt64, now: UInt64
    ) -> Effect {
        let reaction = profiles[Int(progress[machine].profile)].aheadReaction
        if reaction == .keep {
            return stepAheadKeeping(machine, byteCount: byteCount, distance: distance)
        }
        counters.gaps += 1
        switch reaction {
        case .ignore, .keep, .keepAndAck:
            return .none
        case .ackEach:
            return acknowledgedAgain(machine, now: now)
        case .ackOnce:
            return acknowledgeGap(machine, now: now)
        case .error:
            return complain(.wrongBlock)
        }
    }

    /// One ACK a gap (RFC 7440 §4): the rest of the window tells of the same one.
    private mutating func acknowledgeGap(_ machine: Int, now: UInt64) -> Effect {
        let state = progress[machine]
        let current = UInt16(truncatingIfNeeded: state.expected - 1)
        if state.flags.contains(.hasNack) && state.lastNack == current { return .none }
        progress[machine].flags.insert(.hasNack)
        progress[machine].lastNack = current
        return acknowledgedAgain(machine, now: now)
    }

    /// barebox keeps what is in its window, and says nothing until the gap is filled.
    private mutating func stepAheadKeeping(
        _ machine: Int, byteCount: Int, distance: UInt64
    ) -> Effect {
        let block = progress[machine].expected + distance
        guard block <= progress[machine].ackDue else {
            counters.gaps += 1
            return .none
        }
        return keep(machine, block, byteCount: byteCount, distance: distance)
    }

    /// Keeps a block behind a gap. Beyond 64 blocks it counts as lost.
    private mutating func keep(
        _ machine: Int, _ block: UInt64, byteCount: Int, distance: UInt64
    ) -> Effect {
        assert(distance >= 1)
        guard distance <= UInt64(UInt64.bitWidth) else {
            counters.gaps += 1
            return .none
        }
        let bit: UInt64 = 1 << (distance - 1)
        guard progress[machine].ahead & bit == 0 else {
            counters.duplicates += 1
            return .none
        }
        counters.gaps += 1
        progress[machine].ahead |= bit
        var effect = Effect.none
        effect.accept = noteBlock(machine, block, byteCount: byteCount)
        return effect
    }

    private func complain(_ reply: ErrorReply) -> Effect {
        var effect = Effect.none
        effect.error = reply
        return effect
    }

    // MARK: iPXE

    /// iPXE reads a number in the cycle of its first gap, writes the block there, and acknowledges
    /// the first gap.
    ///
    /// So with blocks 1 to 65535 here, another 65535 lands 188 MB farther on and the download never
    /// completes; and a block 0 before that is an error.
    private mutating func stepDataIPXE(
        _ machine: Int, block wire: BlockNumber, byteCount: Int, now: UInt64
    ) -> Effect {
        let expected = progress[machine].expected
        let cycle = expected & ~0xFFFF
        if wire.rawValue == 0 && cycle == 0 { return fail(machine, .blockZeroEarly) }
        let block = cycle + UInt64(wire.rawValue)
        if block == expected { return takeNext(machine, byteCount: byteCount, now: now) }
        if block < expected {
            counters.duplicates += 1
            return acknowledgedAgain(machine, now: now)
        }
        let distance = block - expected
        if distance > 0x7FFF { return fail(machine, .repeated65535) }
        var effect = keep(machine, block, byteCount: byteCount, distance: distance)
        effect.ack = acknowledgedAgain(machine, now: now).ack
        return effect
    }
}

extension ClientProfile.BlockOrder {
    /// Whether the client takes `block`, which it does not expect, for one that it has had.
    func isStale(_ block: UInt16, expected: UInt16) -> Bool {
        switch self {
        case .circular: block &- expected >= 0x8000
        case .numeric: block < expected
        case .signed: Int(expected) - Int(Int16(bitPattern: block)) > 0
        }
    }
}
