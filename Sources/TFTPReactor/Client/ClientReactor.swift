internal import CLinux
internal import Synchronization
internal import SystemPackage
internal import TFTPCore
package import TFTPServing
internal import Uring

/// A client's thread, for as many transfers at once as it has room for.
package final class ClientReactor: Sendable {
    private let link = ClientLink()
    private let thread: RunningThread
    private let isJoined = Mutex(false)

    /// - Parameter transfersMax: transfers at once; each takes a socket while it runs.
    /// - Throws: when this system gives no ring or no thread.
    package init(transfersMax: Int) throws(StartError) {
        precondition(ClientReactor.transfersMaxRange.contains(transfersMax))
        let link = link
        guard link.wakeup >= 0 else { throw .wakeup(Errno(rawValue: -link.wakeup)) }
        let ready = Readiness(count: 1)
        let thread = try RunningThread("tftp-client") {
            do throws(Errno) {
                var shard = try ClientShard(link, transfersMax: transfersMax)
                ready.arrive(nil)
                shard.run()
            } catch {
                ready.arrive(error)
            }
        }
        if let failure = ready.wait() {
            thread.join()
            throw .ring(failure)
        }
        self.thread = thread
    }

    deinit { close() }

    package static let transfersMaxRange = 1...4096

    /// Begins a transfer. Whatever happens is told by what is returned.
    package func start(
        _ request: ClientRequest, _ transport: ClientTransport = ClientTransport()
    ) -> ClientTransfer {
        let transfer = ClientTransfer(request, transport, link: link)
        if !link.post(.start(transfer)) { transfer.finish(.failure(.closed)) }
        return transfer
    }

    /// Ends every transfer and the thread. Waits for that, a moment.
    package func close() {
        link.close()
        isJoined.withLock { isJoined in
            // The last to hold the client may be a closure that the thread itself has just let go
            // of.
            if !isJoined && !thread.isCurrent { thread.join() }
            isJoined = true
        }
    }
}
