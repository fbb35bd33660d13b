internal import CLinux
internal import Glibc

/// The asker's side of a `ShardSnapshot`: allocates it, lends it, waits, and gives it back.
@safe
struct SnapshotLoan: ~Copyable {
    private let memory: UnsafeMutablePointer<ShardSnapshot>
    private let wakeup = clinux_eventfd()

    init(rowsMax: Int) {
        let rows = UnsafeMutableBufferPointer<TransferRow>.allocate(capacity: max(1, rowsMax))
        unsafe memory = .allocate(capacity: 1)
        unsafe memory.initialize(to: ShardSnapshot(rows: rows, wakeup: wakeup))
    }

    deinit {
        unsafe memory.pointee.rows.deallocate()
        unsafe memory.deinitialize(count: 1)
        unsafe memory.deallocate()
        clinux_close(wakeup)
    }

    /// Asks the shard behind `link`, and waits for it.
    ///
    /// - Returns: nil when the shard did not come round in `milliseconds`, or has ended.
    func ask(_ link: ShardLink, milliseconds: Int) -> ShardState? {
        guard link.turnCount != ShardLink.ended else { return nil }
        unsafe link.inspection.offer(memory)
        link.ring()
        let end = clinux_now() + UInt64(milliseconds) * 1_000_000
        while unsafe !memory.pointee.hasFinished {
            let now = clinux_now()
            if now >= end || link.turnCount == ShardLink.ended {
                guard unsafe link.inspection.takeSnapshot() == nil else { return nil }
                // The shard has it in hand: it is at most a turn away from giving it back, unless
                // it ended before it took it.
                if unsafe link.turnCount == ShardLink.ended && !memory.pointee.hasFinished {
                    return nil
                }
            }
            waitAtMost(milliseconds: 20)
        }
        return unsafe ShardState(memory, index: link.index)
    }

    private func waitAtMost(milliseconds: Int32) {
        var wanted = pollfd(fd: wakeup, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&wanted, 1, milliseconds)
        clinux_eventfd_clear(wakeup)
    }
}

/// What one shard said of itself.
package struct ShardState: Sendable {
    package var index: Int
    /// As many as were asked for at most.
    package var rows: [TransferRow]
    /// Transfers by `TransferView.Phase.rawValue`.
    package var phaseCounts: [Int]
    /// How many of them wait for content.
    package var parkedCount: Int

    init(_ memory: UnsafeMutablePointer<ShardSnapshot>, index: Int) {
        self.index = index
        let count = unsafe memory.pointee.rowCount
        rows = unsafe Array(memory.pointee.rows.prefix(count))
        let counts = unsafe memory.pointee.phaseCounts
        phaseCounts = (0..<6).map { counts[$0] }
        parkedCount = unsafe memory.pointee.parkedCount
    }
}
