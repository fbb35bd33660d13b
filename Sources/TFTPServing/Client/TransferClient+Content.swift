internal import TFTPCore
internal import TFTPWire

/// DATA out: what is due and here. The driver moves the bytes.
extension TransferClient {
    // MARK: What the task has done

    /// The task of `slot` has come so far.
    package func noteContent(_ slot: Int, _ position: ContentPosition) {
        states[slot].position = position
    }

    /// The task of `slot` has come so far, and was waited for.
    package mutating func stepContent(_ slot: Int, _ position: ContentPosition, now: UInt64) {
        self.now = now
        // An effect of the step that has ended the transfer may still ask for it.
        guard !states[slot].hasEnded else { return }
        noteContent(slot, position)
        guard !table.isReceiver(slot) else { return sendHeldACK(slot) }
        if !makes(.forgetsToResume) { sendDue(slot) }
    }

    /// What `ClientEffect.awaitContent` asks for: the task had come so far when the driver was
    /// about to wait for it.
    package mutating func stepAwaited(_ slot: Int, _ position: ContentPosition) {
        guard position != states[slot].position else { return }
        stepContent(slot, position, now: now)
    }

    // MARK: Blocks

    /// Sends what is due and here, so much as one visit may; the rest waits in the run queue or for
    /// the task.
    mutating func sendDue(_ slot: Int) {
        guard !states[slot].isQueued else { return }
        states[slot].isWaiting = false
        orderBlocks(slot, batchesLeft: ClientLimits.batchesPerVisit)
    }

    private mutating func orderBlocks(_ slot: Int, batchesLeft: Int) {
        guard table.due(slot, now: now).count > 0 else { return }
        guard batchesLeft > 0 else { return enqueue(slot) }
        let ready = readyCount(slot)
        let due = table.due(slot, now: now)
        guard due.count > 0 else { return }
        guard ready > 0 else { return awaitContent(slot) }
        states[slot].dryAt = 0
        effects.append(
            .sendBlocks(
                ContentOrder(
                    slot: slot, first: due.first, count: min(due.count, ready),
                    end: states[slot].position.byteCount, batchesLeft: batchesLeft - 1)))
    }

    /// `count` of the blocks that were ordered are on their way.
    package mutating func didSend(_ order: ContentOrder, count: Int) {
        table.didSend(order.slot, count: count, now: now)
        orderBlocks(order.slot, batchesLeft: order.batchesLeft)
    }

    /// What was ordered does not fit before the next turn.
    package mutating func didFindNoRoom(_ order: ContentOrder) { enqueue(order.slot) }

    private mutating func enqueue(_ slot: Int) {
        states[slot].isQueued = true
        runQueue.append(slot, from: table)
    }

    /// How many transfers wait for their visit, at most.
    package var visitCount: Int { runQueue.count }

    /// The next transfer that waits, for `visit`; nil when there is none.
    package mutating func nextVisit() -> Int? { runQueue.popFirst(from: table) }

    /// Goes on with what more was due than one visit sends.
    package mutating func visit(_ slot: Int, now: UInt64) {
        self.now = now
        states[slot].isQueued = false
        sendDue(slot)
    }

    /// How many blocks from the next one on are here. Tells the table where the content ends as
    /// soon as that is known.
    private mutating func readyCount(_ slot: Int) -> Int {
        let position = states[slot].position
        var end = position.byteCount / UInt64(table.blksize(of: slot))
        if position.isComplete || makes(.endsEarly) && end > table.ackedBlock(of: slot) {
            // A file that fills its blocks exactly ends with an empty one (RFC 1350 §6).
            end += 1
            table.setLastBlock(slot, end)
        }
        return Int(end) - Int(table.due(slot, now: now).first - 1)
    }

    private mutating func awaitContent(_ slot: Int) {
        states[slot].isWaiting = true
        if states[slot].dryAt == 0 { states[slot].dryAt = now }
        effects.append(.awaitContent(slot: slot))
    }

    /// The server has got more: that part of the ring is free again, once it is worth it.
    mutating func noteAcknowledged(_ slot: Int) {
        let acked = table.ackedBlock(of: slot) * UInt64(table.blksize(of: slot))
        let written = states[slot].position.byteCount
        let byteCount = min(acked, written)
        states[slot].byteCount = byteCount
        let free = byteCount - states[slot].handedOverByteCount
        guard free >= UInt64(states[slot].capacity / 4) || byteCount == written else { return }
        states[slot].handedOverByteCount = byteCount
        effects.append(.handOver(slot: slot, byteCount: byteCount))
    }

    // MARK: Around block 65535

    /// Whether a put has come to the block after 65535. Not in a window, where a server that waits
    /// for 1 would take the block after 0 for it; servers with windows count on from 0.
    func isAtRollover(_ slot: Int) -> Bool {
        !table.isReceiver(slot) && !states[slot].isSealed && table.ackedBlock(of: slot) == 0xFFFF
            && table.windowsize(of: slot) == 1 && !states[slot].isWaiting
    }

    /// Block 0 goes out again, unless the server has made plain that it does not wait for that one.
    mutating func doubtZero(_ slot: Int) {
        guard isAtRollover(slot), states[slot].zeroDoubt.stepRepeat() else { return }
        table.setRollover(of: slot, .toOne)
    }
}
