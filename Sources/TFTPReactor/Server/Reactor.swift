internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import TFTPCore
package import TFTPMetrics
package import TFTPServing
internal import TFTPStore
internal import Uring

/// All threads of one server and the memory between them.
///
/// `init` binds every socket and reserves every byte, so that what can go wrong goes wrong there.
/// `start` runs the threads, `stop` ends them; both are called once. (More than twelve properties:
/// whatever two threads share has its owner here.)
package final class Reactor: Sendable {
    private let configuration: ReactorConfiguration
    let resources: Resources
    let links: [ShardLink]
    let published: PublishedPolicies
    let status = StoreStatus()
    private let storeWakeup: Int32
    private let handler: (any RequestHandler)?
    private let handlerQueue: HandlerQueue
    let opened: OpenedSockets
    private let steering: Steering?
    /// Held while shards are asked for their state.
    let inspecting = Mutex(())
    /// Whether there is a trace.
    let tracing = Atomic<Bool>(false)
    private let cpus: [Int32]
    let threads = Mutex<Threads>(Threads())
    private let failures: Failures
    private let pulse = Mutex<[UInt64]>([])

    /// What ended a thread that should have gone on.
    private final class Failures: Sendable {
        let first = Mutex<Errno?>(nil)

        func note(_ errno: Errno) { first.withLock { $0 = $0 ?? errno } }
    }

    struct Threads {
        var shards: [RunningThread] = []
        var store: RunningThread?
        var names: RunningThread?
    }

    package init(
        _ configuration: ReactorConfiguration, handler: (any RequestHandler)? = nil
    ) throws(StartError) {
        var configuration = configuration
        configuration.reads = handler?.answersReads ?? .never
        configuration.handlesWrites = handler?.answersWrites ?? false
        configuration.opensSeals = handler?.opensSeals ?? false
        configuration.actsAsOwner = clinux_acts_as_other_user()
        published = PublishedPolicies(configuration.policies)
        failures = Failures()
        try Reactor.probe()
        cpus = OpenedSockets.allowedCPUs()
        if let earlier = configuration.opened {
            opened = earlier
        } else {
            opened = try OpenedSockets(configuration)
        }
        let shardCount = opened.shardCount
        configuration.ringSizeShift = max(
            configuration.savesMemory ? ShardLimits.savingRingSizeShift : 0,
            MachineLimit.ringSizeShift(shardCount: shardCount))
        self.configuration = configuration
        let wakeup = clinux_eventfd()
        let pendingsMax =
            handler == nil
            ? ServingLimits.pendingsMaxDefault
            : max(ServingLimits.pendingsMaxDefault, configuration.handlersMax)
        do throws(StartError) {
            resources = try Resources(
                configuration: configuration, root: opened.root, sockets: opened.sockets,
                storeWakeup: wakeup, pendingsMax: pendingsMax)
        } catch {
            opened.close { _ in false }
            clinux_close(opened.root)
            clinux_close(wakeup)
            throw error
        }
        storeWakeup = wakeup
        self.handler = handler
        handlerQueue = HandlerQueue(wakeup: wakeup)
        let transfersMax = Reactor.transfersMax(configuration, shardCount: shardCount)
        links = (0..<shardCount).map {
            ShardLink(
                index: $0, transfersMax: transfersMax, pendingsMax: pendingsMax, storeWakeup: wakeup
            )
        }
        let missing = ([wakeup] + links.map(\.shardWakeup)).min() ?? 0
        guard missing >= 0 else {
            for link in links { link.destroy() }
            resources.destroy()
            opened.close { _ in false }
            clinux_close(wakeup)
            throw .wakeup(Errno(rawValue: -missing))
        }
        steering =
            opened.readerCount > 0 && shardCount > 1
            ? Steering(readerCount: opened.readerCount, wakeups: links.map(\.shardWakeup)) : nil
    }

    deinit {
        opened.close { links[$0].hasLeft }
        steering?.destroy()
        for link in links { link.destroy() }
        clinux_close(storeWakeup)
        resources.destroy()
    }

    package var shardCount: Int { links.count }

    /// Where requests are answered, with the true ports.
    package var listening: [ListenAddress] { opened.listening }

    /// The folder that is served, for readers outside of the shards.
    package func folder() throws(StartError) -> Folder {
        do throws(Errno) {
            return try Folder(
                resources.root, servesUnreadable: configuration.servesUnreadable)
        } catch {
            throw .root(configuration.root, error)
        }
    }

    private static func transfersMax(
        _ configuration: ReactorConfiguration, shardCount: Int
    ) -> Int {
        max(1, configuration.transfersMax / shardCount)
    }

    /// Says at once, on the caller's thread, whether this kernel lets us have a ring.
    ///
    /// - Returns: whether it holds a ring to the requests that a server makes.
    @discardableResult
    package static func probe() throws(StartError) -> Bool {
        do throws(Errno) {
            return try Ring(entries: 8, completions: 16, uses: .network).isRestricted
        } catch {
            throw .ring(error)
        }
    }

    // MARK: Running

    /// Starts every thread and returns when all of them are ready to answer.
    package func start() throws(StartError) {
        let ready = Readiness(count: links.count + 1)
        do throws(StartError) {
            let names = resources.names
            let namesThread = try RunningThread("names") { names.run() }
            threads.withLock { $0.names = namesThread }
            try startRings(ready)
            if let failure = ready.wait() { throw StartError.ring(failure) }
        } catch {
            stop()
            throw error
        }
    }

    /// Starts the threads that make rings, on one that may give them the memory for that.
    private func startRings(_ ready: Readiness) throws(StartError) {
        guard let starter = opened.starter.withLock({ $0.take() }) else {
            return try startRingsHere(ready)
        }
        let failure = FirstFailure()
        starter.run {
            do throws(StartError) {
                try self.startRingsHere(ready)
            } catch {
                failure.error.withLock { $0 = error }
            }
        }
        if let error = failure.error.withLock({ $0 }) { throw error }
    }

    private final class FirstFailure: Sendable {
        let error = Mutex<StartError?>(nil)
    }

    private func startRingsHere(_ ready: Readiness) throws(StartError) {
        try threads.withLock { (threads) throws(StartError) in
            threads.store = try startStore(ready)
            for link in links { threads.shards.append(try startShard(link, ready)) }
        }
    }

    private func startStore(_ ready: Readiness) throws(StartError) -> RunningThread {
        let resources = resources
        let (configuration, links, wakeup, status) = (configuration, links, storeWakeup, status)
        let (failures, handler, handlerQueue) = (failures, handler, handlerQueue)
        let published = published
        return try RunningThread("store") {
            do throws(Errno) {
                var store = try StoreThread(
                    configuration: configuration, links: links, resources: resources,
                    policies: published, wakeup: wakeup, status: status, handler: handler,
                    handlerQueue: handlerQueue)
                ready.arrive(nil)
                try store.run()
            } catch {
                failures.note(error)
                ready.arrive(error)
            }
        }
    }

    private func startShard(_ link: ShardLink, _ ready: Readiness) throws(StartError)
        -> RunningThread
    {
        let (configuration, sockets) = (configuration, opened.sockets[link.index])
        let (steering, published) = (steering, published)
        let shared = resources.shared
        let failures = failures
        let transfersMax = Reactor.transfersMax(configuration, shardCount: links.count)
        let cpu = cpus[link.index % cpus.count]
        // More shards than cores would only be pinned on top of each other.
        let isPinned = links.count <= cpus.count
        return try RunningThread("shard-\(link.index)") {
            if isPinned { _ = clinux_pin_self(cpu) }
            do throws(Errno) {
                var shard = try Shard(
                    configuration: configuration, link: link, sockets: sockets, shared: shared,
                    steering: steering, published: published, transfersMax: transfersMax)
                ready.arrive(nil)
                try shard.run()
            } catch {
                failures.note(error)
                ready.arrive(error)
            }
            link.noteEnd()
        }
    }

    /// Takes no new transfer from now on; shards end when their last one has.
    package func drain() {
        for link in links where link.order == .run { link.order = .drain }
    }

    /// Whether no shard listens any more, so that another process can.
    package var hasLeftListeners: Bool { links.allSatisfy(\.hasLeft) }

    /// Whether every shard has completed a turn since the last call, or has ended. Wakes all of
    /// them, so that one without anything to do completes one until the next call.
    package func takePulse() -> Bool {
        let turns = links.map(\.turnCount)
        let isAlive = pulse.withLock { last in
            defer { last = turns }
            return zip(turns, last).allSatisfy { $0 != $1 || $0 == ShardLink.ended }
        }
        for link in links { link.ring() }
        return isAlive
    }

    /// Transfers under way.
    package var activeCount: Int { links.reduce(0) { $0 + $1.activeCount } }

    /// Whether every shard has ended.
    package var isIdle: Bool { threads.withLock { $0.shards.allSatisfy(\.hasEnded) } }

    /// Why a thread has failed; nil while all threads run. The server cannot continue without it.
    package var failure: StartError? {
        failures.first.withLock { $0.map { .ring($0) } }
    }

    /// Ends every thread, with an ERROR to each client that is being served, and waits for them.
    package func stop() {
        for link in links { link.order = .stop }
        threads.withLock { threads in
            for thread in threads.shards { thread.join() }
            threads.shards = []
            status.stop()
            clinux_eventfd_ring(storeWakeup)
            threads.store?.join()
            threads.store = nil
            resources.names.stop()
            threads.names?.join()
            threads.names = nil
        }
        handlerQueue.close()
    }

    /// Tasks of handlers that have not ended. After `stop` all of them are cancelled.
    package var handlerTaskCount: Int { handlerQueue.taskCount }

    // MARK: Watching

    /// Takes the records that have come in since the last call. Called by one thread at a time.
    package func takeRecords(_ body: (TransferRecord) -> Void) {
        for link in links {
            while let record = link.records.take() { body(record) }
        }
    }

    /// Takes what there is to say of the folder since the last call.
    package func takeNotes() -> [StoreNote] { status.takeNotes() }

    /// The sum over all shards.
    package func counter(_ counter: Counter) -> UInt64 {
        links.reduce(0) { $0 + $1.counters[counter] }
    }

    package func counter(_ counter: Counter, shard: Int) -> UInt64 {
        links[shard].counters[counter]
    }

    package var readByteCount: UInt64 { status.readByteCount }
    package var usedByteCount: Int { status.usedByteCount }
}
