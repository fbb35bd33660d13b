import Loopback
import TFTPCore
import TFTPServer
import Testing

@testable import TFTPLoad

/// The relay between real sockets.
@Suite(.enabled(if: RelayHost.canRun, "io_uring is switched off here"), .serialized)
struct RelayTests {
    /// Goal: every TID of the server has a port of the relay towards the client, and each client a
    /// source towards the server. Method: play both ends by hand.
    @Test func followsTheTID() throws {
        let server = try LoopbackSocket()
        let tids = try [LoopbackSocket(), LoopbackSocket()]
        let clients = try [LoopbackSocket(), LoopbackSocket()]
        let relay = try RelayHost.relay(to: server.endpoint)
        var sources: [Endpoint] = []
        var fronts: [Endpoint] = []
        for (index, client) in clients.enumerated() {
            client.send([0, 1, UInt8(index)], to: relay.listening)
            let request = try server.receive()
            #expect(request.bytes == [0, 1, UInt8(index)])
            sources.append(request.source)
            tids[index].send([0, 3, 0, 1, UInt8(index)], to: request.source)
            let data = try client.receive()
            #expect(data.bytes == [0, 3, 0, 1, UInt8(index)])
            #expect(data.source.address == relay.listening.address)
            #expect(data.source.port != relay.listening.port)
            fronts.append(data.source)
        }
        #expect(sources[0] != sources[1])
        for (index, client) in clients.enumerated() {
            client.send([0, 4, 0, 1], to: fronts[index])
            let ack = try tids[index].receive()
            #expect(ack.bytes == [0, 4, 0, 1])
            #expect(ack.source == sources[index])
        }
        // Another TID for the same client is another port; the server's own port is the one that
        // listens.
        tids[1].send([9], to: sources[0])
        let other = try clients[0].receive()
        #expect(other.source != fronts[0] && other.source != relay.listening)
        server.send([8], to: sources[0])
        #expect(try clients[0].receive().source == relay.listening)
        // A front that stands for nothing leads nowhere.
        clients[1].send([7], to: other.source)
        server.send([6], to: sources[1])
        #expect(try clients[1].receive().bytes == [6])
        let counters = try relay.finish()
        #expect(counters.clients == 2)
        #expect(counters.strays == 1)
        #expect(counters.up.delivered == 4)
        #expect(counters.down.delivered == 5)
    }

    @Test func passesTheLargestDatagramAndTheEmptyOne() throws {
        let server = try LoopbackSocket()
        let client = try LoopbackSocket()
        let relay = try RelayHost.relay(to: server.endpoint)
        for byteCount in [0, 1, 2048, 9000, 65_507] {
            let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            client.send(bytes, to: relay.listening)
            let up = try server.receive()
            #expect(up.bytes == bytes)
            server.send(bytes, to: up.source)
            #expect(try client.receive().bytes == bytes)
        }
        #expect(try relay.finish().refused == 0)
    }

    @Test func delays() throws {
        let server = try LoopbackSocket()
        let client = try LoopbackSocket()
        let relay = try RelayHost.relay(to: server.endpoint, "up.delay=30ms,down.delay=50ms")
        let began = ContinuousClock.now
        client.send([1], to: relay.listening)
        let source = try server.receive().source
        let up = ContinuousClock.now
        server.send([2], to: source)
        _ = try client.receive()
        // Never early; how late depends on other processes.
        #expect(up - began >= .milliseconds(30))
        #expect(ContinuousClock.now - up >= .milliseconds(50))
        _ = try relay.finish()
    }

    @Test func aFullTableForgetsWhoWasSilentForLongest() throws {
        let server = try LoopbackSocket()
        let clients = try [LoopbackSocket(), LoopbackSocket(), LoopbackSocket()]
        let relay = try RelayHost.relay(to: server.endpoint) { $0.clientsMax = 2 }
        var sources: [Endpoint] = []
        for client in clients {
            client.send([1], to: relay.listening)
            sources.append(try server.receive().source)
        }
        // The first was forgotten, and its row was given to the third: what comes late reaches that
        // one.
        #expect(sources[2] == sources[0])
        server.send([2], to: sources[1])
        #expect(try clients[1].receive().bytes == [2])
        let counters = try relay.finish()
        #expect(counters.crowdedOut == 1)
        #expect(counters.clients == 2)
    }

    @Test func forgetsTheIdle() throws {
        let server = try LoopbackSocket()
        let client = try LoopbackSocket()
        let relay = try RelayHost.relay(to: server.endpoint) { $0.idleNanoseconds = 1_000_000 }
        client.send([1], to: relay.listening)
        _ = try server.receive()
        let end = ContinuousClock.now + .seconds(5)
        while relay.counters.idledOut == 0 && ContinuousClock.now < end {}
        #expect(try relay.finish().idledOut == 1)
    }

    @Test func listensOnEveryAddress() throws {
        let server = try LoopbackSocket()
        let client = try LoopbackSocket()
        let relay = try RelayHost.relay(to: server.endpoint) {
            $0.listen = Endpoint(address: .unspecified, port: 0)
        }
        // The answer comes from the address that was asked.
        let asked = Endpoint(address: Address(ipv4: 0x7F00_0207), port: relay.listening.port)
        client.send([1], to: asked)
        let source = try server.receive().source
        server.send([2], to: source)
        #expect(try client.receive().source == asked)
        let tid = try LoopbackSocket()
        tid.send([3], to: source)
        let answer = try client.receive().source
        #expect(answer.address == asked.address && answer.port != asked.port)
        _ = try relay.finish()
    }

    @Test func aPortInUseIsTold() throws {
        let server = try LoopbackSocket()
        #expect(throws: RelayError.self) {
            try RelayHost.relay(to: server.endpoint) { $0.listen = server.endpoint }
        }
    }

    /// What goes in comes out, is lost for a counted reason, or waits.
    private func checkSums(_ way: RelayCounters.Way) {
        #expect(
            way.link.offered + way.link.duplicated
                >= way.link.lost + way.link.queueDropped + way.overflowed + way.delivered)
    }

    @Test(arguments: [UInt16?.none, 8])
    func aStormEndsInSpiteOfLoss(_ windowsize: UInt16?) async throws {
        try await RelayHost.serve(30_000) { server in
            let relay = try RelayHost.relay(
                to: server, "loss=5%,dup=2%,reorder=2%,delay=200us,jitter=100us")
            let report = try await RelayHost.storm(
                through: relay, to: server, machines: 50, transfers: 100, windowsize: windowsize)
            let counters = try relay.finish()
            #expect(report.doneCount == 100)
            #expect(report.failedCount == 0, "\(report.causes)")
            #expect(report.firstWrongByte == nil)
            // A machine boots each time from another port.
            #expect(counters.clients == 100)
            expectAllOf(report, in: counters.up.link.offered)
            #expect(counters.down.delivered >= report.packetsIn)
            checkSums(counters.up)
            checkSums(counters.down)
            let loss = Double(counters.down.link.lost) / Double(counters.down.link.offered)
            #expect(abs(loss - 0.05) < 0.03)
            #expect(counters.down.link.reordered > 0 && counters.down.link.duplicated > 0)
            #expect(counters.strays == 0 && counters.refused == 0)
        }
    }

    /// Every packet of the storm has come, but perhaps for those of its last turn: they stay in its
    /// ring.
    private func expectAllOf(_ report: StormReport, in count: UInt64) {
        #expect((count...count + 4).contains(report.packetsOut))
    }

    /// Without impairment the relay is not to be noticed: no loss, nothing left over, whatever the
    /// size of a block.
    @Test(arguments: [512, 1468, 8192, 65_464] as [UInt16])
    func aStormDoesNotNoticeAnEmptyRelay(_ blksize: UInt16) async throws {
        try await RelayHost.serve(1_000_000) { server in
            let relay = try RelayHost.relay(to: server)
            let report = try await RelayHost.storm(
                through: relay, to: server, machines: 4, transfers: 8, blksize: blksize,
                windowsize: 4)
            let counters = try relay.finish()
            #expect(report.doneCount == 8)
            #expect(report.retransmissionCount == 0 && report.gapCount == 0)
            expectAllOf(report, in: counters.up.delivered)
            #expect(counters.down.delivered == report.packetsIn)
        }
    }

    @Test func theRateBoundsAStorm() async throws {
        try await RelayHost.serve(500_000) { server in
            let relay = try RelayHost.relay(to: server, "rate=50Mbit,queue=64")
            let report = try await RelayHost.storm(
                through: relay, to: server, machines: 4, transfers: 4, windowsize: 8)
            _ = try relay.finish()
            #expect(report.doneCount == 4)
            // 50 Mbit/s of frames carry 5.96 MB/s of blocks of 1468 bytes.
            #expect(Double(report.byteCount) / report.seconds < 6_000_000)
        }
    }

    @Test(.enabled(if: RelayHost.hasIPv6, "no IPv6 on this host"))
    func aServerElsewhereHasASocketAClient() async throws {
        try await RelayHost.serve(20_000, on: "[::1]") { server in
            let relay = try RelayHost.relay(to: server, "loss=2%") { $0.clientsMax = 32 }
            let report = try await RelayHost.storm(
                through: relay, to: server, machines: 8, transfers: 16)
            let counters = try relay.finish()
            #expect(report.doneCount == 16)
            #expect(counters.clients == 16 && counters.strays == 0)
        }
    }
}
