internal import TFTPCore

/// Names a request to a handler while its row is open. What speaks of it later is told from the
/// next request in that row.
package struct RequestID: Hashable, BitwiseCopyable, Sendable {
    package let number: UInt32
    package let generation: UInt32

    package init(number: UInt32, generation: UInt32) {
        self.number = number
        self.generation = generation
    }
}

/// A transfer of a shard that waits for an answer, and the place where its request is.
package struct StoreClient: Equatable, BitwiseCopyable, Sendable {
    package var shard: Int
    package var slot: UInt32
    package var generation: UInt32
    package var pending: UInt32

    package init(shard: Int, slot: UInt32, generation: UInt32, pending: UInt32) {
        self.shard = shard
        self.slot = slot
        self.generation = generation
        self.pending = pending
    }
}

/// What an operator should know of a handler.
package enum HandlerFailure: Equatable, Sendable {
    /// There was nothing to send in time.
    case tooSlow
    /// A reader has waited too long for the next byte.
    case stuck
    /// Everything announced is there, and the task has not returned.
    case notReturned
    /// Too much content of handlers is held: the request was refused.
    case noRoom
    /// The same: content that has a key is sent to this client alone.
    case notShared
    /// What was handed in cannot be taken.
    case refused(SupplyError)
}

/// The requests that handlers are asked about, their states and deadlines. Sans-IO: the store
/// thread runs the tasks, moves the bytes, and carries the actions out in order.
///
/// A request keeps its row until its task has ended, so a handler that ignores cancellation counts
/// as long as it runs.
///
/// Invariants: each client is answered once; a writer, a consumer or a reader that waits is resumed
/// once; every row that a request shares names that request among its sharers.
package struct HandlerTable: ~Copyable {
    /// What the caller must do, in order.
    package enum Action: Equatable, Sendable {
        /// The image is held for the client. `byteCount` is nil while it is unknown.
        case answer(StoreClient, ImageID, byteCount: UInt64?)
        case refuse(StoreClient, StoreFailure)
        /// The client may send its upload, under this name.
        case openUpload(StoreClient, upload: UInt32)
        /// The upload is complete.
        case commit(StoreClient)
        /// The upload cannot go on.
        case fail(StoreClient, StoreFailure)
        /// A chunk of the shard's pool is free again.
        case giveBack(chunk: UInt32, shard: Int)
        /// Let the writer of this row go on.
        case resumeWriter(UInt32)
        /// Tell the writer of this row that nothing more is taken; nil: because no client wants it.
        case stopWriter(UInt32, SupplyError?)
        /// Hand the consumer of this row a chunk, which is given back by that; nil is the end.
        case resumeConsumer(UInt32, chunk: UInt32?, byteCount: Int, shard: Int)
        case stopConsumer(UInt32)
        /// Hand the reader of this row bytes of an image, in one extent; none is the end.
        case resumeReader(UInt32, ImageID, offset: UInt64, byteCount: Int)
        /// What the reader of this row reads will not come; `isFailure` tells a failed supply from
        /// a request that ended.
        case stopReader(UInt32, isFailure: Bool)
        case cancelTask(UInt32)
        /// The row is free: nothing speaks of it any more.
        case forget(UInt32)
        case note(UInt32, HandlerFailure)
    }

    enum State {
        /// The handler has not answered.
        case asked
        /// It hands content in.
        case streaming(Stream)
        /// Another request streams the same content, whose first byte is not there yet. There is no
        /// task.
        case sharing(ImageID, streamer: UInt32)
        /// It takes an upload.
        case consuming(Consumer)
        /// No client waits: a task reads what another request streams.
        case reading(Reader)
        /// No client waits for it any more.
        case abandoned
    }

    struct Row {
        let client: StoreClient
        var state = State.asked
    }

    package var actions: [Action] = []
    var rows: [Row?] = []
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    /// A deadline a row; what it means depends on the state.
    private var deadlines: TimingWheel
    private let capacity: Int
    /// How long a handler may take until something happens.
    let patienceNanoseconds: UInt64
    /// For each shard, which row each pending request is about.
    private var numbers: [[UInt32]]
    private var roomNotedAt: UInt64?

    private static let none = UInt32.max
    private static let roomNoteNanoseconds: UInt64 = 1_000_000_000
    /// What tells an upload that a handler takes from one in `UploadTable`.
    package static let uploadFlag: UInt32 = 1 << 31
    /// Requests at once at most: their numbers have 16 bits in the name of an upload.
    package static let requestsMax = 1 << 16

    /// - Parameters:
    ///   - capacity: rows.
    ///   - pendingsMax: places for requests that a shard has.
    package init(
        capacity: Int, shardCount: Int, pendingsMax: Int, patienceNanoseconds: UInt64
    ) {
        precondition(capacity <= HandlerTable.requestsMax)
        self.capacity = capacity
        self.patienceNanoseconds = patienceNanoseconds
        deadlines = TimingWheel(capacity: capacity, now: 0)
        let nothing = [UInt32](repeating: HandlerTable.none, count: pendingsMax)
        numbers = Array(repeating: nothing, count: shardCount)
    }

    // MARK: Rows

    package var openCount: Int { rows.count - free.count }
    var freeCount: Int { capacity - openCount }

    /// Every row that is open.
    package var openNumbers: [UInt32] {
        rows.indices.filter { rows[$0] != nil }.map { UInt32($0) }
    }

    /// Takes a row for what a client asks; nil when all are taken.
    package mutating func open(_ client: StoreClient, now: UInt64) -> RequestID? {
        guard let id = openBeside(Row(client: client)) else { return nil }
        numbers[client.shard][Int(client.pending)] = id.number
        startClock(id.number, now)
        return id
    }

    /// Takes a row that no client waits for, beside the one of a client.
    mutating func openBeside(_ row: Row) -> RequestID? {
        guard freeCount > 0 else { return nil }
        guard let number = free.popLast() else {
            rows.append(row)
            generations.append(0)
            return RequestID(number: UInt32(rows.count - 1), generation: 0)
        }
        rows[Int(number)] = row
        return id(of: number)
    }

    /// What names the request in this row now.
    package func id(of number: UInt32) -> RequestID {
        RequestID(number: number, generation: generations[Int(number)])
    }

    /// Whether the request is open still.
    package func isOpen(_ id: RequestID) -> Bool {
        rows[Int(id.number)] != nil && generations[Int(id.number)] == id.generation
    }

    /// Whether the client still waits for an answer.
    package func waits(_ number: UInt32) -> Bool {
        switch rows[Int(number)]?.state {
        case .asked, .sharing: true
        case .streaming(let stream): !stream.isAnswered
        case .consuming, .reading, .abandoned, nil: false
        }
    }

    /// The task has ended, and sends no further messages.
    mutating func close(_ number: UInt32) {
        assert(rows[Int(number)] != nil)
        rows[Int(number)] = nil
        generations[Int(number)] &+= 1
        deadlines.cancel(Int(number))
        free.append(number)
        actions.append(.forget(number))
    }

    /// The client has its answer, so the place of its request may soon be another's.
    mutating func forgetPending(of client: StoreClient) {
        numbers[client.shard][Int(client.pending)] = HandlerTable.none
    }

    mutating func abandon(_ number: UInt32, isTaskEnded: Bool) {
        guard !isTaskEnded else { return close(number) }
        rows[Int(number)]?.state = .abandoned
        actions.append(.cancelTask(number))
    }

    mutating func refuse(_ client: StoreClient, _ failure: StoreFailure) {
        forgetPending(of: client)
        actions.append(.refuse(client, failure))
    }

    /// Releases an image that is held for a client and will not be given to it.
    func release(_ image: ImageID, _ cache: inout ImageCache) {
        cache.imageIndex.release(image)
        cache.didRelease(image)
    }

    /// One line a second says enough of it.
    mutating func noteRoom(_ number: UInt32, _ trouble: HandlerFailure, now: UInt64) {
        guard now &- (roomNotedAt ?? 0) >= HandlerTable.roomNoteNanoseconds || roomNotedAt == nil
        else { return }
        roomNotedAt = now
        actions.append(.note(number, trouble))
    }

    // MARK: Answers

    /// The handler has answered with what the caller does by itself: a file, or a refusal. Returns
    /// whether the client still waits for it.
    package mutating func stepAnswer(_ number: UInt32) -> Bool {
        let isWanted = waits(number)
        if isWanted, let client = rows[Int(number)]?.client { forgetPending(of: client) }
        close(number)
        return isWanted
    }

    /// The handler's answer does not fit its request.
    package mutating func stepWrongAnswer(_ number: UInt32) {
        if waits(number), let client = rows[Int(number)]?.client { refuse(client, .forbidden) }
        close(number)
    }

    /// The client has gone, or asks for something else.
    package mutating func stepGiveUp(pending: UInt32, shard: Int, _ cache: inout ImageCache) {
        let number = numbers[shard][Int(pending)]
        guard number != HandlerTable.none else { return }
        // The shard does not look at this answer any more, but it gives the place of the request
        // back.
        dismiss(number, .busy, &cache)
    }

    /// Fails the waiting client with an ERROR, and lets the task know.
    mutating func dismiss(_ number: UInt32, _ failure: StoreFailure, _ cache: inout ImageCache) {
        guard waits(number), let row = rows[Int(number)] else { return }
        refuse(row.client, failure)
        switch row.state {
        case .asked, .consuming, .reading, .abandoned: abandon(number, isTaskEnded: false)
        case .streaming(var stream):
            // Others may have come to share it: it goes on for them.
            stream.isAnswered = true
            rows[Int(number)]?.state = .streaming(stream)
            release(stream.image, &cache)
        case .sharing(let image, let streamer): leave(number, image, streamer, &cache)
        }
    }

    /// The task has returned, or has thrown.
    package mutating func stepEnd(_ number: UInt32, isWell: Bool, _ cache: inout ImageCache) {
        switch rows[Int(number)]?.state {
        case .streaming(var stream):
            stream.isLast = true
            rows[Int(number)]?.state = .streaming(stream)
            // What another task of the body still has in `write` is not in the image: it would be
            // cut off silently.
            isWell && !stream.hasWriter ? finish(number, &cache) : failStream(number, &cache)
        case .consuming: endConsumer(number, isWell: isWell)
        case .asked, .sharing, .reading, .abandoned: close(number)
        case nil: break
        }
    }

    /// The server ends: every waiter is resumed, and every task is cancelled.
    package mutating func stepStop() {
        for number in openNumbers {
            actions.append(.cancelTask(number))
            switch rows[Int(number)]?.state {
            case .streaming(let stream):
                if stream.hasWriter { actions.append(.stopWriter(number, nil)) }
            case .consuming(let consumer):
                if consumer.isWaiting { actions.append(.stopConsumer(number)) }
            case .reading(let reader):
                if reader.wanted != nil { actions.append(.stopReader(number, isFailure: false)) }
            case .asked, .sharing, .abandoned, nil: break
            }
            // What shards still say of it is ignored.
            rows[Int(number)]?.state = .abandoned
        }
    }

    // MARK: Time

    package func nanosecondsUntilDeadline(now: UInt64) -> UInt64? {
        deadlines.nanosecondsUntilNext(now: now)
    }

    /// From now on the row has as long as a handler may take.
    mutating func startClock(_ number: UInt32, _ now: UInt64) {
        setDeadline(number, at: now + patienceNanoseconds, now: now)
    }

    mutating func setDeadline(_ number: UInt32, at deadline: UInt64, now: UInt64) {
        deadlines.catchUp(now: now)
        deadlines.schedule(Int(number), at: deadline)
    }

    /// Ends what has taken too long.
    package mutating func stepTime(now: UInt64, _ cache: inout ImageCache) {
        while let number = deadlines.popExpired(now: now) { expire(UInt32(number), now, &cache) }
    }

    private mutating func expire(_ number: UInt32, _ now: UInt64, _ cache: inout ImageCache) {
        switch rows[Int(number)]?.state {
        case .asked:
            actions.append(.note(number, .tooSlow))
            dismiss(number, .tooSlow, &cache)
        case .sharing: dismiss(number, .tooSlow, &cache)
        case .streaming(let stream): expire(stream, number, now, &cache)
        case .consuming, .reading, .abandoned, nil: break
        }
    }
}
