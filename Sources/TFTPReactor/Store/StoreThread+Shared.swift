internal import TFTPStore

/// Content that a handler supplies for several, and that the task of each makes something of its
/// own of: what is sealed for one transfer is of no use to another, but what goes under the seal
/// is.
///
/// Whoever supplies it and whoever reads it are questions at the handlerTable that no client waits
/// for. The image between them is like any other with a key, so clients in the plain share it too.
extension StoreThread {
    /// In place of a shard: who waits is a task, and its slot is the number of a question.
    static let tasks = UInt32.max

    /// Lets the task of `number` read `content`, which is supplied from now on unless it is
    /// already.
    mutating func share(
        _ content: SharedContent, with number: UInt32,
        _ task: CheckedContinuation<HandlerTable.Ticket?, any Error>
    ) {
        guard let request = handlerTable[number]?.request, let image = image(of: content, request)
        else {
            return task.resume(returning: nil)
        }
        let reading = HandlerTable.Question(
            request: request, question: content.question,
            phase: .reading(HandlerTable.Reading(image: image)))
        let ticket = handlerTable.openBeside(reading)
        if ticket == nil { letGo(image) }
        task.resume(returning: ticket)
    }

    /// The image of `content`, held once more; nil where there is no room for it.
    private mutating func image(of content: SharedContent, _ request: OpenRequest) -> ImageID? {
        if let image = cache.lookup(key: content.key) { return image }
        guard content.byteCount ?? 0 <= ImageCache.imageByteCountMax else { return nil }
        let supply = HandlerTable.Question(request: request, question: content.question)
        guard let ticket = handlerTable.openBeside(supply) else { return nil }
        let made = cache.insertSupplied(
            byteCount: content.byteCount, key: content.key, supplier: ticket.number)
        guard let made, cache.isShared(made) else {
            noteRoom(.notShared, ticket.number)
            handlerTable.close(ticket.number)
            if let made { letGo(made) }
            return nil
        }
        handlerTable[ticket.number]?.phase = .supplying(
            HandlerTable.Supplying(image: made, isAnswered: true))
        handlerTable[ticket.number]?.task = handlerQueue.supply(content, ticket)
        return made
    }

    /// The task wants to read on.
    mutating func read(_ number: UInt32, _ wanted: HandlerTable.Reading.Wanted) {
        guard case .reading(var reading) = handlerTable[number]?.phase, reading.wanted == nil else {
            return wanted.reader.resume(throwing: CancellationError())
        }
        reading.wanted = wanted
        handlerTable[number]?.phase = .reading(reading)
        serveTask(number)
    }

    /// Something has come of what a task waits for, or will not.
    mutating func answerTask(_ waiter: ImageCache.Waiter) {
        let ticket = HandlerTable.Ticket(number: waiter.slot, generation: waiter.generation)
        if handlerTable.isOpen(ticket) { serveTask(ticket.number) }
    }

    /// Hands a task what is there of what it wants, as far as it lies in one extent; it waits while
    /// there is nothing.
    private mutating func serveTask(_ number: UInt32) {
        guard case .reading(var reading) = handlerTable[number]?.phase, let wanted = reading.wanted
        else {
            return
        }
        let image = reading.image
        let filled = cache.imageIndex.filledByteCount(of: image)
        let hasEnded = cache.supplier(of: image) == nil
        let hasFailed = cache.imageIndex.failure(of: image) != 0
        guard hasFailed || hasEnded || filled > wanted.offset else {
            let unit = Int(wanted.offset / ImageCache.supplyUnitByteCount) + 1
            let generation = handlerTable.ticket(of: number).generation
            cache.want(
                image, unit,
                for: ImageCache.Waiter(
                    shard: StoreThread.tasks, slot: number, generation: generation))
            return watch(image)
        }
        reading.wanted = nil
        handlerTable[number]?.phase = .reading(reading)
        guard !hasFailed else { return wanted.reader.resume(throwing: SharedContentFailure()) }
        wanted.reader.resume(returning: bytes(of: image, before: filled, wanted))
    }

    private func bytes(
        of image: ImageID, before filled: UInt64, _ wanted: HandlerTable.Reading.Wanted
    ) -> [UInt8] {
        let extentByteCount = UInt64(ImageIndex.extentByteCount)
        let number = Int(wanted.offset / extentByteCount)
        guard filled > wanted.offset, let extent = unsafe cache.imageIndex.extent(number, of: image)
        else { return [] }
        let begin = wanted.offset % extentByteCount
        let count = min(
            UInt64(wanted.byteCount), filled - wanted.offset, extentByteCount - begin)
        // Filled that far, and this thread alone takes extents away.
        return unsafe Array(
            UnsafeRawBufferPointer(start: extent + Int(begin), count: Int(count)))
    }

    /// The task reads no more.
    mutating func leaveShared(_ number: UInt32) {
        guard case .reading(let reading) = handlerTable[number]?.phase else { return }
        handlerTable.close(number)
        letGo(reading.image)
    }
}

/// What was to be shared will not come; who supplies it has said why.
private struct SharedContentFailure: Error {}
