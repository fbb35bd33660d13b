internal import Glibc
internal import Synchronization
package import SystemPackage
package import TFTPCore
internal import TFTPReactor

/// A relay: where it listens, for which server, and what it does to the packets.
package struct RelayConfiguration: Sendable {
    /// Port 0: any free one.
    package var listen: Endpoint
    package var server: Endpoint
    package var impairment: Impairment
    package var seed: UInt64 = 1
    /// Clients at once; one more takes the place of the one that was silent for longest. In front
    /// of a server that is not on the IPv4 loopback network each needs a socket, and there are 512
    /// at most.
    package var clientsMax = 32_768
    /// How long a client may be silent before the relay forgets it.
    package var idleNanoseconds: UInt64 = 60_000_000_000

    package init(listen: Endpoint, server: Endpoint, impairment: Impairment) {
        self.listen = listen
        self.server = server
        self.impairment = impairment
    }
}

/// Why a relay cannot start: one line that says what happened and what to do.
package enum RelayError: Error, CustomStringConvertible {
    case listen(Endpoint, Errno)
    case sockets(Errno)
    case ring(Errno)
    case thread

    package var description: String {
        switch self {
        case .listen(let endpoint, let errno):
            return "cannot listen on \(endpoint): \(errno). Choose another ADDR:PORT."
        case .sockets(let errno):
            return "cannot open the sockets: \(errno). Raise 'ulimit -n'."
        case .ring(let errno):
            return "cannot set up io_uring: \(errno)."
        case .thread:
            return "cannot start a thread."
        }
    }
}

/// What a relay has done so far.
package struct RelayCounters: BitwiseCopyable, Sendable, Equatable {
    package struct Way: BitwiseCopyable, Sendable, Equatable {
        package var link = ImpairedLink.Counters()
        /// Copies for which there was no memory: the relay's limit, not the network's.
        package var overflowed: UInt64 = 0
        /// Copies that were passed on; what is missing still waits.
        package var delivered: UInt64 = 0
    }

    package var up = Way()
    package var down = Way()
    /// Packets without a transfer: for a port that has sent nothing, or not from the server.
    package var strays: UInt64 = 0
    /// Sends that the kernel refused.
    package var refused: UInt64 = 0
    /// Clients that were forgotten because the table was full, and because they were silent.
    package var crowdedOut: UInt64 = 0
    package var idledOut: UInt64 = 0
    package var clients: UInt64 = 0
}

/// A bad network between clients and a TFTP server, on a thread of its own.
///
/// Clients send to `listening` as if it were the server; the server sees each client under an
/// address or port of its own. Listens from `init` until `finish`, which is called once; the rest
/// may be called from any thread.
package final class Relay: Sendable {
    package let listening: Endpoint
    private let progress = RelayBoard()
    private let thread: RunningThread

    package init(_ configuration: RelayConfiguration) throws(RelayError) {
        let progress = progress
        do throws(StartError) {
            thread = try RunningThread("relay") {
                do throws(RelayError) {
                    var shard = try RelayShard(configuration, progress)
                    try shard.run()
                } catch {
                    progress.fail(error)
                }
            }
        } catch {
            throw .thread
        }
        // The sockets and the ring belong to the thread that uses them, so it has to say where it
        // listens.
        while progress.listening == nil && progress.failure == nil { usleep(500) }
        guard let listening = progress.listening else {
            thread.join()
            throw progress.failure ?? .thread
        }
        self.listening = listening
    }

    /// Ends the relay; what is still on its way is lost.
    package func interrupt() { progress.isInterrupted.store(true, ordering: .relaxed) }

    package var hasEnded: Bool { thread.hasEnded }

    package var counters: RelayCounters { progress.counters }

    /// Ends the relay, waits for its thread and tells what it has done.
    package func finish() throws(RelayError) -> RelayCounters {
        interrupt()
        thread.join()
        if let failure = progress.failure { throw failure }
        return progress.counters
    }

    deinit { interrupt() }
}

/// What the relay's thread tells the others, and they it.
final class RelayBoard: Sendable {
    let isInterrupted = Atomic<Bool>(false)
    private let state = Mutex(State())

    private struct State {
        var listening: Endpoint?
        var failure: RelayError?
        var counters = RelayCounters()
    }

    var listening: Endpoint? { state.withLock { $0.listening } }
    var failure: RelayError? { state.withLock { $0.failure } }
    var counters: RelayCounters { state.withLock { $0.counters } }

    func listen(at endpoint: Endpoint) { state.withLock { $0.listening = endpoint } }
    func fail(_ error: RelayError) { state.withLock { $0.failure = error } }
    func tell(_ counters: RelayCounters) { state.withLock { $0.counters = counters } }
}
