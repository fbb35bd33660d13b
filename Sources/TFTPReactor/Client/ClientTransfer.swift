internal import Glibc
internal import Synchronization
package import TFTPSeal
package import TFTPServing
package import TFTPWire

/// One transfer of a client: a ring of bytes between the shard's thread and the task that reads or
/// writes the content, and the transfer's result.
///
/// Either side owns a part of the ring and a counter; neither ever waits in here. A side that finds
/// nothing leaves a note (`whenReady`, `shardWaits`) and is woken. Bytes are counted from the
/// beginning of the content, so the byte `n` is at `n % capacity`.
///
/// @unchecked Sendable: the memory between the counters belongs to the side that the counters say;
/// what the shard keeps here is the shard's alone. (More than twelve properties: two sides'
/// counters and notes, of which neither may touch the other's.)
@safe
package final class ClientTransfer: @unchecked Sendable {
    package let request: ClientRequest
    let transport: ClientTransport
    let link: ClientLink
    let memory: UnsafeMutableRawBufferPointer
    /// How much of `memory` is the ring: when receiving a whole number of blocks, so that none lies
    /// across the end.
    private let ringByteCount: Atomic<Int>
    /// Bytes that the writer has put in.
    private let written = Atomic<UInt64>(0)
    /// Bytes that were taken out and are not needed any more.
    private let consumed = Atomic<UInt64>(0)
    /// `written` is all that there will be.
    private let isComplete = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let taskWaits = Atomic<Bool>(false)
    private let shardWaiting = Atomic<Bool>(false)
    /// What is sent has to be sealed, or must not be read too early, and the server has not
    /// answered yet.
    private let awaitsAnswer: Atomic<Bool>
    private let state = Mutex(State())

    private struct State {
        var waker: (@Sendable () -> Void)?
        var result: Result<ClientSummary, ClientFailure>?
        var sealer: BlockSealer?
    }

    // What is shown while the transfer runs.
    private let transferred = Atomic<UInt64>(0)
    private let announced = Atomic<UInt64>(.max)

    // The shard's own.

    /// The slot in the shard's table.
    var slot = -1

    /// The least memory of a ring. Content changes hands a quarter at a time: often enough to stay
    /// in a processor's cache, seldom enough that the cost of wakeups is negligible.
    static let byteCountMin = 512 << 10

    init(_ request: ClientRequest, _ transport: ClientTransport, link: ClientLink) {
        self.request = request
        self.transport = transport
        self.link = link
        let byteCount = max(ClientTransfer.byteCountMin, 2 * request.windowByteCountMax)
        unsafe memory = .allocate(byteCount: byteCount, alignment: 4096)
        ringByteCount = Atomic(byteCount)
        awaitsAnswer = Atomic(
            request.opcode == .wrq && (request.seal != nil || request.readsAfterAnswer))
    }

    deinit { unsafe memory.deallocate() }

    package var isReceiving: Bool { request.opcode == .rrq }

    /// Bytes of content that have been received, or acknowledged by the server.
    package var transferredByteCount: UInt64 { transferred.load(ordering: .relaxed) }

    /// Bytes that there will be, as far as the server has told.
    package var announcedByteCount: UInt64? {
        let value = announced.load(ordering: .relaxed)
        return value == .max ? nil : value
    }

    // MARK: The task's side

    /// How the transfer ended; nil while it runs.
    package var result: Result<ClientSummary, ClientFailure>? {
        hasEnded.load(ordering: .acquiring) ? state.withLock { $0.result } : nil
    }

    /// What has arrived and lies in one piece; stays until `didRead`.
    package var readable: UnsafeRawBufferPointer {
        let start = consumed.load(ordering: .relaxed)
        let count = Int(written.load(ordering: .sequentiallyConsistent) - start)
        return unsafe UnsafeRawBufferPointer(piece(at: start, count: count))
    }

    /// `count` bytes of `readable` are not needed any more.
    package func didRead(_ count: Int) {
        let now = consumed.load(ordering: .relaxed) + UInt64(count)
        consumed.store(now, ordering: .sequentiallyConsistent)
        wakeShard()
    }

    /// Room for content to be sent, in one piece; `didWrite` says how much was used.
    package var writable: UnsafeMutableRawBufferPointer {
        guard !awaitsAnswer.load(ordering: .sequentiallyConsistent) else {
            return unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
        }
        let end = written.load(ordering: .relaxed)
        let used = Int(end - consumed.load(ordering: .sequentiallyConsistent))
        return unsafe piece(at: end, count: capacity - used)
    }

    package func didWrite(_ count: Int) {
        let now = written.load(ordering: .relaxed) + UInt64(count)
        written.store(now, ordering: .sequentiallyConsistent)
        wakeShard()
    }

    /// Seals content before it is written; until the keys are known there is no room to write.
    package var sealer: BlockSealer? { state.withLock { $0.sealer } }

    /// What was written is all.
    package func finishWriting() {
        isComplete.store(true, ordering: .sequentiallyConsistent)
        wakeShard()
    }

    /// Calls `wake` once there is something to read, room to write, or an end; at once if there is
    /// already.
    package func whenReady(_ wake: @escaping @Sendable () -> Void) {
        state.withLock { $0.waker = wake }
        taskWaits.store(true, ordering: .sequentiallyConsistent)
        if isReady { wakeTask() }
    }

    private var isReady: Bool {
        if hasEnded.load(ordering: .sequentiallyConsistent) { return true }
        if isReceiving { return unsafe readable.count > 0 }
        return unsafe !isWritingFinished && writable.count > 0
    }

    /// Ends the transfer, with ERROR `code` to the server. Does nothing if it has ended already.
    package func cancel(_ code: ErrorCode = .notDefined) {
        if !link.post(.cancel(self, code)) { finish(.failure(.closed)) }
    }

    private func wakeShard() {
        guard shardWaiting.exchange(false, ordering: .sequentiallyConsistent) else { return }
        _ = link.post(.resume(self))
    }

    // MARK: The shard's side

    /// The ring's memory.
    var ring: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: memory[..<capacity])
    }

    var capacity: Int { ringByteCount.load(ordering: .relaxed) }

    /// The server has answered: content may come, or go, through a ring of `capacity` bytes.
    ///
    /// - Parameter sealer: seals what is sent before it is written.
    func begin(capacity: Int, _ sealer: BlockSealer?) {
        assert(capacity == self.capacity || written.load(ordering: .relaxed) == 0)
        ringByteCount.store(capacity, ordering: .relaxed)
        guard !isReceiving else { return }
        if let sealer { state.withLock { $0.sealer = sealer } }
        awaitsAnswer.store(false, ordering: .sequentiallyConsistent)
        wakeTask()
    }

    /// How far the task has come.
    var position: ContentPosition {
        guard !isReceiving else {
            return ContentPosition(byteCount: consumed.load(ordering: .sequentiallyConsistent))
        }
        // In this order: what was written before the end is seen with it.
        let isComplete = isWritingFinished
        return ContentPosition(
            byteCount: written.load(ordering: .sequentiallyConsistent), isComplete: isComplete)
    }

    var isWritingFinished: Bool { isComplete.load(ordering: .sequentiallyConsistent) }

    /// Shows the task that the first `byteCount` bytes are here, or with the server.
    func publish(_ byteCount: UInt64) {
        if isReceiving {
            written.store(byteCount, ordering: .sequentiallyConsistent)
        } else {
            consumed.store(byteCount, ordering: .sequentiallyConsistent)
        }
        wakeTask()
    }

    /// Asks for an order `resume` when the task moves its counter. The caller looks once more
    /// afterwards, because that may just have happened.
    func leaveWord() { shardWaiting.store(true, ordering: .sequentiallyConsistent) }

    func noteProgress(_ byteCount: UInt64) { transferred.store(byteCount, ordering: .relaxed) }

    func noteAnnounced(_ byteCount: UInt64) { announced.store(byteCount, ordering: .relaxed) }

    func finish(_ result: Result<ClientSummary, ClientFailure>) {
        state.withLock { $0.result = $0.result ?? result }
        hasEnded.store(true, ordering: .sequentiallyConsistent)
        wakeTask()
    }

    /// The bytes from `offset` on that lie in one piece, at most `count`.
    func piece(at offset: UInt64, count: Int) -> UnsafeMutableRawBufferPointer {
        let start = Int(offset % UInt64(capacity))
        let end = min(capacity, start + count)
        return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<end])
    }

    /// Out of the packets' way: the closure may allocate.
    @inline(never)
    private func wakeTask() {
        guard taskWaits.exchange(false, ordering: .sequentiallyConsistent) else { return }
        let waker = state.withLock { state in
            defer { state.waker = nil }
            return state.waker
        }
        waker?()
    }
}
