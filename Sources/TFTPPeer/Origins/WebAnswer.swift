internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// A web server's answer to one request, taken as it comes. Releasing it cancels the request.
final class WebAnswer: Sendable {
    private let inbox: WebInbox
    private let task: HTTPClient.Task<Void>

    init(_ request: HTTPClient.Request, by client: HTTPClient) {
        let inbox = WebInbox()
        self.inbox = inbox
        task = client.execute(request: request, delegate: inbox)
    }

    deinit { task.cancel() }

    /// The status and the fields, within `patience` from now.
    ///
    /// - Throws: `SourceFailure.noAnswer` where they take longer; else why the request failed.
    func head(within patience: Duration) async throws -> HTTPResponseHead {
        while true {
            if let head = try inbox.head() { return head }
            guard await change(within: patience) else { throw SourceFailure.noAnswer }
        }
    }

    /// The next bytes, all that have come; nil at the end.
    ///
    /// - Throws: `SourceFailure.stalled` where nothing comes within `patience`.
    func next(within patience: Duration) async throws -> [UInt8]? {
        while true {
            if let bytes = try inbox.take() { return bytes }
            if inbox.isOver { return nil }
            guard await change(within: patience) else { throw SourceFailure.stalled(patience) }
        }
    }

    /// Waits until there is something new; false where there is not in time.
    private func change(within patience: Duration) async -> Bool {
        let turn = inbox.nextTurn()
        let timer = task.eventLoop.scheduleTask(in: TimeAmount(patience)) { [inbox] in
            inbox.expire(turn)
        }
        defer { timer.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { inbox.wait($0, turn) }
        } onCancel: {
            inbox.cancel()
        }
    }
}

/// Takes what the client's event loop delivers, and buffers so much of it that the connection never
/// waits for the reader's turn.
final class WebInbox: HTTPClientResponseDelegate {
    private struct State {
        var head: HTTPResponseHead?
        var parts: [ByteBuffer] = []
        var byteCount = 0
        var isOver = false
        var failure: (any Error)?
        /// The task that waits for a change.
        var waiting: CheckedContinuation<Bool, Never>?
        /// Of the latest wait.
        var turn = 0
        /// There has been one since anybody looked.
        var hasChanged = false
        /// The latest wait whose time is over: a timer may be quicker than its reader.
        var expiredTurn = 0
        /// The server is read on when this is fulfilled.
        var room: EventLoopPromise<Void>?
    }

    private let state = Mutex(State())
    private static let byteCountMax = 1 << 20

    // MARK: The reader's side

    func head() throws -> HTTPResponseHead? {
        try state.withLock { state in
            state.hasChanged = false
            if let head = state.head { return head }
            if let failure = state.failure { throw failure }
            return nil
        }
    }

    /// All that is here; nil where that is nothing.
    func take() throws -> [UInt8]? {
        let (parts, byteCount, room) = try state.withLock { state in
            state.hasChanged = false
            if state.parts.isEmpty, let failure = state.failure { throw failure }
            defer { (state.parts, state.byteCount, state.room) = ([], 0, nil) }
            return (state.parts, state.byteCount, state.room)
        }
        room?.succeed()
        guard byteCount > 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for part in parts { bytes += part.readableBytesView }
        return bytes
    }

    var isOver: Bool { state.withLock { $0.isOver && $0.parts.isEmpty } }

    func wait(_ continuation: CheckedContinuation<Bool, Never>, _ turn: Int) {
        let isReady = state.withLock { state -> Bool? in
            precondition(state.waiting == nil, "an answer has one reader")
            if state.hasChanged { return true }
            if state.expiredTurn == turn { return false }
            state.waiting = continuation
            return nil
        }
        if let isReady { continuation.resume(returning: isReady) }
    }

    /// Numbers the waits, so that a timer that comes late ends no other one.
    func nextTurn() -> Int {
        state.withLock { state in
            state.turn += 1
            return state.turn
        }
    }

    /// The time of a wait is over.
    func expire(_ turn: Int) {
        let waiting = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            guard state.turn == turn else { return nil }
            state.expiredTurn = turn
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: false)
    }

    /// The reader's task has been cancelled.
    func cancel() { end { $0.failure = $0.failure ?? CancellationError() } }

    // MARK: The event loop's side

    private func end(_ body: (inout State) -> Void) {
        let (waiting, room) = state.withLock { state in
            body(&state)
            state.hasChanged = true
            let ends = (state.waiting, state.room)
            (state.waiting, state.room) = (nil, nil)
            return ends
        }
        room?.succeed()
        waiting?.resume(returning: true)
    }

    func didReceiveHead(
        task: HTTPClient.Task<Void>, _ head: HTTPResponseHead
    ) -> EventLoopFuture<Void> {
        end { $0.head = head }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(
        task: HTTPClient.Task<Void>, _ buffer: ByteBuffer
    ) -> EventLoopFuture<Void> {
        let (waiting, room) = state.withLock { state in
            state.parts.append(buffer)
            state.byteCount += buffer.readableBytes
            state.hasChanged = true
            if state.byteCount >= WebInbox.byteCountMax {
                state.room = task.eventLoop.makePromise()
            }
            let waiting = state.waiting
            state.waiting = nil
            return (waiting, state.room)
        }
        waiting?.resume(returning: true)
        return room?.futureResult ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) {
        end { $0.failure = $0.failure ?? SourceFailure(error) }
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) { end { $0.isOver = true } }
}

extension TimeAmount {
    init(_ duration: Duration) { self = .nanoseconds(Int64(duration / .nanoseconds(1))) }
}
