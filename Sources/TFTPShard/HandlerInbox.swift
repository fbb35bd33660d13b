internal import CLinux
internal import Synchronization

/// What handlers say to the store thread, from whatever thread they run on.
///
/// A continuation that is put in comes back once, whatever happens: the store thread resumes it, or `close` does.
final class HandlerInbox: Sendable {
    enum Word: Sendable {
        /// The task has ended with this answer.
        case answered(UInt32, HandlerAnswer)
        /// This is the answer, and its body runs if the continuation says so; else the task ends without another word.
        case begins(UInt32, HandlerAnswer, CheckedContinuation<Bool, Never>)
        case supplied(UInt32, [UInt8], CheckedContinuation<Void, any Error>)
        case asks(UInt32, CheckedContinuation<[UInt8]?, any Error>)
        /// The body has returned, or thrown.
        case ended(UInt32, isWell: Bool)
    }

    private struct State {
        var words: [Word] = []
        var isClosed = false
        var taskCount = 0
    }

    private let state = Mutex(State())
    private let bell: Int32

    /// - Parameter bell: the store thread's; stays open until `close`.
    init(bell: Int32) { self.bell = bell }

    func put(_ word: Word) {
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            state.words.append(word)
            // Within the lock, because the bell may be gone after `close`.
            if state.words.count == 1 { clinux_eventfd_ring(bell) }
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

    /// Nobody listens from now on.
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
        _ handler: any RequestHandler, _ question: HandlerQuestion, number: UInt32
    ) -> Task<Void, Never> {
        state.withLock { $0.taskCount += 1 }
        return Task {
            let answer = await handler.answer(question)
            switch answer {
            case .file, .bytes, .store, .refused: put(.answered(number, answer))
            case .stream(_, _, let body):
                await run(answer, number) {
                    try await body(SupplyWriter(inbox: self, number: number))
                }
            case .take(let body):
                await run(answer, number) {
                    try await body(UploadReader(inbox: self, number: number))
                }
            }
            state.withLock { $0.taskCount -= 1 }
        }
    }

    private func run(
        _ answer: HandlerAnswer, _ number: UInt32, _ body: () async throws -> Void
    ) async {
        let isWanted = await withCheckedContinuation { put(.begins(number, answer, $0)) }
        guard isWanted else { return }
        do {
            try await body()
            put(.ended(number, isWell: true))
        } catch {
            put(.ended(number, isWell: false))
        }
    }
}

extension HandlerInbox.Word {
    /// Tells whoever waits that nobody listens.
    func giveUp() {
        switch self {
        case .answered, .ended: break
        case .begins(_, _, let continuation): continuation.resume(returning: false)
        case .supplied(_, _, let continuation): continuation.resume(throwing: CancellationError())
        case .asks(_, let continuation): continuation.resume(throwing: CancellationError())
        }
    }
}
