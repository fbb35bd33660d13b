import TFTPCore
import Testing

@testable import TFTPServing

/// What many clients that do not go on may cost the others.
@Suite struct ManyClientsTests {
    private static let second: UInt64 = 1_000_000_000

    private static func client(_ number: Int) -> Endpoint {
        Endpoint(address: Address(ipv4: 0x0A00_1000 + UInt32(number)), port: 2000)
    }

    private static func request(_ opcode: UInt8, _ options: String = "") -> [UInt8] {
        [0, opcode] + Array("file\0octet\0\(options)".utf8)
    }

    /// A client that was kept from answering repeats its request, and then answers the first offer
    /// of all: that must still be there.
    @Test(arguments: [1, 2] as [UInt8])
    func aRenewedOfferComesFromTheSamePort(opcode: UInt8) throws {
        var rig = ServerRig()
        let client = Self.client(1)
        let request = Self.request(opcode, "blksize\01024\0")
        let offers = rig.receive(request, from: client, now: 0)
        let first = try #require(offers.first)
        #expect(first.bytes.starts(with: [0, 6]))
        // Three answers are all that a client gets that has proven nothing.
        for milliseconds in 1...5 as ClosedRange<UInt64> {
            _ = rig.receive(request, from: client, now: milliseconds * 1_000_000)
        }
        let more = rig.receive(request, from: client, now: Self.second)
        #expect(more == [])
        let renewed = rig.receive(request, from: client, now: 7 * Self.second)
        #expect(renewed == [first])
        let answer: [UInt8] =
            opcode == 1 ? [0, 4, 0, 0] : [0, 3, 0, 1] + Array(repeating: 7, count: 1024)
        let now = 7 * Self.second + 1
        let after = rig.receive(answer, from: client, socket: first.socket, now: now)
        #expect(!after.contains { $0.bytes.starts(with: [0, 5]) })
        #expect(rig.server.table.activeCount == 1)
    }

    /// Uploads that bring a few bytes now and then keep no other client out for long.
    @Test func slowUploadsMakeWay() throws {
        var rig = ServerRig()
        var sockets: [UInt16] = []
        for number in 0..<ServingLimits.uploadsMax {
            let sent = rig.receive(
                Self.request(2, "blksize\08\0"), from: Self.client(number), now: 0)
            sockets.append(try #require(sent.first).socket)
        }
        let other = Self.client(1000)
        for step in 1...14 as ClosedRange<UInt64> {
            let now = step * Self.second
            _ = rig.wait(until: now)
            for (number, socket) in sockets.enumerated() {
                let data = [0, 3, 0, UInt8(step)] + Array(repeating: UInt8(7), count: 8)
                let sent = rig.receive(data, from: Self.client(number), socket: socket, now: now)
                #expect(sent.first?.bytes == [0, 4, 0, UInt8(step)])
            }
            if step == 9 {
                let sent = rig.receive(Self.request(2), from: other, now: now)
                #expect(sent.first?.bytes.starts(with: [0, 5, 0, 0]) == true, "they may be slow")
            }
        }
        let sent = rig.receive(Self.request(2), from: other, now: 14 * Self.second)
        #expect(sent.count == 2)
        #expect(sent.contains { $0.client != other && $0.bytes.starts(with: [0, 5, 0, 0]) })
        #expect(sent.contains { $0.client == other && $0.bytes == [0, 4, 0, 0] })
    }

    /// A stranger sends requests in the name of a client whose rate is limited. The transfer that
    /// the client has goes on, and the client is sent no more than its rate.
    @Test(arguments: [false, true])
    func forgedRequestsTakeLittleOfAClientsRate(isLimitOfNetwork: Bool) throws {
        let rate = 20_000
        var rig = ServerRig {
            let limits = RequestLimits(bytesPerSecond: rate)
            if isLimitOfNetwork { $0.networkLimits = limits } else { $0.clientLimits = limits }
        }
        let client = Self.client(1)
        let offer = rig.receive(Self.request(1, "blksize\0512\0"), from: client, now: 0)
        let socket = try #require(offer.first).socket
        _ = rig.receive([0, 4, 0, 0], from: client, socket: socket, now: 1)
        var (ownBlockCount, forgedBlockCount) = (0, 0)
        for millisecond in 1...20_000 as ClosedRange<UInt64> {
            let now = millisecond * 1_000_000
            if millisecond.isMultiple(of: 10) {
                var forged = client
                forged.port = UInt16(10_000 + millisecond)
                _ = rig.receive(Self.request(1), from: forged, now: now)
            }
            _ = rig.wait(until: now)
            for block in rig.takeBlocks() {
                guard block.client == client else {
                    forgedBlockCount += 1
                    continue
                }
                ownBlockCount += 1
                let ack = [0, 4, UInt8(block.number >> 8), UInt8(block.number & 255)]
                _ = rig.receive(ack, from: client, socket: socket, now: now)
            }
        }
        #expect(ownBlockCount * 512 > rate * 20 * 7 / 10, "\(ownBlockCount)")
        #expect(forgedBlockCount > 0)
        #expect((ownBlockCount + forgedBlockCount) * 512 < rate * 21)
    }

    /// More clients without options ask at once than their network's rate serves in the time that a
    /// client waits. The others are left without an answer, counted, and served when they repeat
    /// their request.
    @Test func aFullQueueOfTurnsIsCounted() {
        let rate = 20_480
        var rig = ServerRig { $0.networkLimits = RequestLimits(bytesPerSecond: rate) }
        let clientCount = 100
        for number in 0..<clientCount {
            _ = rig.receive(Self.request(1), from: Self.client(number), now: 0)
        }
        // Four seconds of a quarter of the rate, and what a rest has saved up.
        let waitingCount = clientCount - Int(rig.counters[.turnsRefused])
        #expect((39...44).contains(waitingCount), "\(waitingCount)")
        var served: Set<UInt32> = []
        for second in 1...25 as ClosedRange<UInt64> {
            let now = second * Self.second
            _ = rig.wait(until: now)
            for block in rig.takeBlocks() {
                served.insert(block.client.address.ipv4)
                let end: [UInt8] = [0, 5, 0, 0, 0]
                _ = rig.receive(end, from: block.client, socket: block.socket, now: now)
            }
            if second == 4 { #expect(served.count <= waitingCount) }
            for number in 0..<clientCount {
                guard !served.contains(Self.client(number).address.ipv4) else { continue }
                _ = rig.receive(Self.request(1), from: Self.client(number), now: now)
            }
        }
        #expect(served.count == clientCount)
    }

    /// Forged requests that a busy server refuses do not fill the log.
    @Test func aBusyServerLogsFewOfThoseItRefuses() {
        var rig = ServerRig { $0.transfersMax = 64 }
        for number in 0..<5000 {
            _ = rig.receive(Self.request(1), from: Self.client(number), now: UInt64(number) * 1000)
        }
        #expect(rig.loggedCount > 0)
        #expect(rig.loggedCount <= ServingLimits.silentRecordsPerSecond)
    }
}
