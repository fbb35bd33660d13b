internal import TFTPCore
internal import TFTPMetrics
internal import TFTPWire

/// DATA in: payload into chunks, chunks to the store.
extension TransferServer {
    /// - Parameter sealByteCount: how much longer than `payload` the block is on the wire.
    mutating func stepData(
        _ slot: Int, block: BlockNumber, payload: RawSpan, sealByteCount: Int
    ) {
        let subject = table.subject(of: slot)
        guard table.isReceiver(slot), subject != TransferServer.noPending, !table.isOpening(slot)
        else {
            return
        }
        let upload = contents[subject].upload
        // With no room the block is as good as lost, and the client sends it again.
        guard table.isDallying(slot) || hasRoom(upload, byteCount: payload.byteCount) else {
            counters.add(.uploadBlocksDropped)
            return
        }
        let isUnproven = !table.isConfirmed(slot)
        let effect = table.stepData(
            slot, block: block, byteCount: payload.byteCount + sealByteCount, now: now)
        if isUnproven { noteIfProven(slot) }
        settleRivals()
        switch effect {
        case .take:
            _ = keep(payload, slot, subject)
        case .takeAndAck(let block):
            if makes(.losesPayload) || keep(payload, slot, subject) { sendAck(slot, block) }
        case .takeLast:
            guard keep(payload, slot, subject) else { return }
            if makes(.acknowledgesUnstored) { sendAck(slot, table.receivedBlock(of: slot)) }
            finishText(subject)
            flush(upload, isLast: true)
        case .ack
        where makes(.keepsDuplicates) && !table.isDallying(slot) && !uploads[upload].isHandedOver:
            if keep(payload, slot, subject) { perform(effect, slot) }
        case .none, .request, .oack, .send, .ack, .fail, .end:
            perform(effect, slot)
        }
    }

    /// Makes sure that `byteCount` bytes more can be kept.
    private mutating func hasRoom(_ upload: UInt32, byteCount: Int) -> Bool {
        let state = uploads[upload]
        guard !state.isHandedOver else { return true }
        if state.chunk != ReceptionTable.noChunk {
            // One more for a lone CR that the end of a text may leave behind.
            guard state.chunkByteCount + byteCount + 1 > ServingLimits.chunkByteCount else {
                return true
            }
            flush(upload, isLast: false)
        }
        return uploads.takeChunk(for: upload)
    }

    /// Appends `payload`. False when that made the upload too large, and the transfer has ended.
    private mutating func keep(_ payload: RawSpan, _ slot: Int, _ subject: UInt32) -> Bool {
        let number = contents[subject].upload
        let isText = contents[subject].mode == .netascii
        var upload = uploads[number]
        let before = upload.chunkByteCount
        withChunk(upload) { output in
            if isText {
                _ = upload.decoder.decode(payload, into: &output)
            } else {
                output.append(contentsOf: payload)
            }
        } wrote: {
            upload.chunkByteCount = $0
        }
        upload.receivedByteCount += UInt64(upload.chunkByteCount - before)
        uploads[number] = upload
        counters.add(.bytesReceived, UInt64(payload.byteCount))
        guard upload.receivedByteCount > upload.byteCountMax else { return true }
        sendError(slot, .diskFull, "File too large")
        end(slot, .failed, errorCode: .diskFull)
        return false
    }

    /// A text may end in a CR that waited for what follows it.
    private mutating func finishText(_ subject: UInt32) {
        guard contents[subject].mode == .netascii else { return }
        let number = contents[subject].upload
        var upload = uploads[number]
        withChunk(upload) { output in
            upload.decoder.finish(into: &output)
        } wrote: {
            upload.chunkByteCount = $0
        }
        uploads[number] = upload
    }

    /// Lets `write` append to the chunk being filled, and tells how full it is then.
    private func withChunk(
        _ upload: ReceptionTable.Upload, _ write: (inout OutputRawSpan) -> Void,
        wrote: (Int) -> Void
    ) {
        assert(upload.chunk != ReceptionTable.noChunk)
        let memory = unsafe UnsafeMutableRawBufferPointer(
            start: memory.chunk(upload.chunk), count: ServingLimits.chunkByteCount)
        var output = unsafe OutputRawSpan(
            buffer: memory, initializedCount: upload.chunkByteCount)
        write(&output)
        wrote(unsafe output.finalize(for: memory))
    }

    /// Hands the chunk being filled to the store.
    private mutating func flush(_ number: UInt32, isLast: Bool) {
        let upload = uploads[number]
        assert(upload.chunk != ReceptionTable.noChunk)
        uploads.handOver(upload.chunk, of: number)
        tellStore(
            .write(
                upload: upload.storeUpload, chunk: upload.chunk,
                byteCount: UInt32(upload.chunkByteCount), isLast: isLast))
        uploads[number].chunk = ReceptionTable.noChunk
        uploads[number].chunkByteCount = 0
        uploads[number].isHandedOver = isLast
    }

    /// The transfer has ended, well or not: what is not yet with the store is forgotten.
    mutating func abandonUpload(_ number: UInt32) {
        guard number != ReceptionTable.noUpload else { return }
        let upload = uploads[number]
        if upload.chunk != ReceptionTable.noChunk { uploads.freeChunks.give(upload.chunk) }
        // Of what a handler takes, the store forgets nothing by itself before it is committed.
        if !upload.isHandedOver || upload.isTaken { tellStore(.abort(upload: upload.storeUpload)) }
        uploads.release(number)
    }
}

extension OutputRawSpan {
    /// Appends all of `bytes`; there must be room.
    @_lifetime(self: copy self)
    fileprivate mutating func append(contentsOf bytes: RawSpan) {
        precondition(freeCapacity >= bytes.byteCount)
        for index in 0..<bytes.byteCount {
            // In bounds: the loop ends at the span's own count.
            append(unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
        }
    }
}
