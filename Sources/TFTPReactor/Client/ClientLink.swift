internal import CLinux
internal import Synchronization
internal import TFTPWire

/// Orders of other threads to a client's shard. It locks, so it is for the beginning and the end of
/// transfers and for wakeups, never for packets.
final class ClientLink: Sendable {
    enum Order: Sendable {
        case start(ClientTransfer)
        /// There is room, or content, that the transfer was waiting for.
        case resume(ClientTransfer)
        /// End the transfer, and tell the server so.
        case cancel(ClientTransfer, ErrorCode)
    }

    private struct State {
        var orders: [Order] = []
        var isClosed = false
    }

    /// Rung for the shard.
    let wakeup = clinux_eventfd()
    private let state = Mutex(State())

    deinit { clinux_close(wakeup) }

    /// False if the client has been closed, and the order will not be read.
    func post(_ order: Order) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.orders.append(order)
            return true
        }
        if isTaken { clinux_eventfd_ring(wakeup) }
        return isTaken
    }

    /// No order is taken any more; the shard reads those that were, and ends.
    func close() {
        state.withLock { $0.isClosed = true }
        clinux_eventfd_ring(wakeup)
    }

    /// All orders that have come in, and whether they are the last.
    func take() -> (orders: [Order], isClosed: Bool) {
        state.withLock { state in
            let orders = state.orders
            state.orders = []
            return (orders, state.isClosed)
        }
    }
}
