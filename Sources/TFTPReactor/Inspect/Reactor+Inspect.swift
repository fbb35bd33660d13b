internal import CLinux
internal import Glibc
internal import Synchronization
package import TFTPCore
package import TFTPMetrics
internal import TFTPServing
package import TFTPWire

extension Reactor {
    /// What every shard says of itself; those that do not come round in a second are left out.
    ///
    /// Blocks the caller for as long as shards take, usually less than a millisecond. One caller at
    /// a time: others wait.
    ///
    /// - Parameter rowsMax: how many transfers are shown, of each shard.
    package func shardStates(rowsMax: Int) -> [ShardState] {
        inspecting.withLock { _ in
            links.compactMap { link in
                SnapshotLoan(rowsMax: rowsMax).ask(link, milliseconds: 1000)
            }
        }
    }

    /// Copies what goes to and from `client`, until `end` is called on what is returned; nil while
    /// there is another trace.
    package func trace(_ client: Network) -> ReactorTrace? {
        guard tracing.exchange(true, ordering: .acquiring) == false else { return nil }
        return ReactorTrace(self, client)
    }

    /// The port of a shard's socket, as the other end sees it; 0 for none.
    fileprivate func port(ofSocket socket: UInt16, shard: UInt16) -> UInt16 {
        guard Int(shard) < opened.sockets.count, Int(socket) < opened.sockets[Int(shard)].count
        else { return 0 }
        let port = clinux_udp_port(opened.sockets[Int(shard)][Int(socket)].file)
        return port > 0 ? UInt16(port) : 0
    }
}

/// A trace that runs: one tap a shard.
package final class ReactorTrace: Sendable {
    private let reactor: Reactor
    private let taps: [TraceTap]
    private let hasEnded = Atomic<Bool>(false)
    /// What the time of an event has to be added to for the time of the day.
    private let realtimeOffset: Int64

    fileprivate init(_ reactor: Reactor, _ client: Network) {
        self.reactor = reactor
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let realtime = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        realtimeOffset = realtime - Int64(clinux_now())
        taps = reactor.links.map { _ in TraceTap(client: client) }
        for (link, tap) in zip(reactor.links, taps) {
            link.inspection.set(tap)
            link.ring()
        }
    }

    deinit { end() }

    /// Takes what has come in since the last call. Called by one thread at a time.
    package func takeEvents(_ body: (TraceEvent) -> Void) {
        guard !hasEnded.load(ordering: .acquiring) else { return }
        for tap in taps {
            while let event = tap.take() { body(event) }
        }
    }

    /// When it happened, since 1970.
    package func unixSeconds(of event: TraceEvent) -> Double {
        Double(realtimeOffset + Int64(event.nanoseconds)) / 1e9
    }

    /// This end of an event: the address that the client asked, and the port that it talks to.
    package func endpoint(of event: TraceEvent) -> Endpoint {
        let port = reactor.port(ofSocket: event.socket, shard: event.shard)
        return Endpoint(address: event.local, port: port)
    }

    /// Packets that the ring had no room for.
    package var missedCount: UInt64 {
        hasEnded.load(ordering: .acquiring) ? 0 : taps.reduce(0) { $0 + $1.missedCount }
    }

    /// Ends the trace, and waits until no shard can use its memory any more.
    package func end() {
        guard !hasEnded.exchange(true, ordering: .acquiringAndReleasing) else { return }
        for link in reactor.links { link.inspection.set(nil) }
        for (link, tap) in zip(reactor.links, taps) {
            link.waitForTurn()
            tap.destroy()
        }
        reactor.tracing.store(false, ordering: .releasing)
    }
}

extension ShardLink {
    /// Waits until the shard has begun another turn, or has ended.
    fileprivate func waitForTurn() {
        let seen = turnCount
        while turnCount == seen && turnCount != ShardLink.ended {
            ring()
            usleep(1000)
        }
    }
}

// MARK: - Sums over shards

extension Reactor {
    /// Transfers under way in one shard.
    package func activeCount(shard: Int) -> Int { links[shard].activeCount }

    package func refusalCount(_ reason: RefusalReason) -> UInt64 {
        links.reduce(0) { $0 + $1.statistics.refusals[Int(reason.rawValue)] }
    }

    /// Downloads of missing files.
    package func missCount(_ pattern: MissPattern) -> UInt64 {
        links.reduce(0) { $0 + $1.statistics.misses[Int(pattern.rawValue)] }
    }

    package func transferCount(
        isUpload: Bool, outcome: Outcome, kind: Fingerprint
    ) -> UInt64 {
        let index = ShardStatistics.index(isUpload: isUpload, outcome: outcome, kind: kind)
        return links.reduce(0) { $0 + $1.statistics.transfers[index] }
    }

    /// Blocks sent more than once, of transfers that have ended.
    package func resentCount(isUpload: Bool) -> UInt64 {
        links.reduce(0) { $0 + $1.statistics.resends[isUpload ? 1 : 0] }
    }

    /// Payload bytes of transfers that have ended.
    package func endedByteCount(isUpload: Bool) -> UInt64 {
        links.reduce(0) { $0 + $1.statistics.bytes[isUpload ? 1 : 0] }
    }

    /// From the request to the end.
    package func durations(isUpload: Bool) -> DurationSnapshot {
        links.reduce(into: .empty) { sum, link in
            let statistics = link.statistics
            sum += (isUpload ? statistics.writeDuration : statistics.readDuration).snapshot
        }
    }

    /// From the request to the first answer.
    package var turnarounds: DurationSnapshot {
        links.reduce(into: .empty) { $0 += $1.statistics.turnaround.snapshot }
    }

    /// What a shard's thread has used of its core; nil when it has ended.
    package func cpuSeconds(shard: Int) -> Double? {
        threads.withLock { shard < $0.shards.count ? $0.shards[shard].cpuSeconds : nil }
    }

    package var imageCount: Int { status.imageCount }
    package var evictedExtentCount: UInt64 { status.evictedExtentCount }
}
