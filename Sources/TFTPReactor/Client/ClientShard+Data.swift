internal import Glibc
internal import TFTPCore
internal import TFTPWire

/// DATA in: into the ring in its place, acknowledged when there is room for more.
extension ClientShard {
    /// How many bytes of content are in a full block.
    private func contentByteCount(_ slot: Int) -> Int {
        table.blksize(of: slot) - transferStates[slot].sealByteCount
    }

    /// - Parameter payload: what of the block is content.
    mutating func handleData(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
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
        if !transferStates[slot].knowsRollover { watchRollover(slot, block) }
        switch table.blocksAhead(slot, block) {
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
            slot, block: block, byteCount: byteCount + transferStates[slot].sealByteCount, now: now)
    }

    /// The next block, and behind it those that were here already.
    private mutating func take(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        // Blocks behind a gap may have been asked for beyond the room there is: the reader's taking
        // asks for them again.
        guard put(slot, payload, at: transferStates[slot].byteCount) else { return hold(slot) }
        let generation = table.generation(of: slot)
        step(slot, block, byteCount: payload.byteCount)
        guard transferStates[slot].ahead.count > 0 else { return }
        while table.isCurrent(slot, generation: generation) {
            let next = table.receivedBlock(of: slot) + 1
            guard transferStates[slot].ahead.contains(next) else { return }
            let byteCount = transferStates[slot].ahead.remove(next, blksize: contentByteCount(slot))
            step(
                slot, BlockNumber(next, rollover: table.rollover(of: slot)), byteCount: byteCount)
        }
    }

    /// Counts the next block, which lies in its place.
    private mutating func step(_ slot: Int, _ block: BlockNumber, byteCount: Int) {
        let end = transferStates[slot].byteCount + UInt64(byteCount)
        guard isWithinLimits(slot, end) else { return }
        let effect = stepTable(slot, block, byteCount: byteCount)
        transferStates[slot].byteCount = end
        switch effect {
        case .take: break
        case .takeAndAck(let last): acknowledge(slot, last)
        case .takeLast: complete(slot)
        default: perform(effect, slot)
        }
    }

    /// Whether this number of bytes is within the limits. If not, the transfer has ended.
    private mutating func isWithinLimits(_ slot: Int, _ byteCount: UInt64) -> Bool {
        if byteCount > transferStates[slot].announced {
            let failure = ClientFailure.wrongSize(
                announced: transferStates[slot].announced, byteCount: byteCount)
            fail(slot, .diskFull, "More than tsize said", failure)
            return false
        }
        guard let transfer = unsafe transferStates[slot].transfer else { return false }
        let byteCountMax = unsafe transfer._withUnsafeGuaranteedRef { $0.request.byteCountMax }
        guard byteCount > byteCountMax else { return true }
        fail(slot, .diskFull, "File too large", .tooLarge(byteCountMax: byteCountMax))
        return false
    }

    /// A block beyond a gap: kept, so that only what is missing is waited for (RFC 7440 §4 has the
    /// sender repeat it all).
    private mutating func keepAhead(_ slot: Int, _ block: BlockNumber, _ payload: RawSpan) {
        let distance = table.blocksAhead(slot, block)
        let number = table.receivedBlock(of: slot) + distance
        let blksize = contentByteCount(slot)
        // Before the number after 65535 is known, the position of this block is ambiguous.
        let isPlaced = transferStates[slot].knowsRollover || number <= 0xFFFF
        if isPlaced, !transferStates[slot].ahead.contains(number) {
            let offset = transferStates[slot].byteCount + (distance - 1) * UInt64(blksize)
            guard put(slot, payload, at: offset) else { return hold(slot) }
            transferStates[slot].ahead.insert(
                number, byteCount: payload.byteCount, blksize: blksize)
        }
        // The network may only have changed the order. When more has come, or the window is over,
        // it is a gap.
        let isGap =
            transferStates[slot].ahead.count >= ClientLimits.blocksAheadMax || !isPlaced
            || payload.byteCount < blksize || table.endsWindow(slot, number)
        guard isGap else { return }
        perform(stepTable(slot, block, byteCount: payload.byteCount), slot)
    }

    /// Copies a block to its place in the ring; false if there is no room, and it counts as lost.
    private mutating func put(_ slot: Int, _ payload: RawSpan, at offset: UInt64) -> Bool {
        guard let transfer = unsafe transferStates[slot].transfer else { return false }
        let byteCount = payload.byteCount
        guard hasRoom(slot, until: offset + UInt64(byteCount)) else { return false }
        // A whole number of blocks fits the ring, so none lies across its end.
        let place = unsafe transfer._withUnsafeGuaranteedRef { transfer in
            unsafe transfer.piece(at: offset, count: byteCount)
        }
        unsafe payload.withUnsafeBytes { unsafe place.copyMemory(from: $0) }
        return true
    }

    /// Whether the ring has room for the content until `end` in addition to what has not been read
    /// yet.
    private mutating func hasRoom(_ slot: Int, until end: UInt64) -> Bool {
        guard let transfer = unsafe transferStates[slot].transfer else { return true }
        let capacity = unsafe transfer._withUnsafeGuaranteedRef { UInt64($0.capacity) }
        if end - transferStates[slot].seenByteCount <= capacity { return true }
        // The reader has got further since it was last looked at, perhaps.
        transferStates[slot].seenByteCount = unsafe transfer._withUnsafeGuaranteedRef {
            $0.consumedByteCount
        }
        return end - transferStates[slot].seenByteCount <= capacity
    }

    // MARK: ACKs and back-pressure

    /// A window is here. Its ACK asks for another one, so it waits until there is room for that.
    private mutating func acknowledge(_ slot: Int, _ block: UInt64) {
        if hasRoomForWindow(slot) { sendACK(slot, block) } else { hold(slot) }
    }

    private mutating func hasRoomForWindow(_ slot: Int) -> Bool {
        let byteCount = table.windowsize(of: slot) * contentByteCount(slot)
        return hasRoom(slot, until: transferStates[slot].byteCount + UInt64(byteCount))
    }

    /// The reader is behind: it is shown all there is, and asked to tell when it has taken some.
    private mutating func hold(_ slot: Int) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        transferStates[slot].isWaiting = true
        show(slot, isPressing: true)
        unsafe transfer._withUnsafeGuaranteedRef { $0.leaveWord() }
        if hasRoomForWindow(slot) { sendHeldACK(slot) }
    }

    /// The reader has taken something: perhaps the ACK that was held back may go.
    mutating func sendHeldACK(_ slot: Int) {
        guard transferStates[slot].isWaiting else { return }
        guard hasRoomForWindow(slot) else { return hold(slot) }
        transferStates[slot].isWaiting = false
        if case .ack(let block) = table.stepRoom(slot, now: now) { sendACK(slot, block) }
    }

    /// Shows the reader what is here, once it is worth it.
    mutating func show(_ slot: Int, isPressing: Bool = false) {
        guard table.isReceiver(slot), let transfer = unsafe transferStates[slot].transfer else {
            return
        }
        let transferState = transferStates[slot]
        let unseen = transferState.byteCount - transferState.shownByteCount
        guard unseen > 0 else { return }
        unsafe transfer._withUnsafeGuaranteedRef { transfer in
            transfer.noteProgress(transferState.byteCount)
            let isWorthIt =
                isPressing || unseen >= UInt64(transfer.capacity / 4)
                || now - transferState.shownAt >= ClientLimits.handOverNanoseconds
            guard isWorthIt else { return }
            transferStates[slot].shownByteCount = transferState.byteCount
            transferStates[slot].shownAt = now
            transfer.publishWritten(transferState.byteCount)
        }
    }

    /// The last block is here: acknowledged at once, and again when it is repeated.
    private mutating func complete(_ slot: Int) {
        let byteCount = transferStates[slot].byteCount
        guard byteCount == transferStates[slot].announced || transferStates[slot].announced == .max
        else {
            let failure = ClientFailure.wrongSize(
                announced: transferStates[slot].announced, byteCount: byteCount)
            return fail(slot, .notDefined, "Less than tsize said", failure)
        }
        show(slot, isPressing: true)
        transferStates[slot].isWaiting = false
        perform(table.didCommit(slot, now: now), slot)
        part(slot, .success(summary(slot)))
    }

    func summary(_ slot: Int) -> ClientSummary {
        let summary = table.summary(of: slot, now: now)
        return ClientSummary(
            byteCount: progress(slot), nanoseconds: now - transferStates[slot].startedAt,
            blksize: summary.blksize, windowsize: summary.windowsize,
            options: transferStates[slot].granted,
            retransmissionCount: transferStates[slot].repeatCount
                + UInt64(summary.retransmissionCount),
            peer: summary.flow.peer)
    }

    // MARK: After block 65535

    /// Finds out whether 0 or 1 follows. In lockstep the block itself tells. In a window 1 may mean
    /// that 0 was lost; but not when the window has begun with it twice, although our ACK had asked
    /// for what follows 65535.
    private mutating func watchRollover(_ slot: Int, _ block: BlockNumber) {
        guard table.receivedBlock(of: slot) == 0xFFFF else { return }
        if block.rawValue == 0 {
            transferStates[slot].knowsRollover = true
        } else if block.rawValue == 1 {
            guard table.windowsize(of: slot) == 1 || transferStates[slot].rolloverDoubts >= 2 else {
                return
            }
            table.setRollover(of: slot, .toOne)
            transferStates[slot].knowsRollover = true
        }
    }

    /// Our ACK of block 65535 goes out once more.
    mutating func doubtRollover(_ slot: Int) {
        guard !transferStates[slot].knowsRollover, table.receivedBlock(of: slot) == 0xFFFF else {
            return
        }
        if transferStates[slot].rolloverDoubts < .max { transferStates[slot].rolloverDoubts += 1 }
    }
}
