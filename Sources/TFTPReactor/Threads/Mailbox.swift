internal import Synchronization

/// A queue between two threads: one puts, the other takes. Bounded, and neither ever waits.
///
/// It begins again at its first place whenever it is empty: the few places that a quiet queue needs
/// stay in the cache, and the others are memory that is never touched.
///
/// A value that points to shared memory; the owner calls `destroy` after both threads have ended.
@safe
struct Mailbox<Element: BitwiseCopyable>: @unchecked Sendable {
    let elements: UnsafeMutablePointer<Element>
    private let mask: Int
    /// The counters, each thread's on cache lines of its own: how many were put at 0 and, at
    /// `first`, which of them lies at the first place; how many were taken at `stride`.
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private static var stride: Int { 16 }
    private static var first: Int { 1 }

    /// - Parameter capacity: a power of two.
    init(capacity: Int) {
        precondition(capacity.nonzeroBitCount == 1)
        unsafe elements = .allocate(capacity: capacity)
        mask = capacity - 1
        unsafe counters = .allocate(capacity: 3 * Mailbox.stride)
        for index in 0..<(3 * Mailbox.stride) {
            unsafe (counters + index).initialize(to: Atomic(0))
        }
    }

    func destroy() {
        unsafe elements.deallocate()
        unsafe counters.deallocate()
    }

    /// False when the queue is full; nothing was put then.
    func put(_ element: Element) -> Bool {
        let put = unsafe counters[0].load(ordering: .relaxed)
        let taken = unsafe counters[Mailbox.stride].load(ordering: .acquiring)
        guard put &- taken <= mask else { return false }
        // All are taken, so the other thread does not look at `first` before the store of `put`.
        if put == taken { unsafe counters[Mailbox.first].store(put, ordering: .relaxed) }
        let first = unsafe counters[Mailbox.first].load(ordering: .relaxed)
        unsafe elements[(put &- first) & mask] = element
        unsafe counters[0].store(put &+ 1, ordering: .releasing)
        return true
    }

    /// Whether there is nothing to take; asked by the thread that takes.
    var isEmpty: Bool {
        let put = unsafe counters[0].load(ordering: .acquiring)
        return unsafe counters[Mailbox.stride].load(ordering: .relaxed) == put
    }

    func take() -> Element? {
        let taken = unsafe counters[Mailbox.stride].load(ordering: .relaxed)
        let put = unsafe counters[0].load(ordering: .acquiring)
        guard taken != put else { return nil }
        let first = unsafe counters[Mailbox.first].load(ordering: .relaxed)
        let element = unsafe elements[(taken &- first) & mask]
        unsafe counters[Mailbox.stride].store(taken &+ 1, ordering: .releasing)
        return element
    }
}
