import TFTPCore
import Testing

@testable import TFTPLoad

/// Where packets wait, against a plain sorted list.
struct RelayHeapTests {
    private static func flow(_ port: UInt16) -> Flow {
        Flow(
            peer: Endpoint(address: Address(ipv4: 1), port: port), local: .unspecified, socket: 0)
    }

    private static func insert(
        _ bytes: [UInt8], _ port: UInt16, at time: UInt64, into heap: inout PacketHeap
    ) -> Bool {
        heap.insert(bytes.span.bytes, to: flow(port), arrivesAt: time)
    }

    /// Method: random inserts and takes in a small heap, with a model that keeps the bytes of
    /// everything.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func agreesWithASortedList(_ seed: UInt64) {
        struct Waiting {
            var time: UInt64
            var number: Int
            var bytes: [UInt8]
        }
        var random = SplitMix64(seed: seed)
        var heap = PacketHeap(packetsMax: 64, bytesMax: 65_536)
        var model: [Waiting] = []
        var number = 0
        var refusedCount = 0
        for _ in 0..<20_000 {
            if random.next() % 100 < 53 {
                let count = random.next() % 4 == 0 ? 20_000 : Int(random.next() % 300)
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
                let time = random.next() % 50
                if Self.insert(bytes, UInt16(number & 0xFFFF), at: time, into: &heap) {
                    model.append(Waiting(time: time, number: number, bytes: bytes))
                } else {
                    refusedCount += 1
                }
                number += 1
            } else if let first = model.min(by: { ($0.time, $0.number) < ($1.time, $1.number) }) {
                #expect(heap.nextArrivesAt == first.time)
                let taken = heap.takeFirst()
                #expect(taken.flow.peer.port == UInt16(first.number & 0xFFFF))
                #expect(Array(taken.payload) == first.bytes)
                model.removeAll { $0.number == first.number }
            }
            #expect(heap.count == model.count)
            if random.next() % 3 == 0 { heap.releaseTaken() }
        }
        #expect(refusedCount > 0)
    }

    @Test func isFullAtItsPackets() {
        var heap = PacketHeap(packetsMax: 4, bytesMax: 65_536)
        for index in 0..<4 { #expect(Self.insert([1], UInt16(index), at: 5, into: &heap)) }
        #expect(!Self.insert([1], 9, at: 5, into: &heap))
        _ = heap.takeFirst()
        // The kernel may still read it.
        #expect(!Self.insert([1], 9, at: 5, into: &heap))
        heap.releaseTaken()
        #expect(Self.insert([1], 9, at: 5, into: &heap))
    }

    @Test func isFullAtItsBytes() {
        var heap = PacketHeap(packetsMax: 64, bytesMax: 65_536)
        let third = [UInt8](repeating: 7, count: 20_000)
        for index in 0..<3 { #expect(Self.insert(third, UInt16(index), at: 5, into: &heap)) }
        #expect(!Self.insert(third, 9, at: 5, into: &heap))
        #expect(Self.insert([], 9, at: 5, into: &heap))
        for _ in 0..<4 { _ = heap.takeFirst() }
        heap.releaseTaken()
        for index in 0..<3 { #expect(Self.insert(third, UInt16(index), at: 5, into: &heap)) }
    }
}

/// The relay's table of clients.
struct RelayClientsTests {
    private static func key(_ number: Int) -> RelayClients.Key {
        RelayClients.Key(
            client: Endpoint(
                address: Address(ipv4: 0x7F01_0001 + UInt32(number / 3)), port: UInt16(number)),
            local: Address(ipv4: 0x7F00_0001))
    }

    /// Method: random use of a small table, with a list in the order of the last use as the model.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func agreesWithAList(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var clients = RelayClients(capacity: 16, frontCount: 4, serverPort: 69, seed: seed)
        var model: [(number: Int, row: Int, seenAt: UInt64)] = []
        for now in 11...10_000 as ClosedRange<UInt64> {
            let number = Int(random.next() % 40)
            let known = model.firstIndex { $0.number == number }
            let found = clients.find(Self.key(number))
            #expect(found == known.map { model[$0].row })
            if let known {
                clients.touch(model[known].row, now: now)
                model.append((number, model.remove(at: known).row, now))
            } else {
                if clients.isFull {
                    clients.removeOldest()
                    let isUsed = clients.isUsed(model.removeFirst().row)
                    #expect(!isUsed)
                }
                let row = clients.insert(Self.key(number), now: now)
                #expect(!model.contains { $0.row == row })
                let port0 = clients.serverPort(row, front: 0)
                #expect(port0 == 69)
                let port1 = clients.serverPort(row, front: 1)
                #expect(port1 == nil)
                _ = clients.front(row, serverPort: 1000)
                model.append((number, row, now))
            }
            if random.next() % 50 == 0 {
                while clients.hasIdle(since: now - 10) {
                    #expect(model[0].seenAt <= now - 10)
                    clients.removeOldest()
                    model.removeFirst()
                }
            }
            #expect(clients.count == model.count)
            for entry in model {
                let key = clients.key(of: entry.row)
                #expect(key == Self.key(entry.number))
            }
        }
    }

    @Test func eachTIDHasAFrontAndTheOldestIsForgotten() {
        var clients = RelayClients(capacity: 2, frontCount: 4, serverPort: 69, seed: 1)
        let row = clients.insert(Self.key(1), now: 1)
        let ports: [UInt16] = [69, 1001, 1002, 1003, 1002, 1004, 1001]
        var fronts: [Int] = []
        for port in ports { fronts.append(clients.front(row, serverPort: port)) }
        #expect(fronts == [0, 1, 2, 3, 2, 1, 2])
        let port1 = clients.serverPort(row, front: 1)
        #expect(port1 == 1004)
    }
}
