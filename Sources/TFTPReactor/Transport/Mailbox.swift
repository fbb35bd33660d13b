internal import Synchronization

/// A queue between two threads: one puts, the other takes. Bounded, and neither ever waits.
///
/// A value that points to shared memory; the owner calls `destroy` after both threads have ended.
@safe
struct Mailbox<Element: BitwiseCopyable>: @unchecked Sendable {
    private let elements: UnsafeMutablePointer<Element>
    private let mask: Int
    /// Two counters, each on cache lines of its own: `putCount` at 0, `takeCount` at `stride`.
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private static var stride: Int { 16 }

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
        unsafe elements[put & mask] = element
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
        let element = unsafe elements[taken & mask]
        unsafe counters[Mailbox.stride].store(taken &+ 1, ordering: .releasing)
        return element
    }
}
