internal import TFTPCore
internal import TFTPMetrics

/// Bytes a second: when blocks that are due may go out.
extension TransferServer {
    /// How many of `count` blocks that are due may go out now. Where none may, the deadline of
    /// `slot` brings it back.
    mutating func allowedCount(_ slot: Int, _ count: Int) -> Int {
        guard limits.limitsBytes, !makes(.ignoresRate) else { return count }
        if reservations.blockCount(of: slot) == 0, unproven.contains(slot) {
            // A repeated request, or its time-out, tries again.
            guard reserveTurn(slot) else { return 0 }
        }
        if reservations.blockCount(of: slot) == 0 || hasTurn(slot) { reserve(slot, count) }
        let time = reservations.time(of: slot)
        guard time > now else {
            reservations.setAwaited(slot, false)
            return min(count, reservations.blockCount(of: slot))
        }
        if !reservations.isAwaited(slot) { counters.add(.sendsDelayed) }
        reservations.setAwaited(slot, true)
        table.stepHeldBack(slot, nanoseconds: time - now, now: now)
        return 0
    }

    private mutating func reserveTurn(_ slot: Int) -> Bool {
        let time = limits.reserveTurn(
            table.flow(of: slot).peer.address, blksize: table.blksize(of: slot), now: now)
        guard let time else {
            counters.add(.turnsRefused)
            return false
        }
        reservations.reserveTurn(slot, time: time)
        return true
    }

    private func hasTurn(_ slot: Int) -> Bool {
        reservations.isTurn(slot)
            && (reservations.time(of: slot) <= now || !unproven.contains(slot))
    }

    private mutating func reserve(_ slot: Int, _ count: Int) {
        let (blockCount, time) = limits.reserve(
            table.flow(of: slot).peer.address, blockCount: count,
            blksize: table.blksize(of: slot), now: now)
        reservations.reserve(slot, blockCount: blockCount, time: time)
    }

    /// The deadline of `slot` has passed. False when that is about something else than blocks that
    /// are reserved.
    mutating func stepReserved(_ slot: Int) -> Bool {
        guard limits.limitsBytes, reservations.isAwaited(slot) else { return false }
        reservations.setAwaited(slot, false)
        guard !table.isWaiting(slot), table.due(slot, now: now).count > 0 else { return false }
        // Something else may keep the blocks: then the client's silence counts from here on.
        table.stepHeldBack(slot, nanoseconds: nil, now: now)
        sendDue(slot)
        return true
    }

    mutating func cancelReservation(_ slot: Int) {
        guard limits.limitsBytes else { return }
        let isTurn = reservations.isTurn(slot)
        let byteCount = reservations.remove(slot) * table.blksize(of: slot)
        guard byteCount > 0 else { return }
        let address = table.flow(of: slot).peer.address
        if isTurn {
            limits.cancelTurn(address, byteCount: byteCount)
        } else {
            limits.cancel(address, byteCount: byteCount)
        }
    }
}
