/// Content that handlers hand in, and that many may share by its key.
extension HandlerTable {
    struct Stream {
        let image: ImageID
        /// Whether the client has heard of the image, or does not wait any more.
        var isAnswered = false
        /// Of what was handed in last, what is not in the image yet.
        var leftByteCount = 0
        /// The task that handed it in waits.
        var hasWriter = false
        /// Rows that wait for its first byte as well.
        var sharers: [UInt32] = []
        /// Since when a reader waits and nothing comes; nil while none does.
        var awaitedSince: UInt64?
        /// All that was announced is in the image; the task may go on for a moment.
        var isComplete = false
        /// The task has ended.
        var isLast = false
    }

    private func stream(_ number: UInt32) -> Stream? {
        guard case .streaming(let stream) = rows[Int(number)]?.state else { return nil }
        return stream
    }

    /// The handler answers with content of `byteCount` bytes, which is nil while it is unknown.
    ///
    /// - Returns: whether it is to be handed in. If not, another request's content serves as well,
    ///   there is no room, or no client waits; that has been seen to, and the row is closed or
    ///   shares.
    package mutating func stepStream(
        _ number: UInt32, byteCount: UInt64?, key: String?, now: UInt64, _ cache: inout ImageCache
    ) -> Bool {
        guard waits(number), let client = rows[Int(number)]?.client else {
            close(number)
            return false
        }
        if let key, let image = cache.lookup(key: key) {
            share(number, client, image, &cache)
            return false
        }
        let isTooLarge = byteCount ?? 0 > ImageCache.imageByteCountMax
        let made =
            isTooLarge
            ? nil : cache.insertSupplied(byteCount: byteCount, key: key, supplier: number)
        guard let made else {
            if !isTooLarge { noteRoom(number, .noRoom, now: now) }
            refuse(client, isTooLarge ? .tooLarge : .busy)
            close(number)
            return false
        }
        if key != nil && !cache.isShared(made) { noteRoom(number, .notShared, now: now) }
        rows[Int(number)]?.state = .streaming(Stream(image: made))
        return true
    }

    /// Gives a client an image that another request streams, as soon as its first byte is there.
    private mutating func share(
        _ number: UInt32, _ client: StoreClient, _ image: ImageID, _ cache: inout ImageCache
    ) {
        guard cache.imageIndex.filledByteCount(of: image) == 0,
            let streamer = cache.supplier(of: image), var stream = stream(streamer)
        else {
            answer(client, image, cache)
            return close(number)
        }
        stream.sharers.append(number)
        rows[Int(streamer)]?.state = .streaming(stream)
        rows[Int(number)]?.state = .sharing(image, streamer: streamer)
    }

    /// A client that shared waits no longer, and has been told why.
    mutating func leave(
        _ number: UInt32, _ image: ImageID, _ streamer: UInt32, _ cache: inout ImageCache
    ) {
        if var stream = stream(streamer) {
            stream.sharers.removeAll { $0 == number }
            rows[Int(streamer)]?.state = .streaming(stream)
        }
        close(number)
        release(image, &cache)
    }

    private mutating func answer(
        _ client: StoreClient, _ image: ImageID, _ cache: borrowing ImageCache
    ) {
        forgetPending(of: client)
        actions.append(
            .answer(client, image, byteCount: cache.suppliedByteCount(of: image)))
    }

    // MARK: Bytes

    /// Whether the task of this row may hand bytes in, or say that some will come.
    package func takesBytes(_ number: UInt32) -> Bool {
        guard let stream = stream(number) else { return false }
        return !stream.hasWriter
    }

    /// `byteCount` bytes were handed in; `stepFill` moves them.
    ///
    /// - Parameters:
    ///   - hasWriter: a task waits until they are in the image.
    ///   - isLast: they are all, and the task has ended.
    package mutating func stepSupply(
        _ number: UInt32, byteCount: Int, hasWriter: Bool, isLast: Bool = false
    ) {
        guard var stream = stream(number) else { return }
        stream.leftByteCount = byteCount
        stream.hasWriter = hasWriter
        stream.isLast = isLast
        rows[Int(number)]?.state = .streaming(stream)
    }

    /// Has what was handed in moved to the image, as far as there is room.
    ///
    /// - Parameter copy: moves the next so many bytes to that place in the arena, at once.
    package mutating func stepFill(
        _ number: UInt32, now: UInt64, _ cache: inout ImageCache,
        copy: (_ arenaOffset: Int, _ byteCount: Int) -> Void
    ) {
        guard var stream = stream(number) else { return }
        do throws(SupplyError) {
            try cache.expect(stream.leftByteCount, in: stream.image)
        } catch {
            return refuseBytes(number, error, &cache)
        }
        fill(&stream, now, &cache, copy)
        let isAllIn = stream.leftByteCount == 0
        stream.isComplete = cache.supplier(of: stream.image) == nil
        if isAllIn && stream.hasWriter {
            stream.hasWriter = false
            actions.append(.resumeWriter(number))
        }
        rows[Int(number)]?.state = .streaming(stream)
        if isAllIn && stream.isLast { return finish(number, &cache) }
        answerAll(number, cache)
        // The body has its time to return as well.
        if stream.isComplete { startClock(number, now) }
    }

    private func fill(
        _ stream: inout Stream, _ now: UInt64, _ cache: inout ImageCache,
        _ copy: (_ arenaOffset: Int, _ byteCount: Int) -> Void
    ) {
        while stream.leftByteCount > 0, let room = cache.room(in: stream.image) {
            let count = min(room.byteCount, stream.leftByteCount)
            copy(room.arenaOffset, count)
            stream.leftByteCount -= count
            stream.awaitedSince = nil
            cache.didFill(stream.image, byteCount: count)
        }
        stream.awaitedSince = awaitedSince(stream, now, cache)
    }

    private func awaitedSince(
        _ stream: Stream, _ now: UInt64, _ cache: borrowing ImageCache
    ) -> UInt64? {
        cache.isAwaited(stream.image) ? stream.awaitedSince ?? now : nil
    }

    /// The task has written something that comes to no bytes yet: the handler has its time anew.
    package mutating func stepProgress(
        _ number: UInt32, now: UInt64, _ cache: borrowing ImageCache
    ) {
        guard var stream = stream(number) else { return }
        stream.awaitedSince = nil
        stream.awaitedSince = awaitedSince(stream, now, cache)
        rows[Int(number)]?.state = .streaming(stream)
        startClock(number, now)
    }

    /// A reader may have begun to wait for more of `image`.
    package mutating func stepWait(
        _ image: ImageID, now: UInt64, _ cache: borrowing ImageCache
    ) {
        guard cache.isAwaited(image), let number = cache.supplier(of: image),
            var stream = stream(number), stream.image == image, stream.awaitedSince == nil
        else { return }
        stream.awaitedSince = now
        rows[Int(number)]?.state = .streaming(stream)
        startClock(number, now)
    }

    /// Whether the row streams into `image`, so that `stepFill` has something to do.
    package func streams(_ image: ImageID, _ number: UInt32) -> Bool {
        stream(number)?.image == image
    }

    /// With the first bytes the transfers may begin. Before them the handler can still fail without
    /// a client that has had an OACK, which some do not survive.
    private mutating func answerAll(
        _ number: UInt32, _ cache: borrowing ImageCache, isWhole: Bool = false
    ) {
        guard var stream = stream(number), let client = rows[Int(number)]?.client,
            isWhole || cache.imageIndex.filledByteCount(of: stream.image) > 0
        else { return }
        if !stream.isAnswered { answer(client, stream.image, cache) }
        for sharer in stream.sharers {
            guard let client = rows[Int(sharer)]?.client else { continue }
            answer(client, stream.image, cache)
            close(sharer)
        }
        stream.isAnswered = true
        stream.sharers = []
        rows[Int(number)]?.state = .streaming(stream)
    }

    // MARK: The end

    /// All of the content is in the image.
    mutating func finish(_ number: UInt32, _ cache: inout ImageCache) {
        guard let stream = stream(number) else { return }
        guard cache.endSupply(stream.image) else { return failStream(number, &cache) }
        answerAll(number, cache, isWhole: true)
        close(number)
    }

    /// What was handed in cannot be taken.
    private mutating func refuseBytes(
        _ number: UInt32, _ error: SupplyError, _ cache: inout ImageCache
    ) {
        if error != .unwanted { actions.append(.note(number, .refused(error))) }
        failStream(number, &cache, telling: error == .unwanted ? nil : error)
    }

    /// Content will be missing: no client gets more of it.
    mutating func failStream(
        _ number: UInt32, _ cache: inout ImageCache, _ failure: StoreFailure = .handler,
        telling error: SupplyError? = nil
    ) {
        guard let stream = stream(number), let client = rows[Int(number)]?.client else { return }
        cache.failSupply(stream.image, failure)
        if !stream.isAnswered {
            refuse(client, failure)
            release(stream.image, &cache)
        }
        for sharer in stream.sharers {
            guard let client = rows[Int(sharer)]?.client else { continue }
            refuse(client, failure)
            close(sharer)
            release(stream.image, &cache)
        }
        if stream.hasWriter { actions.append(.stopWriter(number, error)) }
        abandon(number, isTaskEnded: stream.isLast)
    }

    /// No client holds the image any more.
    package mutating func stepUnwanted(_ image: ImageID, _ number: UInt32) {
        guard let stream = stream(number), stream.image == image else { return }
        if stream.hasWriter { actions.append(.stopWriter(number, nil)) }
        abandon(number, isTaskEnded: stream.isLast)
    }

    /// Content did not come in time, or its task does not end.
    mutating func expire(
        _ stream: Stream, _ number: UInt32, _ now: UInt64, _ cache: inout ImageCache
    ) {
        guard !stream.isComplete else {
            actions.append(.note(number, .notReturned))
            return abandon(number, isTaskEnded: false)
        }
        // Otherwise no client holds it any more, and `stepUnwanted` is about to come.
        guard cache.supplier(of: stream.image) != nil else { return }
        let hasBegun = stream.isAnswered && stream.sharers.isEmpty
        if hasBegun {
            guard let since = stream.awaitedSince else { return }
            let deadline = since + patienceNanoseconds
            guard deadline <= now else { return setDeadline(number, at: deadline, now: now) }
        }
        // What was handed in and found no room in the arena for so long is not the handler's fault.
        let isBusy = stream.leftByteCount > 0
        actions.append(.note(number, isBusy ? .noRoom : hasBegun ? .stuck : .tooSlow))
        failStream(number, &cache, isBusy ? .busy : .tooSlow)
    }
}
