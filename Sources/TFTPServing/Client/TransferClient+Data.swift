internal import TFTPCore
internal import TFTPWire

/// DATA in: into the content in its place, acknowledged when there is room for more.
extension TransferClient {
    /// How many bytes of content are in a full block.
    private func contentByteCount(_ slot: Int) -> Int {
        table.blksize(of: slot) - states[slot].sealByteCount
    }

    /// - Parameter payload: what of the block is content.
    mutating func stepData(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        guard table.isReceiver(slot) else { return }
        guard !table.isDallying(slot) else {
            return perform(table.stepData(slot, block: block, byteCount: 0, now: now), slot)
        }
        // DATA 1 instead of an OACK: the server knows no options.
        if table.isRequesting(slot) {
            guard block.rawValue == 1 else { return }
            guard let grant = settle(slot, Options()) else { return }
            begin(slot, grant)
        }
        let blksize = contentByteCount(slot)
        guard payload.byteCount <= blksize else {
            let failure = ClientFailure.overlongBlock(
                byteCount: payload.byteCount, blksize: blksize)
            return fail(slot, .illegalOperation, "Block longer than blksize", failure)
        }
        if !states[slot].knowsRollover { watchRollover(slot, block) }
        switch table.blocksAhead(slot, block) {
        case 1 where block.rawValue == 0 && makes(.forgetsRollover): return
        case 1: take(slot, block, payload)
        case let ahead where ahead > 1 && ahead <= UInt64(table.windowsize(of: slot)):
            keepAhead(slot, block, payload)
        // A repeat of the past, and perhaps a question.
        default:
            perform(stepTable(slot, block, byteCount: payload.byteCount), slot)
        }
    }

    /// Tells the table that this number of bytes of content has come, which may have been more on
    /// the wire.
    private mutating func stepTable(
        _ slot: Int, _ block: BlockNumber, byteCount: Int
    ) -> TransferTable.Effect {
        table.stepData(
            slot, block: block, byteCount: byteCount + states[slot].sealByteCount, now: now)
    }

    /// The next block, and behind it those that were here already.
    private mutating func take(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        // Blocks behind a gap may have been asked for beyond the room there is: the reader's taking
        // asks for them again.
        guard put(slot, payload, at: states[slot].byteCount) else { return hold(slot) }
        let generation = table.generation(of: slot)
        step(slot, block, byteCount: payload.byteCount)
        guard states[slot].ahead.count > 0 else { return }
        while table.isCurrent(slot, generation: generation) {
            let next = table.receivedBlock(of: slot) + 1
            guard states[slot].ahead.contains(next) else { return }
            let byteCount = states[slot].ahead.remove(next, blksize: contentByteCount(slot))
            step(
                slot, BlockNumber(next, rollover: table.rollover(of: slot)), byteCount: byteCount)
        }
    }

    /// Counts the next block, which lies in its place.
    private mutating func step(_ slot: Int, _ block: BlockNumber, byteCount: Int) {
        let end = states[slot].byteCount + UInt64(byteCount)
        guard isWithinLimits(slot, end) else { return }
        let effect = stepTable(slot, block, byteCount: byteCount)
        states[slot].byteCount = end
        switch effect {
        case .take: break
        case .takeAndAck(let last): acknowledge(slot, last)
        case .takeLast: complete(slot)
        default: perform(effect, slot)
        }
    }

    /// Whether this number of bytes is within the limits. If not, the transfer has ended.
    private mutating func isWithinLimits(_ slot: Int, _ byteCount: UInt64) -> Bool {
        let (announced, most) = (states[slot].announced, states[slot].byteCountMax)
        if byteCount > announced {
            let failure = ClientFailure.wrongSize(announced: announced, byteCount: byteCount)
            fail(slot, .diskFull, "More than tsize said", failure)
            return false
        }
        guard byteCount > most else { return true }
        fail(slot, .diskFull, "File too large", .tooLarge(byteCountMax: most))
        return false
    }

    /// A block beyond a gap: kept, so that only what is missing is waited for (RFC 7440 §4 has the
    /// sender repeat it all).
    private mutating func keepAhead(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        let distance = table.blocksAhead(slot, block)
        let number = table.receivedBlock(of: slot) + distance
        let blksize = contentByteCount(slot)
        // Before the number after 65535 is known, the position of this block is ambiguous.
        let isPlaced = states[slot].knowsRollover || number <= 0xFFFF
        if isPlaced, !states[slot].ahead.contains(number) {
            let missing = makes(.misplacesAhead) ? 0 : distance - 1
            let offset = states[slot].byteCount + missing * UInt64(blksize)
            guard put(slot, payload, at: offset) else { return hold(slot) }
            states[slot].ahead.insert(number, byteCount: payload.byteCount, blksize: blksize)
        }
        // The network may only have changed the order. When more has come, or the window is over,
        // it is a gap.
        let isGap =
            states[slot].ahead.count >= ClientLimits.blocksAheadMax || !isPlaced
            || payload.byteCount < blksize || table.endsWindow(slot, number)
        guard isGap else { return }
        perform(stepTable(slot, block, byteCount: payload.byteCount), slot)
    }

    /// Has a block put into its place; false if there is no room, and it counts as lost.
    private mutating func put(_ slot: Int, _ payload: RawSpan, at offset: UInt64) -> Bool {
        guard hasRoom(slot, until: offset + UInt64(payload.byteCount)) else { return false }
        effects.append(.keep(KeepOrder(slot: slot, offset: offset, payload)))
        return true
    }

    /// Whether the ring has room for the content until `end` in addition to what has not been taken
    /// yet.
    private func hasRoom(_ slot: Int, until end: UInt64) -> Bool {
        makes(.overrunsContent)
            || end - states[slot].position.byteCount <= UInt64(states[slot].capacity)
    }

    // MARK: ACKs and back-pressure

    /// A window is here. Its ACK asks for another one, so it waits until there is room for that.
    private mutating func acknowledge(_ slot: Int, _ block: UInt64) {
        if hasRoomForWindow(slot) { sendACK(slot, block) } else { hold(slot) }
    }

    private func hasRoomForWindow(_ slot: Int) -> Bool {
        let byteCount = table.windowsize(of: slot) * contentByteCount(slot)
        return hasRoom(slot, until: states[slot].byteCount + UInt64(byteCount))
    }

    /// The task is behind: it is handed over all there is, and asked to tell when it has taken
    /// some.
    private mutating func hold(_ slot: Int) {
        states[slot].isWaiting = true
        handOver(slot, isPressing: true)
        effects.append(.awaitContent(slot: slot))
    }

    /// The task has taken something: perhaps the ACK that was held back may go.
    mutating func sendHeldACK(_ slot: Int) {
        guard states[slot].isWaiting, !makes(.forgetsHeldACK) else { return }
        guard hasRoomForWindow(slot) else { return hold(slot) }
        states[slot].isWaiting = false
        if case .ack(let block) = table.stepRoom(slot, now: now) { sendACK(slot, block) }
    }

    /// All datagrams that had come together for `slot` have been stepped.
    package mutating func stepArrivalEnd(_ slot: Int) {
        if table.isReceiver(slot) { handOver(slot) }
    }

    /// Hands over what is here, once it is worth it.
    private mutating func handOver(_ slot: Int, isPressing: Bool = false) {
        let byteCount = states[slot].byteCount
        let ready = byteCount - states[slot].handedOverByteCount
        guard ready > 0, !states[slot].hasEnded else { return }
        let isWorthIt =
            isPressing || ready >= UInt64(states[slot].capacity / 4)
            || now - states[slot].handedOverAt >= ClientLimits.handOverNanoseconds
        guard isWorthIt else { return }
        states[slot].handedOverByteCount = byteCount
        states[slot].handedOverAt = now
        let gap = makes(.handsOverGap) && states[slot].ahead.count > 0 ? contentByteCount(slot) : 0
        effects.append(.handOver(slot: slot, byteCount: byteCount + UInt64(gap)))
    }

    /// The last block is here: acknowledged at once, and again when it is repeated.
    private mutating func complete(_ slot: Int) {
        let (byteCount, announced) = (states[slot].byteCount, states[slot].announced)
        guard byteCount == announced || announced == .max else {
            let failure = ClientFailure.wrongSize(announced: announced, byteCount: byteCount)
            return fail(slot, .notDefined, "Less than tsize said", failure)
        }
        if !makes(.forgetsLastBlock) { handOver(slot, isPressing: true) }
        states[slot].isWaiting = false
        perform(table.didCommit(slot, now: now), slot)
        part(slot, .success(summary(slot)))
    }

    // MARK: After block 65535

    /// Finds out whether 0 or 1 follows. In lockstep the block itself tells. In a window 1 may mean
    /// that 0 was lost; but not when the window has begun with it twice, although our ACK had asked
    /// for what follows 65535.
    private mutating func watchRollover(_ slot: Int, _ block: BlockNumber) {
        guard table.receivedBlock(of: slot) == 0xFFFF else { return }
        if block.rawValue == 0 {
            states[slot].knowsRollover = true
        } else if block.rawValue == 1 {
            guard table.windowsize(of: slot) == 1 || states[slot].rolloverDoubts >= 2 else {
                return
            }
            table.setRollover(of: slot, .toOne)
            states[slot].knowsRollover = true
        }
    }

    /// Our ACK of block 65535 goes out once more.
    mutating func doubtRollover(_ slot: Int) {
        guard !states[slot].knowsRollover, table.receivedBlock(of: slot) == 0xFFFF else { return }
        if states[slot].rolloverDoubts < .max { states[slot].rolloverDoubts += 1 }
    }
}
