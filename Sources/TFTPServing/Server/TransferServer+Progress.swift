internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// Transfers that have blocks due and wait for their visit, and how much of a turn is left for
/// them.
struct VisitQueue: ~Copyable {
    var runQueue: RunQueue
    /// For how many turns a client is taken to wait for a single block.
    var promptTurnsLeft = 0
    /// Visits and bytes of this turn that are left.
    var countLeft = 0
    var byteCountLeft = 0

    init(transfersMax: Int) { runQueue = RunQueue(capacity: transfersMax) }

    var isEmpty: Bool { runQueue.count == 0 }
}

/// DATA out: what is due, and when its visit comes. The driver moves the bytes.
extension TransferServer {
    /// Sends what `slot` has due: a block or a few now, a window when its visit comes.
    ///
    /// A turn's completions may each ask for a window; sent at once, they would delay clients that
    /// wait for one block by as much.
    package mutating func sendDue(_ slot: Int) {
        // Already in the queue, or waiting for an extent: its turn comes.
        guard !table.isWaiting(slot) else { return }
        let windowByteCount = table.windowsize(of: slot) * table.blksize(of: slot)
        guard windowByteCount <= ServingLimits.promptByteCountMax else { return enqueue(slot) }
        visits.promptTurnsLeft = ServingLimits.promptTurns
        orderBlocks(slot, batchesLeft: ServingLimits.batchesPerVisit)
    }

    /// Asks for what is due; after as much as one visit may, the rest waits in the queue.
    private mutating func orderBlocks(_ slot: Int, batchesLeft: Int) {
        let due = table.due(slot, now: now)
        guard due.count > 0 else { return }
        guard !unproven.contains(slot) || mayAnswerByBlock(slot) else { return }
        guard batchesLeft > 0 else { return enqueue(slot) }
        let count = allowedCount(slot, due.count)
        guard count > 0 else { return }
        effects.append(
            .sendBlocks(
                BlockOrder(
                    slot: slot, first: due.first, count: count, batchesLeft: batchesLeft - 1)))
    }

    /// `count` of the blocks that were ordered are on their way; with fewer than there might be, or
    /// none, the transfer may have been parked, or its text has ended.
    package mutating func didSend(_ order: BlockOrder, count: Int) {
        let slot = order.slot
        if count > 0 {
            if order.first == table.ackedBlock(of: slot) + 1 { counters.add(.windowsSent) }
            counters.add(.blocksSent, UInt64(count))
            table.didSend(slot, count: count, now: now)
            if limits.limitsBytes { reservations.didSend(slot, count: count) }
            if unproven.contains(slot) { unproven.setBlockCounted(slot, false) }
            visits.byteCountLeft -= count * table.blksize(of: slot)
        }
        guard !table.isWaiting(slot) else { return }
        orderBlocks(slot, batchesLeft: Int(order.batchesLeft))
    }

    /// What was ordered does not fit before the next turn.
    package mutating func didFindNoRoom(_ order: BlockOrder) { enqueue(order.slot) }

    private mutating func enqueue(_ slot: Int) {
        table.setWaiting(of: slot, .queued)
        visits.runQueue.append(slot, from: table)
    }

    /// Parks `slot` until the store has brought an extent, or this number of units of a handler's
    /// content.
    ///
    /// - Parameter imageByteCount: how large the image is; `.max` while unknown.
    package mutating func park(_ slot: Int, extent: Int, imageByteCount: UInt64) {
        // A client that requests one cold file after the other must not order more than the store
        // has room for.
        guard life.wantsInFlight < table.capacity else { return enqueue(slot) }
        let subject = table.subject(of: slot)
        let byteCount = min(contents[subject].partEnd, imageByteCount)
        table.setWaiting(of: slot, .parked)
        life.wantsInFlight += 1
        counters.add(.transfersParked)
        tellStore(
            .want(
                slot: UInt32(slot), generation: table.generation(of: slot),
                image: contents[subject].image, extent: UInt32(extent),
                end: UInt32(ImageIndex.extentCount(byteCount: byteCount))))
    }

    // MARK: The queue

    /// Begins the visits of a turn.
    package mutating func beginVisits(now: UInt64) {
        self.now = now
        let isBounded = visits.promptTurnsLeft > 0
        visits.byteCountLeft = isBounded ? ServingLimits.windowBytesPerTurn : .max
        visits.promptTurnsLeft = max(0, visits.promptTurnsLeft - 1)
        visits.countLeft = min(visits.runQueue.count, ServingLimits.visitsPerTurn)
    }

    /// Visits the next transfer that waits; false when it is enough for this turn.
    package mutating func visitNext() -> Bool {
        guard visits.countLeft > 0, visits.byteCountLeft > 0,
            let slot = visits.runQueue.popFirst(from: table)
        else { return false }
        visits.countLeft -= 1
        table.setWaiting(of: slot, .nothing)
        orderBlocks(slot, batchesLeft: ServingLimits.batchesPerVisit)
        return true
    }
}
