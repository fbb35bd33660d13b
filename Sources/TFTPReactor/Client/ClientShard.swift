internal import CLinux
internal import Glibc
internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPWire

/// The thread of one client: a ring, a socket for each transfer, and `TransferClient`, which
/// decides.
///
/// Lives on the stack of its own thread and goes with it. Nothing that a packet passes through
/// allocates, retains or locks; beginning and ending a transfer may, and so may handing a part of
/// its content over.
struct ClientShard: ~Copyable {
    let link: ClientLink
    var port: DatagramPort
    /// Decides.
    var client: TransferClient
    let slots: Column<ClientSlot>
    let headers = BlockHeaders()
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
            sockets: [], wakeup: link.wakeup, bufferCount: ClientShardLimits.smallBufferCount,
            largeBufferCount: ClientShardLimits.bufferCount, placeCount: placeCount)
        self.link = link
        now = clinux_now()
        client = TransferClient(
            transfersMax: transfersMax, socketsMax: placeCount, seed: clinux_random(), now: now)
        slots = Column(repeating: ClientSlot(), count: transfersMax)
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
        if !postponed.isEmpty && port.hasPlace { return 0 }
        return client.sleepNanoseconds(now: now)
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
            guard let slot = client.nextTimeout(now: now) else { return }
            look(slot)
            client.stepTimeout(slot, now: now)
            performEffects()
        }
    }

    private mutating func runQueued() {
        for _ in 0..<min(client.visitCount, ShardLimits.visitsPerTurn) {
            guard let slot = client.nextVisit() else { return }
            look(slot)
            client.visit(slot, now: now)
            performEffects()
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
            performEffects()
        }
    }

    /// A socket that leaves wakes the thread, and the thread does not sleep while there is a place.
    private mutating func startPostponed() {
        guard !postponed.isEmpty else { return }
        let waiting = postponed
        postponed = []
        for order in waiting {
            start(order.transfer, asking: order.options)
            performEffects()
        }
    }

    /// Begins a transfer, through a socket of its own. Its effects are carried out by the caller.
    mutating func start(_ transfer: ClientTransfer, asking options: Options) {
        let request = transfer.request
        while client.table.isFull && client.releaseNextDallying() { performEffects() }
        guard !client.table.isFull else {
            return transfer.finish(.failure(.tooManyTransfers(max: client.table.capacity)))
        }
        do throws(Errno) {
            guard
                let socket = try openSocket(
                    isIPv6: !request.server.address.isIPv4,
                    interfaceIndex: transfer.transport.interfaceIndex)
            else {
                return postponed.append((transfer, options))
            }
            let slot = client.start(
                request, asking: options, through: UInt16(socket),
                ringByteCount: transfer.capacity, now: now)
            guard let slot else { preconditionFailure("the table has room") }
            transfer.slot = slot
            slots[slot] = ClientSlot(transfer)
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

    private mutating func resume(_ transfer: ClientTransfer) {
        guard let slot = current(transfer) else { return }
        client.stepContent(slot, transfer.position, now: now)
    }

    private mutating func cancel(_ transfer: ClientTransfer, _ code: ErrorCode) {
        guard let slot = current(transfer) else {
            postponed.removeAll { $0.transfer === transfer }
            return transfer.finish(.failure(.cancelled))
        }
        client.cancel(slot, code, now: now)
    }

    /// The slot of a transfer that has not ended.
    private func current(_ transfer: ClientTransfer) -> Int? {
        let slot = transfer.slot
        guard slot >= 0, let owner = unsafe slots[slot].transfer else { return nil }
        return unsafe owner.toOpaque() == Unmanaged.passUnretained(transfer).toOpaque() ? slot : nil
    }

    // MARK: The end

    /// The transfer has ended; its memory stays until what was queued has left.
    mutating func depart(_ transfer: ClientTransfer) { departed.append(transfer) }

    /// The owner has closed the client.
    private mutating func endAll(_ failure: ClientFailure) {
        for order in link.take().orders {
            if case .start(let transfer) = order { transfer.finish(.failure(failure)) }
        }
        for order in postponed { order.transfer.finish(.failure(failure)) }
        for slot in 0..<client.table.capacity where !client.table.isFree(slot) {
            client.cutOff(slot, failure, now: now)
            performEffects()
        }
    }
}

/// What a client's shard keeps for one transfer in addition to what decides.
@safe
struct ClientSlot: BitwiseCopyable {
    /// Retained until the transfer ends; nil while the slot is free or only repeats its last ACK.
    var transfer: Unmanaged<ClientTransfer>?
    /// The path takes no segmented sends.
    var isUnsegmented = false
    var isTraced = false

    init() { unsafe transfer = nil }

    init(_ transfer: ClientTransfer) {
        unsafe self.transfer = .passRetained(transfer)
        isUnsegmented = !transfer.transport.usesSegmentation
        isTraced = transfer.transport.trace != nil
    }
}

/// Bounds inside a client's shard, each with its cost.
enum ClientShardLimits {
    /// No socket of a client uses the small ones.
    static let smallBufferCount = 16
    /// Buffers for datagrams, coalesced or not: 4.2 MiB, touched as they are used.
    static let bufferCount = 64
}
