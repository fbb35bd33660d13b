internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPWire

/// All transfers of one client: a ring, a socket for each transfer, and their table.
///
/// Lives on the stack of its own thread and goes with it. Nothing that a packet passes through
/// allocates, retains or locks; beginning and ending a transfer may, and so may handing a part of
/// its content over.
@safe
struct ClientShard: ~Copyable {
    let link: ClientLink
    var port: DatagramPort
    var table: TransferTable
    let transferStates: Column<ClientTransferState>
    /// The slot that speaks through a socket.
    let slotOfSocket: Column<Int32>
    let headers = BlockHeaders()
    let sealRoom = SealRoom()
    var runQueue: RunQueue
    var strayErrors = RateWindow(perSecond: ShardLimits.strayErrorsPerSecond)
    /// Transfers that have ended since the latest `enter`: what was queued may still point to their
    /// memory.
    private var departed: [ClientTransfer] = []
    /// Orders for which no socket is free yet: those of transfers that have just ended take a turn
    /// or two to leave.
    private var postponed: [(transfer: ClientTransfer, options: Options)] = []
    /// What `now` was at the beginning of this turn.
    var now: UInt64
    private var isRung = false
    private var isClosing = false

    /// Made on the thread that runs it, which the ring belongs to from then on.
    init(_ link: ClientLink, transfersMax: Int) throws(Errno) {
        // A socket leaves a turn or two after its transfer.
        let placeCount = 2 * transfersMax
        // The limit of open files also limits the ring's file table.
        _ = clinux_raise_file_limit()
        port = try DatagramPort(
            sockets: [], wakeup: link.wakeup, bufferCount: ClientLimits.smallBufferCount,
            largeBufferCount: ClientLimits.bufferCount, placeCount: placeCount)
        self.link = link
        now = clinux_now()
        table = TransferTable(capacity: transfersMax, seed: clinux_random(), now: now)
        runQueue = RunQueue(capacity: transfersMax)
        transferStates = Column(repeating: ClientTransferState(), count: transfersMax)
        slotOfSocket = Column(repeating: -1, count: placeCount)
        departed.reserveCapacity(transfersMax)
    }

    // MARK: The loop

    /// Runs until the client is closed. Every transfer has ended then.
    mutating func run() {
        do throws(Errno) {
            while !isClosing { try turn() }
            endAll(.closed)
            // The last words leave with one more enter.
            try port.enter(nanoseconds: 0)
        } catch {
            link.close()
            endAll(.system(error))
        }
        port.close()
        headers.destroy()
    }

    /// One turn, in the order of a server's shard, and for the same reasons.
    private mutating func turn() throws(Errno) {
        try port.enter(nanoseconds: sleepNanoseconds(), now: now)
        now = clinux_now()
        if port.isSubmitted { bury() }
        takeCompletions()
        startPostponed()
        takeOrders()
        expireDeadlines()
        runQueued()
        port.finishTurn()
    }

    private mutating func bury() {
        if !departed.isEmpty { departed.removeAll(keepingCapacity: true) }
    }

    private func sleepNanoseconds() -> UInt64? {
        if runQueue.count > 0 || (!postponed.isEmpty && port.hasPlace) { return 0 }
        return table.nanosecondsUntilDeadline(now: now)
    }

    private mutating func takeCompletions() {
        let count = port.drain()
        for index in 0..<count {
            switch unsafe port.event(index) {
            case .datagram(let arrival):
                unsafe handle(arrival)
                unsafe port.release(arrival)
            case .sendFailed(let tag, let errno): handleFailedSend(tag, errno)
            case .receiveFailed(let socket, _): takeRefusals(of: socket)
            case .nothing: break
            case .wakeup: isRung = true
            }
        }
    }

    private mutating func expireDeadlines() {
        for _ in 0..<ShardLimits.timeoutsPerTurn {
            guard let slot = table.popExpired(now: now) else { return }
            stepTimeout(slot)
        }
    }

    private mutating func runQueued() {
        for _ in 0..<min(runQueue.count, ShardLimits.visitsPerTurn) {
            guard let slot = runQueue.popFirst(from: table) else { return }
            transferStates[slot].isQueued = false
            sendDue(slot)
        }
    }

    // MARK: Orders

    private mutating func takeOrders() {
        guard isRung else { return }
        isRung = false
        let (orders, isClosed) = link.take()
        isClosing = isClosed
        for order in orders {
            switch order {
            case .start(let transfer): start(transfer, asking: transfer.request.options)
            case .resume(let transfer): resume(transfer)
            case .cancel(let transfer, let code): cancel(transfer, code)
            }
        }
    }

    /// A socket that leaves wakes the thread, and the thread does not sleep while there is a place.
    private mutating func startPostponed() {
        guard !postponed.isEmpty else { return }
        let waiting = postponed
        postponed = []
        for order in waiting { start(order.transfer, asking: order.options) }
    }

    /// Sends the request, from a port of its own: a server takes a second one from the same port
    /// for a restart.
    mutating func start(_ transfer: ClientTransfer, asking options: Options) {
        let request = transfer.request
        if table.isFull { releaseDallying() }
        guard !table.isFull else {
            return transfer.finish(.failure(.tooManyTransfers(max: table.capacity)))
        }
        do throws(Errno) {
            guard
                let socket = try openSocket(
                    isIPv6: !request.server.address.isIPv4, interfaceIndex: request.interfaceIndex)
            else {
                return postponed.append((transfer, options))
            }
            let flow = Flow(peer: request.server, local: .unspecified, socket: UInt16(socket))
            guard
                let slot = table.request(
                    flow, opcode: request.opcode, rollover: .toZero,
                    timeoutSeconds: request.timeoutSeconds,
                    patienceMilliseconds: request.patienceMilliseconds, now: now)
            else { return transfer.finish(.failure(.tooManyTransfers(max: table.capacity))) }
            slotOfSocket[socket] = Int32(slot)
            transfer.slot = slot
            transferStates[slot] = ClientTransferState(transfer, asking: options, now: now)
            sendRequest(slot)
        } catch {
            transfer.finish(.failure(.system(error)))
        }
    }

    /// nil when every place for a socket is taken.
    private mutating func openSocket(
        isIPv6: Bool, interfaceIndex: UInt32
    ) throws(Errno) -> Int? {
        guard port.hasPlace else { return nil }
        var options = clinux_udp_options(
            address: clinux_address(.unspecified), port: 0, is_ipv6: isIPv6, is_dual: false,
            reuses_port: false, wants_local: false, coalesces: true, never_fragments: false,
            binds_freely: false, reports_errors: true,
            interface_index: interfaceIndex, buffer_bytes: Int32(ShardLimits.socketBufferByteCount))
        let file = unsafe clinux_udp_open(&options)
        guard file >= 0 else { throw Errno(rawValue: -file) }
        let socket = ShardSocket(
            file: file, port: UInt16(clinux_udp_port(file)), role: .upload, isIPv6: isIPv6,
            tellsLocal: false, address: .unspecified)
        do throws(Errno) {
            if let index = try port.attach(socket) { return index }
        } catch {
            clinux_close(file)
            throw error
        }
        clinux_close(file)
        return nil
    }

    /// Ends transfers that only wait for repeats of their last block.
    private mutating func releaseDallying() {
        for slot in 0..<table.capacity where !table.isFree(slot) && table.isDallying(slot) {
            release(slot)
        }
    }

    private mutating func resume(_ transfer: ClientTransfer) {
        guard let slot = current(transfer) else { return }
        if table.isReceiver(slot) { sendHeldACK(slot) } else { sendDue(slot) }
    }

    private mutating func cancel(_ transfer: ClientTransfer, _ code: ErrorCode) {
        guard let slot = current(transfer) else {
            postponed.removeAll { $0.transfer === transfer }
            return transfer.finish(.failure(.cancelled))
        }
        fail(slot, code, code == .diskFull ? "Disk full" : "Cancelled", .cancelled)
    }

    /// The slot of a transfer that has not ended.
    private func current(_ transfer: ClientTransfer) -> Int? {
        let slot = transfer.slot
        guard slot >= 0, let owner = unsafe transferStates[slot].transfer else { return nil }
        return unsafe owner.toOpaque() == Unmanaged.passUnretained(transfer).toOpaque() ? slot : nil
    }

    // MARK: The end

    /// Ends the transfer of `slot`, tells the server with an ERROR, and gives everything back.
    mutating func fail(
        _ slot: Int, _ code: ErrorCode, _ message: StaticString, _ failure: ClientFailure
    ) {
        sendError(slot, code, message)
        end(slot, .failure(failure))
    }

    mutating func end(_ slot: Int, _ result: Result<ClientSummary, ClientFailure>) {
        part(slot, result)
        release(slot)
    }

    /// Tells the task how it ended. What the table still does with the slot needs no content any
    /// more.
    mutating func part(_ slot: Int, _ result: Result<ClientSummary, ClientFailure>) {
        guard let transfer = unsafe transferStates[slot].transfer else { return }
        unsafe transferStates[slot].transfer = nil
        let owned = unsafe transfer.takeRetainedValue()
        owned.slot = -1
        owned.finish(result)
        departed.append(owned)
    }

    mutating func release(_ slot: Int) {
        transferStates[slot].isQueued = false
        if transferStates[slot].isSealed { dropSeal(slot) }
        let socket = Int(table.flow(of: slot).socket)
        slotOfSocket[socket] = -1
        port.detach(socket)
        table.release(slot)
    }

    /// The owner has closed the client.
    private mutating func endAll(_ failure: ClientFailure) {
        for order in link.take().orders {
            if case .start(let transfer) = order { transfer.finish(.failure(failure)) }
        }
        for order in postponed { order.transfer.finish(.failure(failure)) }
        for slot in 0..<table.capacity where !table.isFree(slot) {
            if table.isDallying(slot) {
                release(slot)
            } else {
                fail(slot, .notDefined, "Client is closing", failure)
            }
        }
    }
}

/// Bounds inside a client's shard, each with its cost.
enum ClientLimits {
    /// No socket of a client uses the small ones.
    static let smallBufferCount = 16
    /// Buffers for datagrams, coalesced or not: 4.2 MiB, touched as they are used.
    static let bufferCount = 64
    /// How many blocks beyond a missing one mean that it is lost, and not only late.
    static let blocksAheadMax = 3
    /// A slow network's content is handed over this often.
    static let handOverNanoseconds: UInt64 = 100_000_000
}
