internal import CLinux
internal import SystemPackage
internal import TFTPCore
internal import TFTPMetrics
internal import TFTPServing

extension Shard {
    /// Runs until the shard is told to stop, or to drain and everything has ended.
    mutating func run() throws(Errno) {
        while !isFinished() { try turn() }
        try endAll()
        // The last words leave with one more enter.
        try port.enter(nanoseconds: 0)
        port.close()
    }

    /// One turn. The order, and why:
    ///
    /// 1. Enter the ring, once: what the last turn queued goes out, and we sleep until there is
    ///    something to do.
    /// 2. Look at the clock, once: everything in a turn happens at the same time.
    /// 3. If the kernel took all of it, last turn's scratch is free, and the store may know that we
    ///    hold nothing.
    /// 4. Completions, oldest first, a bounded number.
    /// 5. What other shards have received for this one, orders and the store's answers, after the
    ///    completion of the wakeup: a wakeup from here on starts the next turn.
    /// 6. Deadlines, after packets: an ACK that has arrived is not a loss.
    /// 7. The run queue, last: lockstep clients have their block by now, and windows get as much of
    ///    a turn as they may.
    /// 8. Give receive buffers back in one store, then arm what ran out of them.
    private mutating func turn() throws(Errno) {
        let planned = server.sleepNanoseconds(now: now)
        try port.enter(nanoseconds: planned)
        now = clock.now(monotonic: clinux_now(), last: now, planned: planned)
        if port.isSubmitted { link.noteTurn() }
        tap = link.inspection.tap
        rootIsCurrent = false
        // Directly behind: the table of the last turn may be gone from here on.
        server.policies = published.reference
        adoptNames()
        link.counters.add(.turns)
        takeCompletions()
        takeSteered()
        takeOrders()
        answerInspection()
        takeReplies()
        expireDeadlines()
        runQueued()
        link.counters.add(.receivesRearmed, UInt64(port.finishTurn()))
        link.noteActive(server.activeCount)
        steering?.wake(&steered)
        if storeIsWoken {
            clinux_eventfd_ring(link.storeWakeup)
            storeIsWoken = false
        }
    }

    private mutating func takeOrders() {
        guard !server.isDraining, link.order != .run else { return }
        if endListening() { server.drain() }
    }

    private func isFinished() -> Bool {
        link.order == .stop || server.isDrained
    }

    private mutating func takeCompletions() {
        let count = port.drain()
        for index in 0..<count {
            switch unsafe port.event(index) {
            case .datagram(let arrival):
                // Handled first and given back after: the views do not outlive the buffer.
                unsafe handle(arrival)
                unsafe port.release(arrival)
            case .sendFailed(let tag, let errno): handleFailedSend(tag, errno)
            // An error that a socket had pending: the transfer's own time-out takes care of it.
            case .receiveFailed, .wakeup, .nothing: break
            }
        }
        if port.hasOverflowed { link.counters.add(.completionsOverflowed) }
    }

    private mutating func expireDeadlines() {
        for _ in 0..<ServingLimits.timeoutsPerTurn {
            guard server.stepNextTimeout(now: now) else { return }
            performEffects()
        }
    }

    private mutating func runQueued() {
        server.beginVisits(now: now)
        while server.visitNext() { performEffects() }
    }

    // MARK: The end

    /// Ends every transfer, with an ERROR to its client.
    private mutating func endAll() throws(Errno) {
        for slot in 0..<server.table.capacity where !server.table.isFree(slot) {
            if !port.hasRoom { try port.enter(nanoseconds: 0) }
            server.cutOff(slot, now: now)
            performEffects()
        }
        link.noteActive(0)
    }
}
