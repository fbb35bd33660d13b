internal import CLinux
internal import Synchronization
internal import TFTPServing
internal import TFTPStore

/// What handlers say to the store thread, from whatever thread they run on.
///
/// A continuation that is put in comes back once, whatever happens: the store thread resumes it, or
/// `close` does.
final class HandlerQueue: Sendable {
    enum Word: Sendable {
        /// The task has ended with this answer.
        case answered(HandlerTable.Ticket, HandlerAnswer)
        /// The transfer will be sealed; the answer follows.
        case sealed(HandlerTable.Ticket, TransferSeal)
        /// This is the answer, and its body runs if the continuation returns true; else the task
        /// ends silently.
        case begins(HandlerTable.Ticket, HandlerAnswer, CheckedContinuation<Bool, Never>)
        case supplied(HandlerTable.Ticket, [UInt8], CheckedContinuation<Void, any Error>)
        /// The body has written something that comes to no bytes of the content yet.
        case goesOn(HandlerTable.Ticket, CheckedContinuation<Void, any Error>)
        case asks(HandlerTable.Ticket, CheckedContinuation<[UInt8]?, any Error>)
        /// The body has returned, or thrown.
        case ended(HandlerTable.Ticket, isWell: Bool)
        /// The task makes its content from what other requests may read as well; nil if there is no
        /// room for that.
        case shares(
            HandlerTable.Ticket, SharedContent, CheckedContinuation<HandlerTable.Ticket?, any Error>
        )
        /// It requests up to this number of bytes of that, from there on.
        case reads(
            HandlerTable.Ticket, offset: UInt64, byteCount: Int,
            CheckedContinuation<[UInt8], any Error>)
        /// It stops reading it.
        case leaves(HandlerTable.Ticket)
    }

    /// An extent that has been compared, for the store thread to go on with.
    struct Check: Sendable {
        /// Its number is not free until then.
        let operation: Int
        let order: ImageCache.ReadOrder
        let identity: FileIdentity
        var result = CheckedContent.right
    }

    private struct State {
        var words: [Word] = []
        var checks: [Check] = []
        var isClosed = false
        var taskCount = 0
    }

    private let state = Mutex(State())
    private let wakeup: Int32

    /// - Parameter wakeup: the store thread's; stays open until `close`.
    init(wakeup: Int32) { self.wakeup = wakeup }

    func put(_ word: Word) {
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            state.words.append(word)
            // Within the lock, because the wakeup may be gone after `close`.
            if state.words.count == 1 { clinux_eventfd_ring(wakeup) }
            return false
        }
        if isClosed { word.giveUp() }
    }

    func takeAll() -> [Word] {
        state.withLock { state in
            defer { state.words = [] }
            return state.words
        }
    }

    /// Has `bytes` compared in a task of its own, and what came of it kept for `takeChecks`.
    func check(
        _ check: Check, _ bytes: [UInt8], at offset: UInt64, by judge: any ContentCheck
    ) {
        Task {
            var check = check
            check.result = await judge.check(bytes, at: offset, of: check.identity)
            state.withLock { state in
                guard !state.isClosed else { return }
                state.checks.append(check)
                clinux_eventfd_ring(wakeup)
            }
        }
    }

    func takeChecks() -> [Check] {
        state.withLock { state in
            defer { state.checks = [] }
            return state.checks
        }
    }

    /// Rejects all later messages.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.words = [] }
            return state.words
        }
        for word in left { word.giveUp() }
    }

    /// Tasks that have not ended.
    var taskCount: Int { state.withLock { $0.taskCount } }

    /// Asks `handler` in a task of its own.
    func ask(
        _ handler: any RequestHandler, _ question: HandlerRequest, _ ticket: HandlerTable.Ticket
    ) -> Task<Void, Never> {
        state.withLock { $0.taskCount += 1 }
        return Task {
            await take(await handler.answer(question), ticket)
            state.withLock { $0.taskCount -= 1 }
        }
    }

    private func take(_ answer: HandlerAnswer, _ ticket: HandlerTable.Ticket) async {
        switch answer {
        case .file, .bytes, .store, .refused: put(.answered(ticket, answer))
        case .stream(_, _, let body):
            await run(answer, ticket) {
                try await body(SupplyWriter(handlerQueue: self, ticket: ticket))
            }
        case .take(let body):
            await run(answer, ticket) {
                try await body(UploadReader(handlerQueue: self, ticket: ticket))
            }
        case .sealed(let seal, let inside):
            put(.sealed(ticket, seal))
            await take(inside, ticket)
        }
    }

    /// Lets `content` be written in a task of its own.
    func supply(_ content: SharedContent, _ ticket: HandlerTable.Ticket) -> Task<Void, Never> {
        state.withLock { $0.taskCount += 1 }
        return Task {
            await end(ticket) {
                try await content.body(SupplyWriter(handlerQueue: self, ticket: ticket))
            }
            state.withLock { $0.taskCount -= 1 }
        }
    }

    /// A ticket to read `content` with; nil if it cannot be shared.
    func share(
        _ content: SharedContent, for ticket: HandlerTable.Ticket
    ) async throws -> HandlerTable.Ticket? {
        try await withCheckedThrowingContinuation { put(.shares(ticket, content, $0)) }
    }

    /// Bytes of shared content from `offset` on, once there are some; none after its end.
    func read(
        _ ticket: HandlerTable.Ticket, at offset: UInt64, byteCount: Int
    ) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation {
            put(.reads(ticket, offset: offset, byteCount: byteCount, $0))
        }
    }

    private func run(
        _ answer: HandlerAnswer, _ ticket: HandlerTable.Ticket, _ body: () async throws -> Void
    ) async {
        let isWanted = await withCheckedContinuation { put(.begins(ticket, answer, $0)) }
        guard isWanted else { return }
        await end(ticket, body)
    }

    private func end(_ ticket: HandlerTable.Ticket, _ body: () async throws -> Void) async {
        do {
            try await body()
            put(.ended(ticket, isWell: true))
        } catch {
            put(.ended(ticket, isWell: false))
        }
    }
}

extension HandlerQueue.Word {
    /// The question that it is about.
    var ticket: HandlerTable.Ticket {
        switch self {
        case .answered(let ticket, _), .sealed(let ticket, _), .begins(let ticket, _, _),
            .supplied(let ticket, _, _), .goesOn(let ticket, _), .asks(let ticket, _),
            .ended(let ticket, _), .shares(let ticket, _, _), .reads(let ticket, _, _, _),
            .leaves(let ticket):
            ticket
        }
    }

    /// Fails all waiters: the server no longer reads messages.
    func giveUp() {
        switch self {
        case .answered, .sealed, .ended, .leaves: break
        case .begins(_, _, let continuation): continuation.resume(returning: false)
        case .supplied(_, _, let continuation): continuation.resume(throwing: CancellationError())
        case .goesOn(_, let continuation): continuation.resume(throwing: CancellationError())
        case .asks(_, let continuation): continuation.resume(throwing: CancellationError())
        case .shares(_, _, let continuation): continuation.resume(throwing: CancellationError())
        case .reads(_, _, _, let continuation): continuation.resume(throwing: CancellationError())
        }
    }
}
