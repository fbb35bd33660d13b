internal import CLinux
internal import Synchronization
internal import TFTPServing
internal import TFTPStore

/// Carries what handlers say to the store thread, from whatever thread they run on.
///
/// A continuation that is put in comes back once, whatever happens: the store thread resumes it, or
/// `close` does.
final class HandlerQueue: Sendable {
    /// An extent that has been compared, for the store thread to go on with.
    struct Check: Sendable {
        /// Its number is not free until then.
        let operation: Int
        let order: ImageCache.ReadOrder
        let identity: FileIdentity
        var result = CheckedContent.right
    }

    private struct State {
        var messages: [HandlerMessage] = []
        var checks: [Check] = []
        var isClosed = false
        var taskCount = 0
    }

    private let state = Mutex(State())
    private let wakeup: Int32

    /// - Parameter wakeup: the store thread's; stays open until `close`.
    init(wakeup: Int32) { self.wakeup = wakeup }

    func put(_ message: HandlerMessage) {
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            state.messages.append(message)
            // Within the lock, because the wakeup may be gone after `close`.
            if state.messages.count == 1 { clinux_eventfd_ring(wakeup) }
            return false
        }
        if isClosed { message.giveUp() }
    }

    func takeAll() -> [HandlerMessage] {
        state.withLock { state in
            defer { state.messages = [] }
            return state.messages
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

    /// Nothing is heard from now on.
    func close() {
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.messages = [] }
            return state.messages
        }
        for message in left { message.giveUp() }
    }

    /// Tasks that have not ended.
    var taskCount: Int { state.withLock { $0.taskCount } }

    // MARK: Tasks

    /// Asks `handler` in a task of its own.
    func ask(
        _ handler: any RequestHandler, _ request: HandlerRequest, _ id: RequestID
    ) -> Task<Void, Never> {
        state.withLock { $0.taskCount += 1 }
        return Task {
            await take(await handler.answer(request), id)
            state.withLock { $0.taskCount -= 1 }
        }
    }

    private func take(_ answer: HandlerAnswer, _ id: RequestID) async {
        switch answer {
        case .file, .bytes, .store, .refused: put(.answered(id, answer))
        case .stream(_, _, let body):
            await run(answer, id) { try await body(self.writer(id)) }
        case .take(let body):
            await run(answer, id) {
                try await body(
                    UploadReader {
                        try await withCheckedThrowingContinuation {
                            self.put(.wantsNext(id, $0))
                        }
                    })
            }
        case .sealed(let seal, let inside):
            put(.sealed(id, seal))
            await take(inside, id)
        }
    }

    /// Lets `content` be written in a task of its own.
    func supply(_ content: SharedContent, _ id: RequestID) -> Task<Void, Never> {
        state.withLock { $0.taskCount += 1 }
        return Task {
            await end(id) { try await content.body(self.writer(id)) }
            state.withLock { $0.taskCount -= 1 }
        }
    }

    private func writer(_ id: RequestID) -> SupplyWriter {
        SupplyWriter(origin: QueuedSupply(queue: self, id: id)) { bytes in
            try await withCheckedThrowingContinuation { self.put(.supplied(id, bytes, $0)) }
        }
    }

    private func run(
        _ answer: HandlerAnswer, _ id: RequestID, _ body: () async throws -> Void
    ) async {
        let isWanted = await withCheckedContinuation { put(.begins(id, answer, $0)) }
        guard isWanted else { return }
        await end(id, body)
    }

    private func end(_ id: RequestID, _ body: () async throws -> Void) async {
        do {
            try await body()
            put(.ended(id, isWell: true))
        } catch {
            put(.ended(id, isWell: false))
        }
    }
}

/// A stream that goes to the store thread.
private struct QueuedSupply: SupplyOrigin {
    let queue: HandlerQueue
    let id: RequestID

    func progress() async throws {
        try await withCheckedThrowingContinuation { queue.put(.progressed(id, $0)) }
    }

    func share(_ content: SharedContent) async throws -> (any SharedReader)? {
        let reading = try await withCheckedThrowingContinuation {
            queue.put(.shares(id, content, $0))
        }
        return reading.map { QueuedReader(queue: queue, id: $0) }
    }
}

/// Shared content, as the store thread has it.
private struct QueuedReader: SharedReader {
    let queue: HandlerQueue
    let id: RequestID

    func read(at offset: UInt64, byteCount: Int) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation {
            queue.put(.reads(id, offset: offset, byteCount: byteCount, $0))
        }
    }

    func stop() { queue.put(.stopsReading(id)) }
}
