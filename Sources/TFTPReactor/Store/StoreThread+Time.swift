internal import CLinux
internal import TFTPServing
internal import TFTPStore

/// How long handlers may take: until the first byte, until the next one that somebody waits for,
/// and to return.
extension StoreThread {
    /// From now on `number` has as long as a handler may take.
    mutating func startClock(_ number: UInt32) {
        let now = clinux_now()
        handlerTable.setDeadline(number, at: now + configuration.handlerNanosecondsMax, now: now)
    }

    /// Since when a reader waits while nothing comes.
    func awaitedSince(_ supplying: HandlerTable.Supplying) -> UInt64? {
        cache.isAwaited(supplying.image) ? supplying.awaitedSince ?? clinux_now() : nil
    }

    /// A reader may have begun to wait for more of `image`.
    mutating func watch(_ image: ImageID) {
        guard cache.isAwaited(image), let number = cache.supplier(of: image),
            case .supplying(var supplying) = handlerTable[number]?.phase, supplying.image == image,
            supplying.awaitedSince == nil
        else { return }
        supplying.awaitedSince = clinux_now()
        handlerTable[number]?.phase = .supplying(supplying)
        startClock(number)
    }

    mutating func expireQuestions() {
        let now = clinux_now()
        while let number = handlerTable.popExpired(now: now) { expire(number, now) }
    }

    private mutating func expire(_ number: UInt32, _ now: UInt64) {
        guard let question = handlerTable[number] else { return }
        switch question.phase {
        case .asked:
            handler?.note(.tooSlow, question.question)
            dismiss(number, .tooSlow)
        case .joining: dismiss(number, .tooSlow)
        case .supplying(let supplying): expire(supplying, number, question, now)
        case .taking, .reading, .abandoned: break
        }
    }

    /// Content did not come in time, or its task does not end.
    private mutating func expire(
        _ supplying: HandlerTable.Supplying, _ number: UInt32, _ question: HandlerTable.Question,
        _ now: UInt64
    ) {
        guard !supplying.isComplete else {
            handler?.note(.notReturned, question.question)
            return abandon(number, isTaskEnded: false)
        }
        // Otherwise nobody holds it any more, and `stopSupply` is about to say so.
        guard cache.supplier(of: supplying.image) != nil else { return }
        let hasBegun = supplying.isAnswered && supplying.joiners.isEmpty
        if hasBegun {
            guard let since = supplying.awaitedSince else { return }
            let deadline = since + configuration.handlerNanosecondsMax
            guard deadline <= now else {
                return handlerTable.setDeadline(number, at: deadline, now: now)
            }
        }
        // What was handed in and found no room in the arena for so long is not the handler's fault.
        let isBusy = supplying.doneByteCount < supplying.bytes.count
        handler?.note(isBusy ? .noRoom : hasBegun ? .stuck : .tooSlow, question.question)
        failSupply(
            number, errno: isBusy ? ImageCache.supplyBusyErrno : ImageCache.supplyTimeoutErrno)
    }

    /// One line a second says enough of it.
    mutating func noteRoom(_ trouble: HandlerFailure, _ number: UInt32) {
        let now = clinux_now()
        guard now &- roomNotedAt >= StoreThread.roomNoteNanoseconds,
            let question = handlerTable[number]
        else { return }
        roomNotedAt = now
        handler?.note(trouble, question.question)
    }

    private static let roomNoteNanoseconds: UInt64 = 1_000_000_000
}
