/// Content that a handler streams for several tasks, and that each makes its own content of: what
/// is sealed for one transfer is of no use to another, but what goes under the seal is.
///
/// The request that streams it and those that read it have rows that no client waits for. The image
/// between them is like any other with a key, so plain clients share it too.
extension HandlerTable {
    struct Reader {
        /// Held as long as this is.
        let image: ImageID
        /// What the task waits for.
        var wanted: (offset: UInt64, byteCount: Int)?
    }

    /// In place of a shard in `ImageCache.Waiter`: a task waits, and its slot is the number of a
    /// row.
    package static let tasks = UInt32.max

    private func reader(_ number: UInt32) -> Reader? {
        guard case .reading(let reader) = rows[Int(number)]?.state else { return nil }
        return reader
    }

    /// Lets the task of `number` read the content that goes by `key`.
    ///
    /// - Returns: the row that reads, and the row that is to stream the content from now on, if
    ///   none does already; nil where there is no room for it.
    package mutating func stepShare(
        _ number: UInt32, key: String, byteCount: UInt64?, now: UInt64, _ cache: inout ImageCache
    ) -> (reader: RequestID, streamer: RequestID?)? {
        // One row reads, and one may have to stream.
        guard freeCount >= 2, let client = rows[Int(number)]?.client,
            let (image, streamer) = image(key, byteCount, client, noting: number, now, &cache)
        else { return nil }
        let reading = Row(client: client, state: .reading(Reader(image: image)))
        guard let reader = openBeside(reading) else {
            release(image, &cache)
            return nil
        }
        return (reader, streamer)
    }

    /// The image that goes by `key`, held once more, and the row that streams it if that is new.
    private mutating func image(
        _ key: String, _ byteCount: UInt64?, _ client: StoreClient, noting: UInt32,
        _ now: UInt64, _ cache: inout ImageCache
    ) -> (ImageID, RequestID?)? {
        if let image = cache.lookup(key: key) { return (image, nil) }
        guard byteCount ?? 0 <= ImageCache.imageByteCountMax,
            let streamer = openBeside(Row(client: client))
        else { return nil }
        let made = cache.insertSupplied(
            byteCount: byteCount, key: key, supplier: streamer.number)
        guard let made, cache.isShared(made) else {
            noteRoom(noting, .notShared, now: now)
            close(streamer.number)
            if let made { release(made, &cache) }
            return nil
        }
        rows[Int(streamer.number)]?.state = .streaming(Stream(image: made, isAnswered: true))
        return (made, streamer)
    }

    /// The task wants so many bytes at most, from `offset` on. False when it reads nothing, or
    /// waits already.
    package mutating func stepRead(
        _ number: UInt32, offset: UInt64, byteCount: Int, now: UInt64, _ cache: inout ImageCache
    ) -> Bool {
        guard var reader = reader(number), reader.wanted == nil else { return false }
        reader.wanted = (offset, byteCount)
        rows[Int(number)]?.state = .reading(reader)
        serveReader(number, now, &cache)
        return true
    }

    /// Something has come of what a task waits for, or will not.
    package mutating func stepReady(
        _ waiter: ImageCache.Waiter, now: UInt64, _ cache: inout ImageCache
    ) {
        let id = RequestID(number: waiter.slot, generation: waiter.generation)
        if isOpen(id) { serveReader(id.number, now, &cache) }
    }

    /// Hands a task what is there of what it wants, as far as it lies in one extent; it waits while
    /// there is nothing.
    private mutating func serveReader(
        _ number: UInt32, _ now: UInt64, _ cache: inout ImageCache
    ) {
        guard var reader = reader(number), let wanted = reader.wanted else { return }
        let image = reader.image
        let filled = cache.imageIndex.filledByteCount(of: image)
        let hasEnded = cache.supplier(of: image) == nil
        let hasFailed = cache.imageIndex.failure(of: image) != nil
        guard hasFailed || hasEnded || filled > wanted.offset else {
            let unit = Int(wanted.offset / ImageCache.supplyUnitByteCount) + 1
            let waiter = ImageCache.Waiter(
                shard: HandlerTable.tasks, slot: number, generation: id(of: number).generation)
            cache.want(image, unit, for: waiter)
            return stepWait(image, now: now, cache)
        }
        reader.wanted = nil
        rows[Int(number)]?.state = .reading(reader)
        guard !hasFailed else {
            return actions.append(.stopReader(number, isFailure: true))
        }
        let extentByteCount = UInt64(ImageIndex.extentByteCount)
        let left = filled > wanted.offset ? filled - wanted.offset : 0
        let count = min(
            UInt64(wanted.byteCount), left, extentByteCount - wanted.offset % extentByteCount)
        actions.append(
            .resumeReader(number, image, offset: wanted.offset, byteCount: Int(count)))
    }

    /// The task reads no more.
    package mutating func stepLeave(_ number: UInt32, _ cache: inout ImageCache) {
        guard let reader = reader(number) else { return }
        close(number)
        release(reader.image, &cache)
    }
}
