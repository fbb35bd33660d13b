import TFTPCore
import Testing

@testable import TFTPServing

/// Clients that acknowledge something and then say nothing, in a table that is full of them.
@Suite struct StalledDownloadTests {
    private static let second: UInt64 = 1_000_000_000

    private static func client(_ number: Int) -> Endpoint {
        Endpoint(address: Address(ipv4: 0x0A00_0200 + UInt32(number)), port: 2000)
    }

    private static let request = [0, 1] + Array("file\0octet\0".utf8)

    @Test func theyMakeWayForNewClients() {
        var rig = ServerRig { $0.transfersMax = 64 }
        var now: UInt64 = 0
        var sockets: [UInt16] = []
        for number in 0..<64 {
            _ = rig.receive(Self.request, from: Self.client(number), now: now)
            let block = rig.takeBlocks().first
            #expect(block?.number == 1)
            sockets.append(block?.socket ?? 0)
            _ = rig.receive(
                [0, 4, 0, 1], from: Self.client(number), socket: sockets[number], now: now)
            #expect(rig.takeBlocks().map(\.number) == [2])
        }
        // One of them goes on.
        let (moving, socket) = (Self.client(7), sockets[7])
        now = 5 * Self.second
        #expect(rig.receive(Self.request, from: Self.client(100), now: now).first?.bytes[1] == 5)
        #expect(rig.takeBlocks().isEmpty)
        _ = rig.wait(until: now)
        _ = rig.receive([0, 4, 0, 2], from: moving, socket: socket, now: now)
        now = 11 * Self.second
        _ = rig.wait(until: now)
        _ = rig.takeBlocks()
        for number in 100..<163 {
            _ = rig.receive(Self.request, from: Self.client(number), now: now)
            #expect(rig.takeBlocks().map(\.client) == [Self.client(number)])
        }
        _ = rig.receive([0, 4, 0, 3], from: moving, socket: socket, now: now)
        #expect(rig.takeBlocks().map(\.number) == [4])
    }
}
