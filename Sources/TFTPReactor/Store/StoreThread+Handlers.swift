internal import CLinux
internal import Dispatch
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Requests that handlers answer: runs the tasks, moves the bytes, and carries out what
/// `HandlerTable` decides.
extension StoreThread {
    // MARK: Requests

    mutating func ask(_ request: OpenRequest, _ template: NameTemplate? = nil) {
        guard let handler = handlers.handler else { return refuse(request.client, .forbidden) }
        let client = request.client
        let pending = unsafe links[client.shard].pendings[Int(client.pending)]
        var request = request
        request.isAsked = true
        var asked = handlerRequest(pending, client)
        asked.template = template
        // What a sealed request asks for, only who opens it knows.
        if pending.opcode == .rrq && !pending.isSealed {
            do throws(StoreFailure) {
                try place(&request, pending.name)
            } catch {
                // A snapshot that is not here may be somewhere else.
                guard error == .notFound else { return refuse(client, error) }
            }
            asked.place = request.place
        }
        guard let id = handlers.table.open(client, now: clinux_now()) else {
            return refuse(client, .busy)
        }
        var row = StoreHandlers.Row(request, asked)
        row.task = handlers.queue.ask(handler, asked, id)
        handlers.rows[Int(id.number)] = row
    }

    private func handlerRequest(
        _ pending: PendingRequest, _ client: StoreClient
    ) -> HandlerRequest {
        let note = unsafe links[client.shard].notes[Int(client.pending)]
        var asked = HandlerRequest(
            opcode: pending.opcode, name: pending.name.byteArray, peer: note.peer,
            local: note.local,
            mode: pending.mode, options: pending.options)
        if pending.isSealed {
            let sealed = unsafe links[client.shard].sealedPendings[Int(client.pending)]
            let packet = (0..<sealed.byteCount).map { sealed.packet[$0] }
            asked.sealed = (packet, sealed.limits)
        }
        asked.snapshots = snapshots
        return asked
    }

    /// The client has gone, or asked for something else.
    mutating func giveUp(pending: UInt32, _ shard: Int) {
        handlers.table.stepGiveUp(pending: pending, shard: shard, &cache)
        carryOutHandlers()
    }

    // MARK: Messages

    /// Takes what handlers have said, as long as there are operations for what follows from it, and
    /// what is late.
    mutating func takeHandlerMessages() {
        handlers.receive()
        while ring.freeCountForRequests > 0,
            let message = handlers.takeMessage()
        {
            step(message)
            carryOutHandlers()
        }
        handlers.table.stepTime(now: clinux_now(), &cache)
        carryOutHandlers()
    }

    private mutating func step(_ message: HandlerMessage) {
        // A writer or a reader may outlive its body, and its row is another request's then.
        guard handlers.table.isOpen(message.id) else { return message.giveUp() }
        let number = message.id.number
        let now = clinux_now()
        switch message {
        case .answered(_, let answer): settle(number, answer)
        case .sealed(_, let seal): noteSeal(number, seal)
        case .begins(_, let answer, let continuation):
            continuation.resume(returning: begin(number, answer))
        case .supplied(_, let bytes, let writer):
            guard handlers.table.takesBytes(number) else { return message.giveUp() }
            handlers.rows[Int(number)]?.writer = writer
            supply(number, bytes, hasWriter: true)
        case .progressed(_, let writer):
            guard handlers.table.takesBytes(number) else { return message.giveUp() }
            handlers.table.stepProgress(number, now: now, cache)
            writer.resume()
        case .wantsNext(_, let consumer):
            guard handlers.table.stepNext(number) else { return message.giveUp() }
            handlers.rows[Int(number)]?.consumer = consumer
        case .ended(_, let isWell): handlers.table.stepEnd(number, isWell: isWell, &cache)
        case .shares(_, let content, let task):
            task.resume(returning: share(content, with: number, now))
        case .reads(_, let offset, let byteCount, let reader):
            guard
                handlers.table.stepRead(
                    number, offset: offset, byteCount: byteCount, now: now, &cache)
            else { return message.giveUp() }
            handlers.rows[Int(number)]?.reader = reader
        case .stopsReading: handlers.table.stepLeave(number, &cache)
        }
    }

    /// The shard hears of the seal before the answer, so that it never sends anything in the plain.
    private mutating func noteSeal(_ number: UInt32, _ seal: TransferSeal) {
        guard handlers.table.waits(number), let client = handlers.rows[Int(number)]?.request.client
        else { return }
        unsafe reply(
            .sealed(
                slot: client.slot, generation: client.generation, seal: .passRetained(seal)),
            client.shard)
    }

    /// The whole answer is here.
    private mutating func settle(_ number: UInt32, _ answer: HandlerAnswer) {
        guard let row = handlers.rows[Int(number)] else { return }
        switch answer {
        case .bytes(let bytes, let key):
            let isWanted = handlers.table.stepStream(
                number, byteCount: UInt64(bytes.count), key: key, now: clinux_now(), &cache)
            if isWanted { supply(number, bytes, hasWriter: false, isLast: true) }
        case .refused(let code, let text):
            if handlers.table.stepAnswer(number) { refuse(row.request.client, code, text) }
        case .file where row.asked.opcode == .rrq:
            if handlers.table.stepAnswer(number) { find(row.request) }
        case .store(let name, let policy) where row.asked.opcode == .wrq:
            if handlers.table.stepAnswer(number) { store(row.request, as: name, policy) }
        case .file, .store, .stream, .take, .sealed:
            assertionFailure("an answer fits its request, and what has a body begins")
            handlers.table.stepWrongAnswer(number)
        }
    }

    /// An answer with a body. False when the body need not run, and then the task has ended.
    private mutating func begin(_ number: UInt32, _ answer: HandlerAnswer) -> Bool {
        switch answer {
        case .stream(let byteCount, let key, _):
            return handlers.table.stepStream(
                number, byteCount: byteCount, key: key, now: clinux_now(), &cache)
        case .take: return handlers.table.stepConsume(number)
        case .file, .bytes, .store, .refused, .sealed:
            assertionFailure("only what has a body begins")
            handlers.table.stepWrongAnswer(number)
            return false
        }
    }

    mutating func refuse(_ request: OpenRequest, _ code: ErrorCode, _ text: String) {
        refuse(request.client, code, text)
    }

    private mutating func refuse(_ client: StoreClient, _ code: ErrorCode, _ text: String) {
        let note = unsafe links[client.shard].notes + Int(client.pending)
        unsafe note.pointee.setRefusal(code, text)
        reply(
            .refusedByHandler(
                slot: client.slot, generation: client.generation, pending: client.pending),
            client.shard)
    }

    /// Into the folder, under another name or by another policy than usual.
    private mutating func store(
        _ request: OpenRequest, as bytes: [UInt8]?, _ policy: UploadPolicy?
    ) {
        let client = request.client
        let pending = unsafe links[client.shard].pendings[Int(client.pending)]
        let policy = policy ?? pending.policy.upload
        guard policy != .deny else { return refuse(client, .forbidden) }
        var name = pending.name
        if let bytes {
            guard let other = unsafe try? FileName(normalising: bytes.span.bytes), other.isWritable
            else { return refuse(client, .forbidden) }
            name = other
        }
        openUpload(request, name, byteCount: pending.options.tsize ?? 0, policy)
    }

    /// A row that reads `content`, which is streamed from now on unless it is already.
    private mutating func share(
        _ content: SharedContent, with number: UInt32, _ now: UInt64
    ) -> RequestID? {
        guard let request = handlers.rows[Int(number)]?.request,
            let (reader, streamer) = handlers.table.stepShare(
                number, key: content.key, byteCount: content.byteCount, now: now, &cache)
        else { return nil }
        handlers.rows[Int(reader.number)] = StoreHandlers.Row(request, content.request)
        if let streamer {
            var row = StoreHandlers.Row(request, content.request)
            row.task = handlers.queue.supply(content, streamer)
            handlers.rows[Int(streamer.number)] = row
        }
        return reader
    }

    // MARK: Bytes

    private mutating func supply(
        _ number: UInt32, _ bytes: [UInt8], hasWriter: Bool, isLast: Bool = false
    ) {
        handlers.rows[Int(number)]?.bytes = bytes
        handlers.rows[Int(number)]?.doneByteCount = 0
        handlers.table.stepSupply(
            number, byteCount: bytes.count, hasWriter: hasWriter, isLast: isLast)
        fill(number)
    }

    /// Moves what was handed in to the image, as far as there is room.
    mutating func fill(_ number: UInt32) {
        guard let row = handlers.rows[Int(number)] else { return }
        var doneByteCount = row.doneByteCount
        let arena = unsafe resources.arena
        handlers.table.stepFill(number, now: clinux_now(), &cache) { arenaOffset, byteCount in
            let target = unsafe arena + arenaOffset
            unsafe row.bytes.withUnsafeBytes { bytes in
                // In bounds: the table counts what is left, and the cache has given the room.
                unsafe target.copyMemory(
                    from: bytes.baseAddress! + doneByteCount, byteCount: byteCount)
            }
            doneByteCount += byteCount
        }
        let isAllIn = doneByteCount == row.bytes.count
        handlers.rows[Int(number)]?.doneByteCount = isAllIn ? 0 : doneByteCount
        if isAllIn { handlers.rows[Int(number)]?.bytes = [] }
        carryOutHandlers()
    }

    // MARK: Actions

    /// Does what the table has decided.
    mutating func carryOutHandlers() {
        while !handlers.table.actions.isEmpty {
            let actions = handlers.table.actions
            handlers.table.actions.removeAll(keepingCapacity: true)
            for action in actions { carryOut(action) }
        }
    }

    private mutating func carryOut(_ action: HandlerTable.Action) {
        switch action {
        case .answer(let client, let image, let byteCount):
            reply(
                .supplied(
                    slot: client.slot, generation: client.generation, pending: client.pending,
                    image: image, byteCount: byteCount ?? .max), client.shard)
        case .refuse(let client, let failure): refuse(client, failure)
        case .openUpload(let client, let upload):
            reply(
                .uploadOpened(
                    slot: client.slot, generation: client.generation, pending: client.pending,
                    upload: upload), client.shard)
        case .commit(let client):
            reply(
                .committed(slot: client.slot, generation: client.generation), client.shard)
        case .fail(let client, let failure):
            reply(
                .failed(slot: client.slot, generation: client.generation, failure: failure),
                client.shard)
        case .giveBack(let chunk, let shard): reply(.written(chunk: chunk), shard)
        case .cancelTask(let number): cancelTask(number)
        case .forget(let number): handlers.rows[Int(number)] = nil
        case .note(let number, let failure):
            guard let row = handlers.rows[Int(number)] else { return }
            handlers.handler?.note(failure, row.asked)
        case .resumeWriter, .stopWriter, .resumeConsumer, .stopConsumer, .resumeReader,
            .stopReader:
            resume(action)
        }
    }

    /// Lets a task go on that waits.
    private mutating func resume(_ action: HandlerTable.Action) {
        switch action {
        case .resumeWriter(let number): takeWriter(number)?.resume()
        case .stopWriter(let number, let error):
            takeWriter(number)?.resume(throwing: error ?? CancellationError() as any Error)
        case .resumeConsumer(let number, let chunk, let byteCount, let shard):
            takeConsumer(number)?.resume(returning: chunk.map { bytes($0, byteCount, shard) })
            if let chunk { reply(.written(chunk: chunk), shard) }
        case .stopConsumer(let number):
            takeConsumer(number)?.resume(throwing: CancellationError())
        case .resumeReader(let number, let image, let offset, let byteCount):
            takeReader(number)?.resume(returning: bytes(of: image, at: offset, byteCount))
        case .stopReader(let number, let isFailure):
            takeReader(number)?.resume(
                throwing: isFailure ? SharedContentFailure() : CancellationError() as any Error)
        case .answer, .refuse, .openUpload, .commit, .fail, .giveBack, .cancelTask, .forget, .note:
            preconditionFailure("only what resumes a task")
        }
    }

    private mutating func takeWriter(_ number: UInt32) -> CheckedContinuation<Void, any Error>? {
        defer { handlers.rows[Int(number)]?.writer = nil }
        return handlers.rows[Int(number)]?.writer
    }

    private mutating func takeConsumer(
        _ number: UInt32
    ) -> CheckedContinuation<[UInt8]?, any Error>? {
        defer { handlers.rows[Int(number)]?.consumer = nil }
        return handlers.rows[Int(number)]?.consumer
    }

    private mutating func takeReader(
        _ number: UInt32
    ) -> CheckedContinuation<[UInt8], any Error>? {
        defer { handlers.rows[Int(number)]?.reader = nil }
        return handlers.rows[Int(number)]?.reader
    }

    private func bytes(_ chunk: UInt32, _ byteCount: Int, _ shard: Int) -> [UInt8] {
        unsafe Array(
            UnsafeRawBufferPointer(start: links[shard].chunk(chunk), count: byteCount))
    }

    private func bytes(of image: ImageID, at offset: UInt64, _ byteCount: Int) -> [UInt8] {
        let number = Int(offset / UInt64(ImageIndex.extentByteCount))
        guard byteCount > 0, let extent = unsafe cache.imageIndex.extent(number, of: image) else {
            return []
        }
        let begin = Int(offset % UInt64(ImageIndex.extentByteCount))
        // Filled that far, and this thread alone takes extents away.
        return unsafe Array(UnsafeRawBufferPointer(start: extent + begin, count: byteCount))
    }

    /// Lets the task of a request know that no client waits for it.
    ///
    /// A task is cancelled on the thread that says so, with all that its handlers for that do; and
    /// one that waits for something would keep every other request waiting here.
    private func cancelTask(_ number: UInt32) {
        guard let task = handlers.rows[Int(number)]?.task else { return }
        DispatchQueue.global().async { task.cancel() }
    }

    // MARK: The end

    /// Ends every request; what its task still says is not heard.
    mutating func closeHandlers() {
        handlers.queue.close()
        while let message = handlers.takeMessage() { message.giveUp() }
        handlers.table.stepStop()
        carryOutHandlers()
    }
}

/// What was to be shared will not come; the handler that supplies it has said why.
private struct SharedContentFailure: Error {}
