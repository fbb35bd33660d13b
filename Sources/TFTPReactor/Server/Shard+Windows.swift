internal import CLinux
internal import Glibc
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// DATA out: what is due, gathered from the image into batches of equal segments.
extension Shard {
    /// Sends what the server has ordered, as far as one batch goes and the content is in memory.
    mutating func sendBlocks(_ order: BlockOrder) {
        let slot = order.slot
        let subject = server.table.subject(of: slot)
        let isText = server.contents[subject].mode == .netascii
        if order.first == 1 && !fitsSegmented(slot) { setUnsegmented(slot) }
        port.cutsDatagrams = paths.isCut(
            slot, to: server.table.flow(of: slot).peer.address,
            blksize: server.table.blksize(of: slot),
            silenceCount: server.table.silenceCount(of: slot), first: order.first,
            acked: server.table.ackedBlock(of: slot), now: now)
        defer { port.cutsDatagrams = false }
        var count = min(order.count, batchMax(slot))
        if !isText && server.contents[subject].isSupplied {
            count = suppliedCount(slot, first: order.first, count: count)
            guard count > 0 else { return }
        }
        let messageCount = isUnsegmented(slot) ? count : 1
        guard port.outbox.hasRoom(messages: messageCount, segments: count) else {
            return server.didFindNoRoom(order)
        }
        let sent =
            isText
            ? sendText(slot, first: order.first, count: count)
            : sendBatch(slot, first: order.first, count: count)
        if isText {
            let byteCount = sent * server.table.blksize(of: slot)
            traceBlocks(slot, first: order.first, sent, byteCount)
        }
        server.didSend(order, count: sent)
    }

    /// How many blocks go into one batch; where the path takes no segmented sends, how many
    /// messages go out in a row.
    private func batchMax(_ slot: Int) -> Int {
        let fitting = ShardLimits.trainByteCountMax / (server.table.blksize(of: slot) + 4)
        let segmentsMax = min(ShardLimits.segmentsMax, max(1, fitting))
        return isUnsegmented(slot) ? min(ShardLimits.singlesPerVisit, segmentsMax) : segmentsMax
    }

    /// Gathers blocks `first`… from the image and queues them. Returns how many; 0 when the first
    /// is not in memory, and then the slot is parked or has ended.
    private mutating func sendBatch(_ slot: Int, first: UInt64, count: Int) -> Int {
        // Not the entry as a whole: that is 400 bytes.
        let subject = server.table.subject(of: slot)
        let image = server.contents[subject].image
        let part = server.contents[subject].part
        let blksize = server.table.blksize(of: slot)
        var gather = unsafe BlockGather(
            imageIndex: shared.imageIndex, image: image, part: part, blksize: blksize,
            rollover: server.table.rollover(of: slot), headers: shared.headers.start)
        let batch = GSOBatch(first: first, count: count, isSegmented: !isUnsegmented(slot))
        let departure = port.send(
            batch, &gather, to: server.table.flow(of: slot), slot: slot,
            generation: server.table.generation(of: slot))
        link.counters.add(.messagesSent, UInt64(departure.messageCount))
        link.counters.add(.sendsBlocked, UInt64(departure.blockedCount))
        link.counters.add(.bytesSent, UInt64(departure.payloadByteCount))
        traceBlocks(slot, first: first, departure.blockCount, departure.payloadByteCount)
        if departure.blockCount == 0 { park(slot, extent: gather.extentNumber) }
        return departure.blockCount
    }

    /// Parks `slot` until the store has brought an extent, or this number of units of a handler's
    /// content.
    mutating func park(_ slot: Int, extent: Int) {
        let image = server.contents[server.table.subject(of: slot)].image
        server.park(slot, extent: extent, imageByteCount: shared.imageIndex.byteCount(of: image))
    }

    // MARK: Peers that take no segmented sends

    private func unsegmentedPlace(_ slot: Int, _ blksize: UInt16) -> Int {
        let address = server.table.flow(of: slot).peer.address
        let word = (address.high ^ address.low &* 0x9E37_79B9_7F4A_7C15) &+ UInt64(blksize)
        return Int(truncatingIfNeeded: word >> 20 ^ word) & (PathRecord.hashCount - 1)
    }

    func isUnsegmented(_ slot: Int) -> Bool {
        guard configuration.usesSegmentation, !paths.isCut(slot) else { return true }
        guard server.table.windowsize(of: slot) > 1 else { return false }
        let place = unsegmentedPlace(slot, UInt16(server.table.blksize(of: slot)))
        return paths.unsegmented[place / 64] & (1 << UInt64(place % 64)) != 0
    }

    func setUnsegmented(_ slot: Int) {
        let place = unsegmentedPlace(slot, UInt16(server.table.blksize(of: slot)))
        paths.unsegmented[place / 64] |= 1 << UInt64(place % 64)
    }

    /// Whether a block of `slot` passes the link in one piece: the kernel cuts nothing smaller. One
    /// of the default size does, and then the path was not asked about.
    private func fitsSegmented(_ slot: Int) -> Bool {
        let blksize = server.table.blksize(of: slot)
        let flow = server.table.flow(of: slot)
        let mtu = server.mtu(of: slot)
        return mtu == 0 || blksize + 4 + (flow.peer.address.isIPv4 ? 28 : 48) <= mtu
    }

    /// Queues the next `count` vectors of the outbox as one message.
    ///
    /// - Parameter segmentByteCount: what the kernel is to cut it into; 0: it is one datagram.
    private mutating func sendParts(_ slot: Int, parts count: Int, segmentByteCount: Int) {
        let generation = server.table.generation(of: slot)
        let tag =
            segmentByteCount > 0
            ? Tag.batch(slot: slot, generation: generation)
            : Tag.send(slot: slot, generation: generation)
        let isQueued = port.send(
            parts: count, segmentByteCount: segmentByteCount, to: server.table.flow(of: slot),
            tag: tag)
        link.counters.add(isQueued ? .messagesSent : .sendsBlocked)
    }

    // MARK: netascii

    /// Translates and queues blocks `first`…, one by one or as a batch.
    ///
    /// Nothing tells where a block begins in the file but the translation of all before it, so the
    /// entry keeps two places: where the last acknowledged block ends, and where the last one that
    /// was sent does.
    private mutating func sendText(_ slot: Int, first: UInt64, count: Int) -> Int {
        let subject = server.table.subject(of: slot)
        let blksize = server.table.blksize(of: slot)
        guard let scratch = unsafe port.outbox.takeText(byteCount: blksize * count) else {
            return 0
        }
        var position = textPosition(of: subject, before: first)
        while position.block < first - 1 {
            guard unsafe translate(&position, slot, into: scratch.prefix(blksize)) != nil else {
                return 0
            }
            if position.block <= server.table.ackedBlock(of: slot) {
                server.contents[subject].base = position
            }
        }
        if position.block == server.table.ackedBlock(of: slot) {
            server.contents[subject].base = position
        }
        let isSegmented = !isUnsegmented(slot)
        var sent = 0
        var parts = 0
        while sent < count {
            let room = unsafe UnsafeMutableRawBufferPointer(
                rebasing: scratch[(sent * blksize)..<((sent + 1) * blksize)])
            guard let byteCount = unsafe translate(&position, slot, into: room[...]) else { break }
            let number = BlockNumber(position.block, rollover: server.table.rollover(of: slot))
            unsafe port.outbox.nextParts[parts] = shared.headers[number]
            unsafe port.outbox.nextParts[parts + 1] = clinux_part(
                base: room.baseAddress, byte_count: byteCount)
            parts += 2
            sent += 1
            server.contents[subject].end = position
            link.counters.add(.bytesSent, UInt64(byteCount))
            if !isSegmented {
                sendParts(slot, parts: parts, segmentByteCount: 0)
                parts = 0
            }
            if byteCount < blksize {
                server.contents[subject].lastByteCount = UInt16(byteCount)
                server.table.setLastBlock(slot, position.block)
                break
            }
        }
        if parts > 0 {
            sendParts(slot, parts: parts, segmentByteCount: sent > 1 ? blksize + 4 : 0)
        }
        return sent
    }

    /// The nearest known place at or before the end of block `first` - 1: where the latest batch
    /// ended, or after a rewind where the last acknowledged block does.
    private func textPosition(of subject: UInt32, before first: UInt64) -> TextPosition {
        let end = server.contents[subject].end
        return end.block < first ? end : server.contents[subject].base
    }

    /// Translates one block into `room`. Returns its bytes, or nil when what it needs is not in
    /// memory: the slot is parked then and `position` unchanged.
    private mutating func translate(
        _ position: inout TextPosition, _ slot: Int, into room: Slice<UnsafeMutableRawBufferPointer>
    ) -> Int? {
        let entry = server.contents[server.table.subject(of: slot)]
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
