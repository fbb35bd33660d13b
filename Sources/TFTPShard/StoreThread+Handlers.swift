internal import CLinux
internal import TFTPCore
internal import TFTPStore
internal import TFTPWire

/// Requests that handlers answer: questions out, images in.
extension StoreThread {
    // MARK: Questions

    mutating func ask(_ request: OpenRequest) {
        guard let handler else { return refuse(request, .forbidden) }
        let pending = unsafe links[request.shard].pendings[Int(request.pending)]
        let note = unsafe links[request.shard].notes[Int(request.pending)]
        let question = HandlerQuestion(
            opcode: pending.opcode, name: Array(pending.name), peer: note.peer, local: note.local,
            mode: pending.mode, options: pending.options)
        let opened = desk.open(
            HandlerDesk.Question(
                request: request, question: question,
                deadline: clinux_now() + configuration.handlerNanosecondsMax))
        guard let number = opened else { return refuse(request, .busy) }
        desk[number]?.task = inbox.ask(handler, question, number: number)
    }

    /// The client has gone, or asked for something else.
    mutating func giveUp(pending: UInt32, _ shard: Int) {
        guard let number = desk.number(ofPending: pending, shard: shard) else { return }
        // The shard does not look at this answer any more, but it gives the place in `pendings` back.
        dismiss(number, .busy)
    }

    /// Answers who waits for `number` with an ERROR, and lets the task know.
    private mutating func dismiss(_ number: UInt32, _ failure: StoreFailure) {
        guard let question = desk[number], question.waits else { return }
        refuseQuestion(question.request, failure)
        guard case .supplying(var supplying) = question.phase else {
            desk[number]?.phase = .abandoned
            question.task?.cancel()
            return
        }
        // Others may have come to share it: it goes on for them.
        supplying.isAnswered = true
        desk[number]?.phase = .supplying(supplying)
        letGo(supplying.image)
    }

    private mutating func refuseQuestion(_ request: OpenRequest, _ failure: StoreFailure) {
        desk.forgetPending(of: request)
        refuse(request, failure)
    }

    /// Releases an image that is held for a shard and will not be given to it.
    private mutating func letGo(_ image: ImageID) {
        cache.shelf.release(image)
        cache.didRelease(image)
    }

    mutating func expireQuestions() {
        let now = clinux_now()
        while let number = desk.popExpired(now: now) {
            if let question = desk[number] { handler?.didTimeOut(question.question) }
            dismiss(number, .tooSlow)
        }
    }

    // MARK: Words of handlers

    /// Takes what handlers have said, as long as there are operations for what follows from it.
    mutating func takeWords() {
        desk.add(inbox.takeAll())
        while freeOperations.count > StoreThread.operationsReserved, let word = desk.takeWord() {
            handle(word)
        }
    }

    private mutating func handle(_ word: HandlerInbox.Word) {
        switch word {
        case .answered(let number, let answer):
            settle(number, answer)
        case .begins(let number, let answer, let continuation):
            let isWanted = begin(number, answer)
            if !isWanted { desk.close(number) }
            continuation.resume(returning: isWanted)
        case .supplied(let number, let bytes, let writer):
            guard case .supplying(var supplying) = desk[number]?.phase, supplying.writer == nil
            else { return writer.resume(throwing: CancellationError()) }
            supplying.bytes = bytes
            supplying.doneByteCount = 0
            supplying.writer = writer
            desk[number]?.phase = .supplying(supplying)
            fill(number)
        case .asks(let number, let reader): handleAsk(number, reader)
        case .ended(let number, let isWell): handleEnd(number, isWell: isWell)
        }
    }

    /// The whole answer is here.
    private mutating func settle(_ number: UInt32, _ answer: HandlerAnswer) {
        guard let question = desk[number], question.waits else { return desk.close(number) }
        let request = question.request
        switch answer {
        case .bytes(let bytes, let key):
            guard
                let image = image(for: number, byteCount: UInt64(bytes.count), key: key)
            else { return desk.close(number) }
            desk[number]?.phase = .supplying(
                HandlerDesk.Supplying(image: image, bytes: bytes, isLast: true))
            return fill(number)
        case .refused(let code, let text):
            desk.forgetPending(of: request)
            refuse(request, code, text)
        case .file where question.question.opcode == .rrq:
            desk.forgetPending(of: request)
            look(request, unsafe links[request.shard].pendings[Int(request.pending)].name)
        case .store(let name, let policy) where question.question.opcode == .wrq:
            desk.forgetPending(of: request)
            store(request, as: name, policy)
        case .file, .store, .stream, .take:
            assertionFailure("an answer fits its question, and what has a body begins")
            refuseQuestion(request, .forbidden)
        }
        desk.close(number)
    }

    /// An answer with a body. False when the body need not run.
    private mutating func begin(_ number: UInt32, _ answer: HandlerAnswer) -> Bool {
        guard let question = desk[number], question.waits else { return false }
        switch answer {
        case .stream(let byteCount, let key, _):
            guard let image = image(for: number, byteCount: byteCount, key: key) else {
                return false
            }
            desk[number]?.phase = .supplying(HandlerDesk.Supplying(image: image))
            return true
        case .take:
            take(number, question.request)
            return true
        case .file, .bytes, .store, .refused:
            assertionFailure("only what has a body begins")
            refuseQuestion(question.request, .forbidden)
            return false
        }
    }

    // MARK: Content

    /// A new image for what `number` supplies; nil when another request's serves as well or there is no place, and then
    /// the request is answered.
    private mutating func image(for number: UInt32, byteCount: UInt64?, key: String?) -> ImageID? {
        guard let request = desk[number]?.request else { return nil }
        let key = cache.mayShare(byteCount: byteCount) ? key : nil
        if let key, let image = cache.lookup(key: key) {
            answer(request, supplied: image)
            return nil
        }
        if let byteCount, byteCount > ImageCache.imageByteCountMax {
            refuseQuestion(request, .tooLarge)
            return nil
        }
        let made = cache.insertSupplied(byteCount: byteCount, key: key, supplier: number)
        if made == nil { refuseQuestion(request, .busy) }
        return made
    }

    private mutating func answer(_ request: OpenRequest, supplied image: ImageID) {
        desk.forgetPending(of: request)
        reply(
            .supplied(
                slot: request.slot, generation: request.generation, pending: request.pending,
                image: image, byteCount: cache.suppliedByteCount(of: image) ?? .max), request.shard)
    }

    /// There is room again in what `number` supplies.
    mutating func resumeSupply(_ image: ImageID, _ number: UInt32) {
        guard case .supplying(let supplying) = desk[number]?.phase, supplying.image == image else {
            return
        }
        fill(number)
    }

    /// Moves what was handed in to the image, as far as there is room.
    private mutating func fill(_ number: UInt32) {
        guard case .supplying(var supplying) = desk[number]?.phase else { return }
        // So that the array has one owner while it is looked at.
        desk[number]?.phase = .abandoned
        let left = supplying.bytes.count - supplying.doneByteCount
        guard cache.fits(left, in: supplying.image) else {
            desk[number]?.phase = .supplying(supplying)
            return failSupply(number)
        }
        copy(&supplying)
        let isAllIn = supplying.doneByteCount == supplying.bytes.count
        if isAllIn {
            supplying.bytes = []
            supplying.doneByteCount = 0
            supplying.writer?.resume()
            supplying.writer = nil
        }
        desk[number]?.phase = .supplying(supplying)
        if isAllIn && supplying.isLast { return finishSupply(number) }
        tellSupplied(number)
    }

    private mutating func copy(_ supplying: inout HandlerDesk.Supplying) {
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
            cache.didFill(supplying.image, byteCount: count)
        }
    }

    /// With the first bytes the transfer may begin; before them the handler can still fail without a client that has
    /// had an OACK, which some do not get over.
    private mutating func tellSupplied(_ number: UInt32) {
        guard let question = desk[number], case .supplying(var supplying) = question.phase,
            !supplying.isAnswered, cache.shelf.filledByteCount(of: supplying.image) > 0
        else { return }
        supplying.isAnswered = true
        desk[number]?.phase = .supplying(supplying)
        answer(question.request, supplied: supplying.image)
    }

    /// All of the content is in the image.
    private mutating func finishSupply(_ number: UInt32) {
        guard let question = desk[number], case .supplying(let supplying) = question.phase else {
            return
        }
        guard cache.endSupply(supplying.image) else { return failSupply(number) }
        if !supplying.isAnswered { answer(question.request, supplied: supplying.image) }
        desk.close(number)
    }

    /// Content will be missing: nobody gets more of it.
    private mutating func failSupply(_ number: UInt32) {
        guard let question = desk[number], case .supplying(let supplying) = question.phase else {
            return
        }
        cache.failSupply(supplying.image)
        if !supplying.isAnswered {
            refuseQuestion(question.request, .handler)
            letGo(supplying.image)
        }
        supplying.writer?.resume(throwing: CancellationError())
        abandon(number, isTaskEnded: supplying.isLast)
    }

    /// Nobody holds the image any more.
    mutating func stopSupply(_ image: ImageID, _ number: UInt32) {
        guard case .supplying(let supplying) = desk[number]?.phase, supplying.image == image else {
            return
        }
        supplying.writer?.resume(throwing: CancellationError())
        abandon(number, isTaskEnded: supplying.isLast)
    }

    mutating func abandon(_ number: UInt32, isTaskEnded: Bool) {
        guard !isTaskEnded else { return desk.close(number) }
        desk[number]?.phase = .abandoned
        desk[number]?.task?.cancel()
    }

    private mutating func handleEnd(_ number: UInt32, isWell: Bool) {
        switch desk[number]?.phase {
        case .supplying(var supplying):
            supplying.isLast = true
            desk[number]?.phase = .supplying(supplying)
            // What another task of the body still has in `write` is not in the image: it would be cut off silently.
            let isAllIn = supplying.writer == nil
            if isWell && isAllIn { finishSupply(number) } else { failSupply(number) }
        case .taking: handleTakeEnd(number, isWell: isWell)
        case .asked, .abandoned, nil: desk.close(number)
        }
    }

    // MARK: Refusals in the handler's words

    private mutating func refuse(_ request: OpenRequest, _ code: ErrorCode, _ text: String) {
        let note = unsafe links[request.shard].notes + Int(request.pending)
        unsafe note.pointee.setRefusal(code, text)
        reply(
            .refusedByHandler(
                slot: request.slot, generation: request.generation, pending: request.pending),
            request.shard)
    }

    // MARK: The end

    /// Ends every question; what its task still says is not heard.
    mutating func closeDesk() {
        inbox.close()
        while let word = desk.takeWord() { word.giveUp() }
        for number in desk.openNumbers {
            desk[number]?.task?.cancel()
            switch desk[number]?.phase {
            case .supplying(let supplying):
                supplying.writer?.resume(throwing: CancellationError())
            case .taking(let taking): taking.reader?.resume(throwing: CancellationError())
            case .asked, .abandoned, nil: break
            }
            // What shards still say of it finds nobody.
            desk[number]?.phase = .abandoned
        }
    }
}

extension Array<UInt8> {
    /// The bytes of a name.
    fileprivate init(_ name: FileName) {
        self = unsafe name.bytes.withUnsafeBytes { unsafe Array($0) }
    }
}
