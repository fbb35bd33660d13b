import TFTPCore
import TFTPMetrics
import TFTPStore
import TFTPWire

@testable import TFTPServing

/// A server of one shard, with a disk that answers at once. It has one listener, two sockets for
/// downloads and two for uploads.
struct ServerRig: ~Copyable {
    /// What the server sent.
    struct Sent: Equatable {
        var client: Endpoint
        var socket: UInt16
        var bytes: [UInt8]
    }

    /// A block of DATA that the server sent.
    struct Block {
        var client: Endpoint
        var socket: UInt16
        var number: UInt64
    }

    var server: TransferServer
    private var blocks: [Block] = []
    private let memory: ServingMemory
    let counters = Counters()
    private let own = OwnEndpoints([], addresses: [])
    private var uploadCount: UInt32 = 0
    /// Lines for the log.
    private(set) var loggedCount = 0

    static let local = Address(ipv4: 0x0A00_0101)

    init(_ configure: (inout ServingConfiguration) -> Void = { _ in }) {
        var configuration = ServingConfiguration()
        configuration.transfersMax = 1024
        var policy = RequestPolicy()
        policy.upload = .overwrite
        configuration.policies = PolicyTable(default: policy)
        configure(&configuration)
        memory = ServingMemory(pendingsMax: 64, chunksMax: ServingLimits.chunksMax)
        var pools = SocketPools()
        pools.download = SocketPools.Pool(first: 1, count: 2)
        pools.upload = SocketPools.Pool(first: 3, count: 2)
        server = TransferServer(
            configuration: configuration,
            sockets: [ServingSocket(isListener: true, pools: pools)]
                + Array(repeating: ServingSocket(isListener: false), count: 4),
            own: own, memory: memory, counters: counters, seed: 1, now: 0)
    }

    deinit {
        memory.destroy()
        counters.destroy()
        own.destroy()
    }

    /// A datagram comes from `client` to a socket.
    mutating func receive(
        _ bytes: [UInt8], from client: Endpoint, socket: UInt16 = 0, now: UInt64
    ) -> [Sent] {
        let flow = Flow(peer: client, local: ServerRig.local, socket: socket)
        server.stepDatagram(bytes.span.bytes, from: flow, now: now)
        return performEffects(now: now)
    }

    /// Time goes on to `now`.
    mutating func wait(until now: UInt64) -> [Sent] {
        var sent: [Sent] = []
        while server.stepNextTimeout(now: now) { sent += performEffects(now: now) }
        return sent
    }

    /// The blocks since the last call.
    mutating func takeBlocks() -> [Block] {
        defer { blocks = [] }
        return blocks
    }

    private mutating func performEffects(now: UInt64) -> [Sent] {
        var sent: [Sent] = []
        while let effect = server.effects.takeFirst() {
            switch effect {
            case .send(let number):
                let flow = server.effects.packets[Int(number)].flow
                let bytes = [UInt8](server.effects.bytes(ofPacket: number))
                sent.append(Sent(client: flow.peer, socket: flow.socket, bytes: bytes))
            case .look(let slot):
                server.stepFound(slot, ImageID(index: 0, generation: 0), byteCount: 1 << 20)
            case .sendBlocks(let order):
                let flow = server.table.flow(of: Int(order.slot))
                for number in order.first..<(order.first + UInt64(order.count)) {
                    blocks.append(Block(client: flow.peer, socket: flow.socket, number: number))
                }
                server.didSend(order, count: order.count)
            case .ask(.openUpload(let slot, let generation, let pending, _)):
                uploadCount += 1
                server.stepReply(
                    .uploadOpened(
                        slot: slot, generation: generation, pending: pending, upload: uploadCount),
                    now: now)
            case .ask(.write(_, let chunk, _, _)):
                server.stepReply(.written(chunk: chunk), now: now)
            case .record(let number):
                if server.effects.records[Int(number)].isLogged { loggedCount += 1 }
            case .ask, .releaseImage, .noteStart: break
            }
        }
        return sent
    }
}
