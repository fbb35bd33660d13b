internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Uploads that a handler takes, or sends where it wants them.
extension StoreThread {
    /// Into the folder, under another name or by another policy than usual.
    mutating func store(_ request: OpenRequest, as bytes: [UInt8]?, _ policy: UploadPolicy?) {
        let pending = unsafe links[request.shard].pendings[Int(request.pending)]
        let policy = policy ?? pending.policy.upload
        guard policy != .deny else { return refuse(request, .forbidden) }
        var name = pending.name
        if let bytes {
            guard let other = unsafe try? FileName(normalising: bytes.span.bytes), other.isWritable
            else {
                return refuse(request, .forbidden)
            }
            name = other
        }
        openUpload(request, name, byteCount: pending.options.tsize ?? 0, policy)
    }

    /// The upload may come, and goes to the handler.
    mutating func take(_ number: UInt32, _ request: OpenRequest) {
        handlerTable.forgetPending(of: request)
        handlerTable[number]?.phase = .taking(HandlerTable.Taking())
        reply(
            .uploadOpened(
                slot: request.slot, generation: request.generation, pending: request.pending,
                upload: handlerTable.uploadName(of: number)), request.shard)
    }

    /// The handler waits for the next bytes.
    mutating func handleAsk(
        _ number: UInt32, _ reader: CheckedContinuation<[UInt8]?, any Error>
    ) {
        guard case .taking(var taking) = handlerTable[number]?.phase, taking.reader == nil,
            taking.end == nil
        else {
            return reader.resume(throwing: CancellationError())
        }
        taking.reader = reader
        handlerTable[number]?.phase = .taking(taking)
        serveReader(number)
    }

    private mutating func serveReader(_ number: UInt32) {
        guard let question = handlerTable[number], case .taking(var taking) = question.phase,
            let reader = taking.reader
        else { return }
        if let (chunk, byteCount) = taking.chunks.first {
            let shard = question.request.shard
            let bytes = unsafe UnsafeRawBufferPointer(
                start: links[shard].chunk(chunk), count: byteCount)
            taking.chunks.removeFirst()
            reader.resume(returning: unsafe Array(bytes))
            reply(.written(chunk: chunk), shard)
        } else if taking.isLastSeen {
            reader.resume(returning: nil)
        } else {
            return
        }
        taking.reader = nil
        handlerTable[number]?.phase = .taking(taking)
    }

    /// A chunk has come for an upload that a handler takes.
    mutating func handTaken(
        _ upload: UInt32, _ shard: Int, _ chunk: UInt32, _ byteCount: Int, isLast: Bool
    ) {
        guard let number = handlerTable.number(ofUpload: upload),
            case .taking(var taking) = handlerTable[number]?.phase
        else { return reply(.written(chunk: chunk), shard) }
        taking.isLastSeen = isLast
        // A handler that has returned already has seen enough of it.
        if byteCount > 0 && taking.end == nil {
            taking.chunks.append((chunk, byteCount))
        } else {
            reply(.written(chunk: chunk), shard)
        }
        handlerTable[number]?.phase = .taking(taking)
        serveReader(number)
        commitTaken(number)
    }

    mutating func handleTakeEnd(_ number: UInt32, isWell: Bool) {
        guard let question = handlerTable[number], case .taking(var taking) = question.phase else {
            return
        }
        for (chunk, _) in taking.chunks { reply(.written(chunk: chunk), question.request.shard) }
        taking.chunks = []
        // Another task of the body may wait in `next` still.
        taking.reader?.resume(throwing: CancellationError())
        taking.reader = nil
        taking.end = isWell
        handlerTable[number]?.phase = .taking(taking)
        guard !isWell else { return commitTaken(number) }
        // The place stays until the shard's `abort`.
        reply(
            .failed(
                slot: question.request.slot, generation: question.request.generation,
                failure: .handler), question.request.shard)
    }

    /// When everything has come and the handler is content with it, the client hears so.
    private mutating func commitTaken(_ number: UInt32) {
        guard let question = handlerTable[number], case .taking(let taking) = question.phase,
            taking.isLastSeen, taking.end == true
        else { return }
        reply(
            .committed(slot: question.request.slot, generation: question.request.generation),
            question.request.shard)
        handlerTable.close(number)
    }

    /// The transfer has ended before its time.
    mutating func abortTaken(_ upload: UInt32) {
        guard let number = handlerTable.number(ofUpload: upload),
            let question = handlerTable[number],
            case .taking(let taking) = question.phase
        else { return }
        for (chunk, _) in taking.chunks { reply(.written(chunk: chunk), question.request.shard) }
        taking.reader?.resume(throwing: CancellationError())
        abandon(number, isTaskEnded: taking.end != nil)
    }
}
