internal import Synchronization
internal import SystemPackage
internal import TFTPCore
internal import TFTPReactor

/// The relay's thread: sockets on both sides, the clients, and the two links between.
///
/// *Fronts* are the sockets towards clients: the one that listens, and those that stand for the
/// server's TIDs (see `RelayClients`). *Backs* are the sockets towards the server. On the IPv4
/// loopback network client `n` speaks from 127.64.0.1 + n through a handful of them; elsewhere each
/// client has one to itself.
struct RelayShard: ~Copyable {
    private let configuration: RelayConfiguration
    private let progress: RelayBoard
    /// Keeps the files open that `port` uses.
    private let sockets: ClientSockets
    private var port: DatagramPort
    private var clients: RelayClients
    private var up: RelayWay
    private var down: RelayWay
    private var counters = RelayCounters()
    private var now: UInt64

    private static let frontCount = 16
    private static let sharedBackCount = 8
    private static let ownBackCountMax = 512
    private static let loopbackBase: UInt32 = 0x7F40_0001
    /// Every packet takes a large buffer, so as many as two drains hand out: where they run dry
    /// some sockets starve.
    private static let largeBufferCount = 512
    private static let evictionsPerTurn = 64
    /// So that the end is noticed.
    private static let sleepNanosecondsMax: UInt64 = 50_000_000

    init(_ configuration: RelayConfiguration, _ progress: RelayBoard) throws(RelayError) {
        let isShared = RelayShard.isShared(configuration.server)
        let clientsMax =
            isShared
            ? configuration.clientsMax : min(configuration.clientsMax, RelayShard.ownBackCountMax)
        let backCount = isShared ? RelayShard.sharedBackCount : clientsMax
        var listening = configuration.listen
        let sockets = try RelayShard.openSockets(
            configuration, backCount: backCount, &listening)
        let port = try RelayShard.makePort(sockets)
        self.port = port
        self.sockets = sockets
        self.configuration = configuration
        self.progress = progress
        now = monotonicNow()
        let impairment = configuration.impairment
        up = RelayWay(impairment.up, seed: configuration.seed &* 2)
        down = RelayWay(impairment.down, seed: configuration.seed &* 2 &+ 1)
        clients = RelayClients(
            capacity: clientsMax, frontCount: RelayShard.frontCount,
            serverPort: configuration.server.port, seed: systemRandom())
        progress.listen(at: listening)
    }

    // MARK: Sockets

    private static func isShared(_ server: Endpoint) -> Bool {
        server.address.isIPv4 && server.address.isLoopback
    }

    /// The fronts, the one that listens first, and then the backs. All take coalesced datagrams,
    /// because those have room for the largest blksize.
    private static func openSockets(
        _ configuration: RelayConfiguration, backCount: Int, _ listening: inout Endpoint
    ) throws(RelayError) -> ClientSockets {
        var sockets = ClientSockets()
        let isIPv6 = try openListener(&sockets, &listening)
        let front = Endpoint(address: listening.address, port: 0)
        let back = Endpoint(address: .unspecified, port: 0)
        do throws(Errno) {
            for _ in 1..<frontCount {
                _ = try sockets.open(
                    at: front, isIPv6: isIPv6, isDual: isIPv6 && front.address.isUnspecified,
                    coalesces: true)
            }
            for _ in 0..<backCount {
                _ = try sockets.open(
                    at: back, isIPv6: !configuration.server.address.isIPv4, coalesces: true)
            }
        } catch {
            throw .sockets(error)
        }
        return sockets
    }

    /// - Returns: whether it is an IPv6 socket.
    private static func openListener(
        _ sockets: inout ClientSockets, _ listening: inout Endpoint
    ) throws(RelayError) -> Bool {
        var isIPv6 = !listening.address.isIPv4
        let isWildcard = listening.address.isUnspecified
        while true {
            do throws(Errno) {
                listening.port = try sockets.open(
                    at: listening, isIPv6: isIPv6, isDual: isIPv6 && isWildcard, coalesces: true)
                return isIPv6
            } catch {
                // No IPv6 on this host: every address is every IPv4 address.
                guard error == .addressFamilyNotSupported && isIPv6 && isWildcard else {
                    throw .listen(listening, error)
                }
                isIPv6 = false
            }
        }
    }

    private static func makePort(
        _ sockets: borrowing ClientSockets
    ) throws(RelayError) -> DatagramPort {
        do throws(Errno) {
            return try sockets.makePort(largeBufferCount: largeBufferCount)
        } catch {
            throw .ring(error)
        }
    }

    // MARK: The loop

    mutating func run() throws(RelayError) {
        do throws(Errno) {
            while !progress.isInterrupted.load(ordering: .relaxed) { try turn() }
        } catch {
            throw .ring(error)
        }
        port.close()
        tell()
    }

    private mutating func turn() throws(Errno) {
        // 1. Everything queued leaves, and what it pointed to may be written over.
        try port.enter(nanoseconds: sleepNanoseconds())
        now = monotonicNow()
        if port.isSubmitted {
            up.heap.releaseTaken()
            down.heap.releaseTaken()
        }
        // 2. What came in is put on its way.
        let count = port.drain()
        for index in 0..<count {
            switch unsafe port.event(index) {
            case .datagram(let arrival):
                unsafe handle(arrival)
                unsafe port.release(arrival)
            case .sendFailed: counters.refused += 1
            case .receiveFailed, .wakeup, .nothing: break
            }
        }
        // 3. What arrives by now is queued; without a delay that is what has just come.
        up.sendDue(through: &port, now: now)
        down.sendDue(through: &port, now: now)
        evictIdle()
        port.finishTurn()
        tell()
    }

    private func sleepNanoseconds() -> UInt64 {
        let next = min(up.heap.nextArrivesAt ?? .max, down.heap.nextArrivesAt ?? .max)
        return next <= now ? 0 : min(next - now, RelayShard.sleepNanosecondsMax)
    }

    private mutating func evictIdle() {
        guard now > configuration.idleNanoseconds else { return }
        let limit = now - configuration.idleNanoseconds
        for _ in 0..<RelayShard.evictionsPerTurn where clients.hasIdle(since: limit) {
            clients.removeOldest()
            counters.idledOut += 1
        }
    }

    private mutating func tell() {
        counters.up = up.counters
        counters.down = down.counters
        counters.clients = UInt64(clients.count)
        progress.tell(counters)
    }

    // MARK: Datagrams in

    @unsafe
    private mutating func handle(_ arrival: DatagramPort.Arrival) {
        let flow = unsafe arrival.flow
        let isUp = Int(flow.socket) < RelayShard.frontCount
        guard let onward = isUp ? flowToServer(flow) : flowToClient(flow) else {
            counters.strays += 1
            return
        }
        let bytes = unsafe arrival.payload.bytes
        var offset = 0
        repeat {
            let end = unsafe arrival.end(ofDatagramAt: offset)
            let packet = bytes.extracting(offset..<end)
            if isUp {
                up.take(packet, to: onward, now: now)
            } else {
                down.take(packet, to: onward, now: now)
            }
            offset = end
        } while offset < bytes.byteCount
    }

    /// The flow on which a client's packet to one of the fronts is forwarded; nil if that front
    /// stands for nothing.
    private mutating func flowToServer(_ flow: Flow) -> Flow? {
        let front = Int(flow.socket)
        let key = RelayClients.Key(client: flow.peer, local: flow.local)
        var row = clients.find(key)
        if row == nil && front == 0 {
            if clients.isFull {
                clients.removeOldest()
                counters.crowdedOut += 1
            }
            row = clients.insert(key, now: now)
        }
        guard let row, let serverPort = clients.serverPort(row, front: front) else { return nil }
        clients.touch(row, now: now)
        let isShared = RelayShard.isShared(configuration.server)
        let back = isShared ? row % RelayShard.sharedBackCount : row
        return Flow(
            peer: Endpoint(address: configuration.server.address, port: serverPort),
            local: isShared
                ? Address(ipv4: RelayShard.loopbackBase + UInt32(row)) : .unspecified,
            socket: UInt16(RelayShard.frontCount + back))
    }

    /// The flow on which a packet from the server is forwarded; nil if it is not from the server,
    /// or the row has no client.
    private mutating func flowToClient(_ flow: Flow) -> Flow? {
        guard flow.peer.address == configuration.server.address, let row = row(of: flow) else {
            return nil
        }
        clients.touch(row, now: now)
        let key = clients.key(of: row)
        let front = clients.front(row, serverPort: flow.peer.port)
        return Flow(peer: key.client, local: key.local, socket: UInt16(front))
    }

    private func row(of flow: Flow) -> Int? {
        let back = Int(flow.socket) - RelayShard.frontCount
        guard RelayShard.isShared(configuration.server) else {
            return clients.isUsed(back) ? back : nil
        }
        let row = Int(flow.local.ipv4) - Int(RelayShard.loopbackBase)
        guard (0..<clients.capacity).contains(row), row % RelayShard.sharedBackCount == back else {
            return nil
        }
        return clients.isUsed(row) ? row : nil
    }
}

/// One direction: what happens to packets, and where they wait meanwhile.
struct RelayWay: ~Copyable {
    private var link: ImpairedLink
    var heap = PacketHeap()
    private var overflowed: UInt64 = 0
    private var delivered: UInt64 = 0

    init(_ way: Impairment.Way, seed: UInt64) { link = ImpairedLink(way, seed: seed) }

    mutating func take(_ packet: RawSpan, to flow: Flow, now: UInt64) {
        let deliveries = link.offer(byteCount: packet.byteCount, now: now)
        if let time = deliveries.first { insert(packet, flow, time) }
        if let time = deliveries.second { insert(packet, flow, time) }
    }

    private mutating func insert(_ packet: RawSpan, _ flow: Flow, _ time: UInt64) {
        if !heap.insert(packet, to: flow, arrivesAt: time) { overflowed += 1 }
    }

    /// Queues what arrives by `now`; what finds no room there goes next turn.
    mutating func sendDue(through port: inout DatagramPort, now: UInt64) {
        while let time = heap.nextArrivesAt, time <= now, port.hasRoom {
            let packet = unsafe heap.takeFirst()
            // The heap keeps the bytes until the port has submitted them.
            _ = unsafe port.send(packet.payload, to: packet.flow, tag: DatagramPort.untagged)
            delivered += 1
        }
    }

    var counters: RelayCounters.Way {
        RelayCounters.Way(link: link.counters, overflowed: overflowed, delivered: delivered)
    }
}
