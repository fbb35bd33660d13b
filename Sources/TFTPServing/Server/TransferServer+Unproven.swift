internal import TFTPCore
internal import TFTPMetrics
internal import TFTPWire

/// Clients that have acknowledged nothing: their addresses may be forged, so what they cost is
/// bounded.
extension TransferServer {
    /// The client of `slot` has acknowledged something: no forged address does. Its network gets
    /// back what it was sent.
    mutating func noteIfProven(_ slot: Int) {
        guard table.isConfirmed(slot), unproven.contains(slot) else { return }
        let spent = unproven.remove(slot)
        budget.giveBack(
            table.flow(of: slot).peer.address, byteCount: spent.byteCount,
            answerCount: spent.answerCount, now: now)
    }

    /// Whether a client that has proven nothing has been sent all that it may be.
    func isSpent(_ slot: Int) -> Bool {
        unproven.contains(slot) && !unproven.mayRepeat(slot) && !makes(.answersEverything)
    }

    /// Whether a packet of `byteCount` bytes may go out for `slot`; then it is counted. A proven
    /// client may be sent anything.
    mutating func mayAnswer(
        _ slot: Int, byteCount: Int, cost: Int = ReplyBudget.answerCost
    ) -> Bool {
        guard unproven.contains(slot), !makes(.answersEverything) else { return true }
        guard unproven.mayAnswer(slot, byteCount: byteCount),
            budget.take(
                table.flow(of: slot).peer.address,
                requestByteCount: unproven.requestByteCount(of: slot), byteCount: byteCount,
                cost: cost, now: now)
        else {
            counters.add(.repliesWithheld)
            return false
        }
        unproven.didAnswer(slot, byteCount: byteCount, now: now)
        return true
    }

    /// The same for the first block of a file, for a request without options. It is counted once,
    /// even if it has to wait for its content.
    mutating func mayAnswerByBlock(_ slot: Int) -> Bool {
        if unproven.isBlockCounted(slot) { return true }
        let byteCount = Packet.headerByteCount + table.blksize(of: slot)
        guard mayAnswer(slot, byteCount: byteCount) else { return false }
        unproven.setBlockCounted(slot, true)
        return true
    }

    /// Whether an ERROR may go to a sender that has no transfer; then it is counted.
    mutating func takeErrorBudget(
        _ flow: Flow, requestByteCount: Int, messageByteCount: Int
    ) -> Bool {
        let mayGo = budget.take(
            flow.peer.address, requestByteCount: requestByteCount,
            byteCount: Packet.errorByteCountMin + messageByteCount, cost: ReplyBudget.errorCost,
            now: now)
        if !mayGo { counters.add(.repliesWithheld) }
        return mayGo
    }

    /// A client that never answered may not exist: few of those are worth a line each.
    mutating func isWorthARecord(_ slot: Int, _ outcome: Outcome) -> Bool {
        guard outcome == .timedOut, unproven.contains(slot) else { return true }
        guard !silentRecords.take(now: now) else { return true }
        counters.add(.transfersFailed)
        return false
    }

    /// A busy server says once a minute what is wanting (`ShortageLog`): few of those that it
    /// refuses are worth a line each.
    mutating func isWorthALine(_ reason: RefusalReason) -> Bool {
        reason != .busy || silentRecords.take(now: now)
    }

    // MARK: Making room

    /// Lets the oldest unproven transfer make way where they have their share of the table, or it
    /// is full.
    ///
    /// - Returns: `rival`, unless that is the one.
    mutating func makeRoom(keeping rival: Int?) -> Int? {
        guard table.isFull || unproven.isFull, !makes(.evictsNone) else { return rival }
        if let slot = unproven.evictable(now: now) {
            counters.add(.transfersEvicted)
            release(slot)
            return rival == slot ? nil : rival
        }
        guard table.isFull, let slot = stalledDownload() else { return rival }
        counters.add(.transfersEvicted)
        sendError(slot, .notDefined, "Server busy, the transfer makes no progress")
        end(slot, .timedOut)
        return rival == slot ? nil : rival
    }

    /// A download whose client is silent: the one that has been so for the longest of the next few.
    private mutating func stalledDownload() -> Int? {
        var victim: Int?
        for _ in 0..<min(TransferServer.stallLooksMax, table.capacity) {
            life.stallHand = (life.stallHand + 1) % table.capacity
            guard table.isStalled(life.stallHand, now: now) else { continue }
            let isLonger =
                victim.map {
                    table.silenceNanoseconds(of: $0, now: now)
                        < table.silenceNanoseconds(of: life.stallHand, now: now)
                } ?? true
            if isLonger { victim = life.stallHand }
        }
        return victim
    }

    /// Makes sure that an upload can begin: where all slots are taken, one whose client has proven
    /// nothing in time makes way, else the one that has not moved for the longest time, else the
    /// slowest. False when none does.
    mutating func makeUploadRoom() -> Bool {
        guard uploads.isFull else { return true }
        guard let victim = uploadInTheWay() else { return false }
        counters.add(.uploadsEvicted)
        if unproven.contains(victim) {
            release(victim)
        } else {
            sendError(victim, .notDefined, "Server busy, the upload makes no progress")
            end(victim, .timedOut)
        }
        return !uploads.isFull
    }

    /// The transfer whose upload would make way for another; nil when all of them move.
    func uploadInTheWay() -> Int? {
        var victim: Int?
        var victimRank: UInt64 = 0
        for number in 0..<uploads.capacity {
            guard let rank = stallRank(UInt32(number)), rank > victimRank else { continue }
            (victim, victimRank) = (Int(uploads[UInt32(number)].slot), rank)
        }
        return victim
    }

    /// How much an upload is in the way; nil when it moves, or waits for the store.
    private func stallRank(_ number: UInt32) -> UInt64? {
        let upload = uploads[number]
        guard upload.isInUse, !upload.isHandedOver else { return nil }
        let slot = Int(upload.slot)
        let silence = table.silenceNanoseconds(of: slot, now: now)
        if unproven.contains(slot) {
            return unproven.isEvictable(slot, now: now) ? 1 << 63 | silence : nil
        }
        if silence >= ServingLimits.stalledNanoseconds { return 1 << 62 | silence }
        // It moves, but so slowly that it may have been made to take the place.
        let seconds = UInt64(table.ageMilliseconds(of: slot, now: now) / 1000)
        guard seconds >= ServingLimits.slowUploadSecondsMin else { return nil }
        let bytesPerSecond = upload.receivedByteCount / seconds
        let least = ServingLimits.uploadBytesPerSecondMin
        return bytesPerSecond < least ? least - bytesPerSecond : nil
    }
}
