internal import CLinux
internal import Dispatch
internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// Requests that handlers answer: questions out, images in.
extension StoreThread {
    // MARK: Questions

    mutating func ask(_ request: OpenRequest, _ template: NameTemplate? = nil) {
        guard let handler else { return refuse(request, .forbidden) }
        let pending = unsafe links[request.shard].pendings[Int(request.pending)]
        let note = unsafe links[request.shard].notes[Int(request.pending)]
        var question = HandlerRequest(
            opcode: pending.opcode, name: pending.name.byteArray, peer: note.peer,
            local: note.local,
            mode: pending.mode, options: pending.options)
        if pending.isSealed {
            let sealed = unsafe links[request.shard].sealedPendings[Int(request.pending)]
            let packet = (0..<sealed.byteCount).map { sealed.packet[$0] }
            question.sealed = (packet, sealed.limits)
        }
        question.template = template
        var request = request
        request.isAsked = true
        question.snapshots = snapshots
        // What a sealed request asks for, only who opens it knows.
        if pending.opcode == .rrq && !pending.isSealed {
            do throws(StoreFailure) {
                try place(&request, pending.name)
            } catch {
                // A snapshot that is not here may be somewhere else.
                guard error == .notFound else { return refuse(request, error) }
            }
            question.place = request.place
        }
        let opened = handlerTable.open(HandlerTable.Question(request: request, question: question))
        guard let ticket = opened else { return refuse(request, .busy) }
        startClock(ticket.number)
        handlerTable[ticket.number]?.task = handlerQueue.ask(handler, question, ticket)
    }

    /// The client has gone, or asked for something else.
    mutating func giveUp(pending: UInt32, _ shard: Int) {
        guard let number = handlerTable.number(ofPending: pending, shard: shard) else { return }
        // The shard does not look at this answer any more, but it gives the place in `pendings`
        // back.
        dismiss(number, .busy)
    }

    /// Answers who waits for `number` with an ERROR, and lets the task know.
    mutating func dismiss(_ number: UInt32, _ failure: StoreFailure) {
        guard let question = handlerTable[number], question.waits else { return }
        refuseQuestion(question.request, failure)
        switch question.phase {
        case .asked, .taking, .reading, .abandoned: abandon(number, isTaskEnded: false)
        case .supplying(var supplying):
            // Others may have come to share it: it goes on for them.
            supplying.isAnswered = true
            handlerTable[number]?.phase = .supplying(supplying)
            letGo(supplying.image)
        case .joining(let image, let supplier): leave(number, image, supplier)
        }
    }

    private mutating func refuseQuestion(_ request: OpenRequest, _ failure: StoreFailure) {
        handlerTable.forgetPending(of: request)
        refuse(request, failure)
    }

    /// Releases an image that is held for a shard and will not be given to it.
    mutating func letGo(_ image: ImageID) {
        cache.imageIndex.release(image)
        cache.didRelease(image)
    }

    // MARK: Words of handlers

    /// Takes what handlers have said, as long as there are operations for what follows from it.
    mutating func takeWords() {
        handlerTable.add(handlerQueue.takeAll())
        while freeOperations.count > StoreThread.operationsReserved,
            let word = handlerTable.takeWord()
        {
            handle(word)
        }
    }

    private mutating func handle(_ word: HandlerQueue.Word) {
        // A writer or a reader may outlive its body, and its place at the handlerTable is another's
        // then.
        guard handlerTable.isOpen(word.ticket) else { return word.giveUp() }
        let number = word.ticket.number
        switch word {
        case .answered(_, let answer):
            settle(number, answer)
        case .sealed(_, let seal): noteSeal(number, seal)
        case .begins(_, let answer, let continuation):
            continuation.resume(returning: begin(number, answer))
        case .supplied(_, let bytes, let writer):
            guard case .supplying(var supplying) = handlerTable[number]?.phase,
                supplying.writer == nil
            else { return writer.resume(throwing: CancellationError()) }
            supplying.bytes = bytes
            supplying.doneByteCount = 0
            supplying.writer = writer
            handlerTable[number]?.phase = .supplying(supplying)
            fill(number)
        case .goesOn(_, let writer): goOn(number, writer)
        case .asks(_, let reader): handleAsk(number, reader)
        case .ended(_, let isWell): handleEnd(number, isWell: isWell)
        case .shares(_, let content, let task): share(content, with: number, task)
        case .reads(_, let offset, let byteCount, let reader):
            read(
                number,
                HandlerTable.Reading.Wanted(offset: offset, byteCount: byteCount, reader: reader))
        case .leaves: leaveShared(number)
        }
    }

    /// The shard hears of the seal before the answer, so that it never sends anything in the plain.
    private mutating func noteSeal(_ number: UInt32, _ seal: TransferSeal) {
        guard let question = handlerTable[number], question.waits else { return }
        let request = question.request
        unsafe reply(
            .sealed(
                slot: request.slot, generation: request.generation, seal: .passRetained(seal)),
            request.shard)
    }

    /// The whole answer is here.
    private mutating func settle(_ number: UInt32, _ answer: HandlerAnswer) {
        guard let question = handlerTable[number], question.waits else {
            return handlerTable.close(number)
        }
        let request = question.request
        switch answer {
        case .bytes(let bytes, let key):
            guard
                let image = image(for: number, byteCount: UInt64(bytes.count), key: key)
            else { return }
            handlerTable[number]?.phase = .supplying(
                HandlerTable.Supplying(image: image, bytes: bytes, isLast: true))
            return fill(number)
        case .refused(let code, let text):
            handlerTable.forgetPending(of: request)
            refuse(request, code, text)
        case .file where question.question.opcode == .rrq:
            handlerTable.forgetPending(of: request)
            find(request)
        case .store(let name, let policy) where question.question.opcode == .wrq:
            handlerTable.forgetPending(of: request)
            store(request, as: name, policy)
        case .file, .store, .stream, .take, .sealed:
            assertionFailure("an answer fits its question, and what has a body begins")
            refuseQuestion(request, .forbidden)
        }
        handlerTable.close(number)
    }

    /// An answer with a body. False when the body need not run, and then the task has ended.
    private mutating func begin(_ number: UInt32, _ answer: HandlerAnswer) -> Bool {
        guard let question = handlerTable[number], question.waits else {
            handlerTable.close(number)
            return false
        }
        switch answer {
        case .stream(let byteCount, let key, _):
            guard let image = image(for: number, byteCount: byteCount, key: key) else {
                return false
            }
            handlerTable[number]?.phase = .supplying(HandlerTable.Supplying(image: image))
            return true
        case .take:
            take(number, question.request)
            return true
        case .file, .bytes, .store, .refused, .sealed:
            assertionFailure("only what has a body begins")
            refuseQuestion(question.request, .forbidden)
            handlerTable.close(number)
            return false
        }
    }

    // MARK: Content

    /// A new image for what `number` supplies; nil when another question's serves as well or there
    /// is no room, and then that has been seen to.
    private mutating func image(for number: UInt32, byteCount: UInt64?, key: String?) -> ImageID? {
        guard let request = handlerTable[number]?.request else { return nil }
        if let key, let image = cache.lookup(key: key) {
            join(number, image)
            return nil
        }
        if let byteCount, byteCount > ImageCache.imageByteCountMax {
            refuseQuestion(request, .tooLarge)
            handlerTable.close(number)
            return nil
        }
        guard
            let made = cache.insertSupplied(byteCount: byteCount, key: key, supplier: number)
        else {
            noteRoom(.noRoom, number)
            refuseQuestion(request, .busy)
            handlerTable.close(number)
            return nil
        }
        if key != nil && !cache.isShared(made) { noteRoom(.notShared, number) }
        return made
    }

    /// Gives `number` an image that another question supplies, as soon as it has its first byte.
    private mutating func join(_ number: UInt32, _ image: ImageID) {
        guard let request = handlerTable[number]?.request else { return }
        guard cache.imageIndex.filledByteCount(of: image) == 0,
            let supplier = cache.supplier(of: image),
            case .supplying(var supplying) = handlerTable[supplier]?.phase
        else {
            answer(request, supplied: image)
            return handlerTable.close(number)
        }
        supplying.joiners.append(number)
        handlerTable[supplier]?.phase = .supplying(supplying)
        handlerTable[number]?.phase = .joining(image, supplier: supplier)
    }

    /// Who had joined waits no longer, and has been told why.
    private mutating func leave(_ number: UInt32, _ image: ImageID, _ supplier: UInt32) {
        if case .supplying(var supplying) = handlerTable[supplier]?.phase {
            supplying.joiners.removeAll { $0 == number }
            handlerTable[supplier]?.phase = .supplying(supplying)
        }
        handlerTable.close(number)
        letGo(image)
    }

    private mutating func answer(_ request: OpenRequest, supplied image: ImageID) {
        handlerTable.forgetPending(of: request)
        reply(
            .supplied(
                slot: request.slot, generation: request.generation, pending: request.pending,
                image: image, byteCount: cache.suppliedByteCount(of: image) ?? .max), request.shard)
    }

    /// There is room again in what `number` supplies.
    mutating func resumeSupply(_ image: ImageID, _ number: UInt32) {
        guard case .supplying(let supplying) = handlerTable[number]?.phase, supplying.image == image
        else {
            return
        }
        fill(number)
    }

    /// Moves what was handed in to the image, as far as there is room.
    private mutating func fill(_ number: UInt32) {
        guard case .supplying(var supplying) = handlerTable[number]?.phase else { return }
        // So that the array has one owner while it is looked at.
        handlerTable[number]?.phase = .abandoned
        do throws(SupplyError) {
            try cache.expect(
                supplying.bytes.count - supplying.doneByteCount, in: supplying.image)
        } catch {
            handlerTable[number]?.phase = .supplying(supplying)
            return refuseSupply(number, error)
        }
        copy(&supplying)
        let isAllIn = supplying.doneByteCount == supplying.bytes.count
        supplying.isComplete = cache.supplier(of: supplying.image) == nil
        if isAllIn {
            supplying.bytes = []
            supplying.doneByteCount = 0
            supplying.writer?.resume()
            supplying.writer = nil
        }
        handlerTable[number]?.phase = .supplying(supplying)
        if isAllIn && supplying.isLast { return finishSupply(number) }
        tellSupplied(number)
        // The body has its time to return as well.
        if supplying.isComplete { startClock(number) }
    }

    /// Something was written, if nothing to send yet: the handler has its time anew.
    private mutating func goOn(_ number: UInt32, _ writer: CheckedContinuation<Void, any Error>) {
        guard case .supplying(var supplying) = handlerTable[number]?.phase, supplying.writer == nil
        else { return writer.resume(throwing: CancellationError()) }
        supplying.awaitedSince = nil
        supplying.awaitedSince = awaitedSince(supplying)
        handlerTable[number]?.phase = .supplying(supplying)
        startClock(number)
        writer.resume()
    }

    private mutating func copy(_ supplying: inout HandlerTable.Supplying) {
        defer { supplying.awaitedSince = awaitedSince(supplying) }
        while supplying.doneByteCount < supplying.bytes.count {
            guard let room = cache.room(in: supplying.image) else { return }
            let first = supplying.doneByteCount
            let count = min(room.byteCount, supplying.bytes.count - first)
            let target = unsafe arena + room.arenaOffset
            unsafe supplying.bytes.withUnsafeBytes { bytes in
                // In bounds: `count` is at most what is left, and the cache has given the room.
                unsafe target.copyMemory(from: bytes.baseAddress! + first, byteCount: count)
            }
            supplying.doneByteCount += count
            supplying.awaitedSince = nil
            cache.didFill(supplying.image, byteCount: count)
        }
    }

    /// With the first bytes the transfer may begin; before them the handler can still fail without
    /// a client that has had an OACK, which some do not get over.
    private mutating func tellSupplied(_ number: UInt32) {
        guard case .supplying(let supplying) = handlerTable[number]?.phase,
            cache.imageIndex.filledByteCount(of: supplying.image) > 0
        else { return }
        answerAll(number)
    }

    /// Gives the image to everybody who waits for its first byte.
    private mutating func answerAll(_ number: UInt32) {
        guard let question = handlerTable[number], case .supplying(var supplying) = question.phase
        else {
            return
        }
        if !supplying.isAnswered { answer(question.request, supplied: supplying.image) }
        for joiner in supplying.joiners {
            guard let request = handlerTable[joiner]?.request else { continue }
            answer(request, supplied: supplying.image)
            handlerTable.close(joiner)
        }
        supplying.isAnswered = true
        supplying.joiners = []
        handlerTable[number]?.phase = .supplying(supplying)
    }

    /// All of the content is in the image.
    private mutating func finishSupply(_ number: UInt32) {
        guard case .supplying(let supplying) = handlerTable[number]?.phase else { return }
        guard cache.endSupply(supplying.image) else { return failSupply(number) }
        answerAll(number)
        handlerTable.close(number)
    }

    /// What was handed in can not be taken.
    private mutating func refuseSupply(_ number: UInt32, _ error: SupplyError) {
        if error != .unwanted, let question = handlerTable[number] {
            handler?.note(.refused(error), question.question)
        }
        failSupply(number, throwing: error == .unwanted ? CancellationError() : error)
    }

    /// Content will be missing: nobody gets more of it.
    mutating func failSupply(
        _ number: UInt32, errno: Int32 = ImageCache.supplyErrno,
        throwing error: any Error = CancellationError()
    ) {
        guard let question = handlerTable[number], case .supplying(let supplying) = question.phase
        else {
            return
        }
        cache.failSupply(supplying.image, errno: errno)
        if !supplying.isAnswered {
            refuseQuestion(question.request, StoreFailure(errno: errno))
            letGo(supplying.image)
        }
        for joiner in supplying.joiners {
            guard let request = handlerTable[joiner]?.request else { continue }
            refuseQuestion(request, StoreFailure(errno: errno))
            handlerTable.close(joiner)
            letGo(supplying.image)
        }
        supplying.writer?.resume(throwing: error)
        abandon(number, isTaskEnded: supplying.isLast)
    }

    /// Nobody holds the image any more.
    mutating func stopSupply(_ image: ImageID, _ number: UInt32) {
        guard case .supplying(let supplying) = handlerTable[number]?.phase, supplying.image == image
        else {
            return
        }
        supplying.writer?.resume(throwing: CancellationError())
        abandon(number, isTaskEnded: supplying.isLast)
    }

    mutating func abandon(_ number: UInt32, isTaskEnded: Bool) {
        guard !isTaskEnded else { return handlerTable.close(number) }
        handlerTable[number]?.phase = .abandoned
        cancelTask(number)
    }

    /// Lets the task of a question know that nobody waits for it.
    ///
    /// A task is cancelled on the thread that says so, with all that its handlers for that do; and
    /// one that waits for something would keep every other request waiting here.
    private func cancelTask(_ number: UInt32) {
        guard let task = handlerTable[number]?.task else { return }
        DispatchQueue.global().async { task.cancel() }
    }

    private mutating func handleEnd(_ number: UInt32, isWell: Bool) {
        switch handlerTable[number]?.phase {
        case .supplying(var supplying):
            supplying.isLast = true
            handlerTable[number]?.phase = .supplying(supplying)
            // What another task of the body still has in `write` is not in the image: it would be
            // cut off silently.
            let isAllIn = supplying.writer == nil
            if isWell && isAllIn { finishSupply(number) } else { failSupply(number) }
        case .taking: handleTakeEnd(number, isWell: isWell)
        case .asked, .joining, .reading, .abandoned, nil: handlerTable.close(number)
        }
    }

    // MARK: Refusals in the handler's words

    mutating func refuse(_ request: OpenRequest, _ code: ErrorCode, _ text: String) {
        let note = unsafe links[request.shard].notes + Int(request.pending)
        unsafe note.pointee.setRefusal(code, text)
        reply(
            .refusedByHandler(
                slot: request.slot, generation: request.generation, pending: request.pending),
            request.shard)
    }

    // MARK: The end

    /// Ends every question; what its task still says is not heard.
    mutating func closeHandlerTable() {
        handlerQueue.close()
        while let word = handlerTable.takeWord() { word.giveUp() }
        for number in handlerTable.openNumbers {
            cancelTask(number)
            switch handlerTable[number]?.phase {
            case .supplying(let supplying):
                supplying.writer?.resume(throwing: CancellationError())
            case .taking(let taking): taking.reader?.resume(throwing: CancellationError())
            case .reading(let reading):
                reading.wanted?.reader.resume(throwing: CancellationError())
            case .asked, .joining, .abandoned, nil: break
            }
            // What shards still say of it finds nobody.
            handlerTable[number]?.phase = .abandoned
        }
    }
}
