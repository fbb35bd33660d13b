internal import Synchronization

/// A thread that starts others for one that has given up a privilege which they need at first.
///
/// Made while the process has the privilege. It ends when it has been used.
final class ThreadStarter: Sendable {
    private let order: Order

    private final class Order: Sendable {
        let body = Mutex<(@Sendable () -> Void)?>(nil)
        let asked = Readiness(count: 1)
        let done = Readiness(count: 1)
    }

    init() throws(StartError) {
        let order = Order()
        self.order = order
        try RunningThread("starter") {
            _ = order.asked.wait()
            order.body.withLock { $0.take() }?()
            order.done.arrive(nil)
        }.detach()
    }

    /// Runs `body` on that thread, and returns when it has. Called once.
    func run(_ body: @escaping @Sendable () -> Void) {
        order.body.withLock { $0 = body }
        order.asked.arrive(nil)
        _ = order.done.wait()
    }
}
