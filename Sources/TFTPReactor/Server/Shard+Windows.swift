internal import CLinux
internal import Glibc
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// DATA out: what is due, gathered from the image into batches of equal segments.
extension Shard {
    /// Sends what `slot` has due: a block or a few now, a window when its visit comes.
    ///
    /// A turn's completions may each ask for a window; sent at once, they would keep who waits for one block as long.
    mutating func sendDue(_ slot: Int) {
        // Already in the queue, or waiting for an extent: its turn comes.
        guard !table.isWaiting(slot) else { return }
        let windowByteCount = table.windowsize(of: slot) * table.blksize(of: slot)
        guard windowByteCount <= ShardLimits.promptByteCountMax else { return enqueue(slot) }
        promptTurnsLeft = ShardLimits.promptTurns
        visit(slot)
    }

    /// Sends what `slot` has due, so much as one visit may; the rest waits in the run queue or for the store.
    ///
    /// - Returns: bytes, about.
    @discardableResult
    mutating func visit(_ slot: Int) -> Int {
        let isText = contents[table.subject(of: slot)].mode == .netascii
        let isSupplied = !isText && contents[table.subject(of: slot)].isSupplied
        var byteCount = 0
        for _ in 0..<ShardLimits.trainsPerVisit {
            let due = table.due(slot, now: now)
            guard due.count > 0 else { return byteCount }
            let batchMax = batchMax(slot)
            var count = min(due.count, batchMax)
            if isSupplied {
                count = suppliedCount(slot, first: due.first, count: count)
                guard count > 0 else { return byteCount }
            }
            let messageCount = isUnsegmented(slot) ? count : 1
            guard port.outbox.hasRoom(messages: messageCount, segments: count) else { break }
            let sent =
                isText
                ? sendText(slot, first: due.first, count: count)
                : sendBatch(slot, first: due.first, count: count)
            if sent > 0 {
                if due.first == table.ackedBlock(of: slot) + 1 { link.counters.add(.windowsSent) }
                link.counters.add(.blocksSent, UInt64(sent))
                table.didSend(slot, count: sent, now: now)
                byteCount += sent * table.blksize(of: slot)
            }
            guard !table.isWaiting(slot) else { return byteCount }
        }
        if table.due(slot, now: now).count > 0 { enqueue(slot) }
        return byteCount
    }

    private mutating func enqueue(_ slot: Int) {
        table.setWaiting(of: slot, .queued)
        runQueue.append(slot, from: table)
    }

    /// How many blocks go into one batch; where the path takes no segmented sends, how many messages go out in a
    /// row.
    private func batchMax(_ slot: Int) -> Int {
        let fitting = ShardLimits.trainByteCountMax / (table.blksize(of: slot) + 4)
        let segmentsMax = min(ShardLimits.segmentsMax, max(1, fitting))
        return isUnsegmented(slot) ? min(ShardLimits.singlesPerVisit, segmentsMax) : segmentsMax
    }

    /// Gathers blocks `first`… from the image and queues them. Returns how many; 0 when the first is not in
    /// memory, and then the slot is parked or has ended.
    private mutating func sendBatch(_ slot: Int, first: UInt64, count: Int) -> Int {
        // Not the entry as a whole: that is 400 bytes.
        let subject = table.subject(of: slot)
        let image = contents[subject].image
        let part = contents[subject].part
        let blksize = table.blksize(of: slot)
        var gather = unsafe BlockGather(
            imageIndex: shared.imageIndex, image: image, part: part, blksize: blksize,
            rollover: table.rollover(of: slot), headers: shared.headers.start)
        let batch = GSOBatch(first: first, count: count, isSegmented: !isUnsegmented(slot))
        let departure = port.send(
            batch, &gather, to: table.flow(of: slot), slot: slot,
            generation: table.generation(of: slot))
        link.counters.add(.messagesSent, UInt64(departure.messageCount))
        link.counters.add(.sendsBlocked, UInt64(departure.blockedCount))
        link.counters.add(.bytesSent, UInt64(departure.payloadByteCount))
        if departure.blockCount == 0 { park(slot, extent: gather.extentNumber) }
        return departure.blockCount
    }

    /// Leaves `slot` until the store has brought an extent, or of what a handler supplies so many units.
    mutating func park(_ slot: Int, extent: Int) {
        // A client that asks for ever other cold files can not make more than the store has room for.
        guard wantsInFlight < table.capacity else {
            enqueue(slot)
            return
        }
        let subject = table.subject(of: slot)
        let image = contents[subject].image
        let byteCount = min(contents[subject].partEnd, shared.imageIndex.byteCount(of: image))
        table.setWaiting(of: slot, .parked)
        wantsInFlight += 1
        link.counters.add(.transfersParked)
        tellStore(
            .want(
                slot: UInt32(slot), generation: table.generation(of: slot), image: image,
                extent: UInt32(extent),
                end: UInt32(ImageIndex.extentCount(byteCount: byteCount))))
    }

    // MARK: Peers that take no segmented sends

    private func unsegmentedPlace(_ slot: Int, _ blksize: UInt16) -> Int {
        let address = table.flow(of: slot).peer.address
        let word = (address.high ^ address.low &* 0x9E37_79B9_7F4A_7C15) &+ UInt64(blksize)
        return Int(truncatingIfNeeded: word >> 20 ^ word) & (Shard.unsegmentedCount - 1)
    }

    func isUnsegmented(_ slot: Int) -> Bool {
        guard configuration.usesSegmentation else { return true }
        guard table.windowsize(of: slot) > 1 else { return false }
        let place = unsegmentedPlace(slot, UInt16(table.blksize(of: slot)))
        return unsegmented[place / 64] & (1 << UInt64(place % 64)) != 0
    }

    func setUnsegmented(_ slot: Int, _ blksize: UInt16? = nil) {
        let place = unsegmentedPlace(slot, blksize ?? UInt16(table.blksize(of: slot)))
        unsegmented[place / 64] |= 1 << UInt64(place % 64)
    }

    /// Whether a segment of `blksize` passes the link in one piece: the kernel cuts nothing smaller.
    func fitsSegmented(_ slot: Int, blksize: Int) -> Bool {
        let flow = table.flow(of: slot)
        guard let mtu = mtu(of: flow.local) else { return true }
        return blksize + 4 + (flow.peer.address.isIPv4 ? 28 : 48) <= Int(mtu)
    }

    // MARK: netascii

    /// Translates and queues blocks `first`…, one by one or as a batch.
    ///
    /// Nothing tells where a block begins in the file but the translation of all before it, so the entry keeps two
    /// places: where the last acknowledged block ends, and where the last one that was sent does.
    private mutating func sendText(_ slot: Int, first: UInt64, count: Int) -> Int {
        let subject = table.subject(of: slot)
        let blksize = table.blksize(of: slot)
        guard let scratch = unsafe port.outbox.takeText(byteCount: blksize * count) else {
            return 0
        }
        var position = textPosition(of: subject, before: first)
        while position.block < first - 1 {
            guard unsafe translate(&position, slot, into: scratch.prefix(blksize)) != nil else {
                return 0
            }
            if position.block <= table.ackedBlock(of: slot) { contents[subject].base = position }
        }
        if position.block == table.ackedBlock(of: slot) { contents[subject].base = position }
        let isSegmented = !isUnsegmented(slot)
        var sent = 0
        var parts = 0
        while sent < count {
            let room = unsafe UnsafeMutableRawBufferPointer(
                rebasing: scratch[(sent * blksize)..<((sent + 1) * blksize)])
            guard let byteCount = unsafe translate(&position, slot, into: room[...]) else { break }
            let number = BlockNumber(position.block, rollover: table.rollover(of: slot))
            unsafe port.outbox.nextParts[parts] = shared.headers[number]
            unsafe port.outbox.nextParts[parts + 1] = iovec(
                iov_base: room.baseAddress, iov_len: byteCount)
            parts += 2
            sent += 1
            contents[subject].end = position
            link.counters.add(.bytesSent, UInt64(byteCount))
            if !isSegmented {
                sendBlocks(slot, parts: parts, segmentByteCount: 0)
                parts = 0
            }
            if byteCount < blksize {
                contents[subject].lastByteCount = UInt16(byteCount)
                table.setLastBlock(slot, position.block)
                break
            }
        }
        if parts > 0 {
            sendBlocks(slot, parts: parts, segmentByteCount: sent > 1 ? blksize + 4 : 0)
        }
        return sent
    }

    /// The nearest known place at or before the end of block `first` - 1: where the latest batch ended, or after a
    /// rewind where the last acknowledged block does.
    private func textPosition(of subject: UInt32, before first: UInt64) -> TextPosition {
        let end = contents[subject].end
        return end.block < first ? end : contents[subject].base
    }

    /// Translates one block into `room`. Returns its bytes, or nil when what it needs is not in memory: the slot is
    /// parked then and `position` unchanged.
    private mutating func translate(
        _ position: inout TextPosition, _ slot: Int, into room: Slice<UnsafeMutableRawBufferPointer>
    ) -> Int? {
        let entry = contents[table.subject(of: slot)]
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: room)
        var next = position
        var output = unsafe OutputRawSpan(buffer: target, initializedCount: 0)
        while !output.isFull && (next.offset < entry.partEnd || next.encoder.hasPending) {
            if next.offset == entry.partEnd {
                _ = next.encoder.encode(RawSpan(), into: &output)
                continue
            }
            let number = Int(next.offset / UInt64(ImageIndex.extentByteCount))
            let start = Int(next.offset % UInt64(ImageIndex.extentByteCount))
            let end = readableByteCount(ofExtent: number, entry)
            guard start < end, let extent = unsafe shared.imageIndex.extent(number, of: entry.image)
            else {
                parkText(slot, extent: number, byteOffset: next.offset)
                _ = unsafe output.finalize(for: target)
                return nil
            }
            let source = unsafe UnsafeRawBufferPointer(start: extent + start, count: end - start)
            let consumed = unsafe next.encoder.encode(source.bytes, into: &output)
            next.offset += UInt64(consumed)
        }
        next.block += 1
        position = next
        return unsafe output.finalize(for: target)
    }
}
