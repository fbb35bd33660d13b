import TFTPCore
import TFTPMetrics
import TFTPStore
import TFTPWire
import Testing

@testable import TFTPServing

/// What passes the path to a client bounds what it is granted, and is asked for nothing else.
@Suite struct PathTests {
    private static let client = Endpoint(address: Address(ipv4: 0x0A00_0001), port: 2000)
    private static let flow = Flow(
        peer: client, local: Address(ipv4: 0x0A00_0101), socket: 0)
    private static let rrq = [UInt8]("\0\u{1}file\0octet\0blksize\08192\0".utf8)
    private static let image = ImageID(index: 0, generation: 0)

    /// A server with one listener and one socket for transfers.
    private static func withServer(_ body: (inout TransferServer) -> Void) {
        let memory = ServingMemory(pendingsMax: 4, chunksMax: 1)
        let counters = Counters()
        let own = OwnEndpoints([], addresses: [])
        defer {
            memory.destroy()
            counters.destroy()
            own.destroy()
        }
        var configuration = ServingConfiguration()
        configuration.transfersMax = 64
        var pools = SocketPools()
        pools.download = SocketPools.Pool(first: 1, count: 1)
        var server = TransferServer(
            configuration: configuration,
            sockets: [
                ServingSocket(isListener: true, pools: pools), ServingSocket(isListener: false),
            ], own: own, memory: memory, counters: counters, seed: 1, now: 0)
        body(&server)
    }

    /// The packets that the server has ordered; a name it looks for is found, in a file of 1 MiB.
    private static func packets(
        _ server: inout TransferServer, mtu: Int?
    ) -> [[UInt8]] {
        var packets: [[UInt8]] = []
        while let effect = server.effects.takeFirst() {
            switch effect {
            case .look(let slot):
                #expect(server.mtu(of: slot) == 0, "nothing is known before it is told")
                if let mtu { server.notePath(slot, mtu: mtu) }
                server.stepFound(slot, image, byteCount: 1 << 20)
            case .send(let number):
                packets.append([UInt8](server.effects.bytes(ofPacket: number)))
            default: break
            }
        }
        return packets
    }

    @Test(arguments: [
        (1500, "\0\u{6}blksize\01468\0"), (9000, "\0\u{6}blksize\08192\0"),
        (nil, "\0\u{6}blksize\08192\0"),
    ])
    func whatPassesIsGranted(mtu: Int?, oack: String) {
        Self.withServer { server in
            server.stepDatagram(Self.rrq.span.bytes, from: Self.flow, now: 1)
            let packets = Self.packets(&server, mtu: mtu)
            #expect(packets == [[UInt8](oack.utf8)])
        }
    }

    /// A slot is used again, and the next client's path may be narrower.
    @Test func aPathIsOfOneTransfer() {
        Self.withServer { server in
            for _ in 0..<2 {
                server.stepDatagram(Self.rrq.span.bytes, from: Self.flow, now: 1)
                _ = Self.packets(&server, mtu: 9000)
                let error = [UInt8]("\0\u{5}\0\0\0".utf8)
                let transfer = Flow(peer: Self.client, local: Self.flow.local, socket: 1)
                server.stepDatagram(error.span.bytes, from: transfer, now: 2)
                _ = Self.packets(&server, mtu: nil)
            }
        }
    }
}
