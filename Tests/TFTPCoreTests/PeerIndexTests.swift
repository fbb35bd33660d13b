import Simulation
import Testing

@testable import TFTPCore

/// The index against a dictionary. Few peers and many sockets, so that clusters are long.
@Suite struct PeerIndexTests {
    static let capacity = 64

    @Test(arguments: 0..<32 as Range<UInt64>)
    func theIndexFindsWhatADictionaryFinds(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        let flows = Column(repeating: Self.flow(0, 0, 0), count: Self.capacity)
        var index = PeerIndex(capacity: Self.capacity, seed: random.next())
        var model: [Key: Int] = [:]
        var free = Array(0..<Self.capacity)
        for _ in 0..<2000 {
            let key = Key(using: &random)
            if let slot = model[key] {
                index.remove(slot, in: flows)
                model[key] = nil
                free.append(slot)
            } else if let slot = free.popLast() {
                flows[slot] = key.flow
                index.insert(slot, in: flows)
                model[key] = slot
            }
            check(index, flows, model, Key(using: &random))
        }
    }

    /// Taking everything out leaves nothing behind, whatever the order.
    @Test(arguments: 0..<16 as Range<UInt64>)
    func anIndexThatWasEmptiedFindsNothing(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        let flows = Column(repeating: Self.flow(0, 0, 0), count: Self.capacity)
        var index = PeerIndex(capacity: Self.capacity, seed: seed)
        var slots = Array(0..<Self.capacity)
        for slot in slots {
            flows[slot] = Self.flow(slot % 5, 2000, slot / 5)
            index.insert(slot, in: flows)
        }
        while !slots.isEmpty {
            let slot = slots.remove(at: random.below(slots.count))
            index.remove(slot, in: flows)
            #expect(index.find(flows[slot], in: flows) == nil)
            for other in slots { #expect(index.find(flows[other], in: flows) == other) }
        }
    }

    struct Key: Hashable {
        var host: Int
        var port: Int
        var socket: Int

        init(using random: inout SimulationRandom) {
            host = random.below(3)
            port = 2000 + random.below(4)
            socket = random.below(8)
        }

        var flow: Flow { PeerIndexTests.flow(host, port, socket) }

        func hasSameParties(as other: Key) -> Bool { host == other.host && port == other.port }
    }

    static func flow(_ host: Int, _ port: Int, _ socket: Int) -> Flow {
        let peer = Endpoint(address: Address(ipv4: UInt32(host)), port: UInt16(port))
        return Flow(peer: peer, local: Address(ipv4: 0x0A00_0001), socket: UInt16(socket))
    }

    private func check(
        _ index: borrowing PeerIndex, _ flows: borrowing Column<Flow>, _ model: [Key: Int],
        _ key: Key
    ) {
        #expect(index.find(key.flow, in: flows) == model[key])
        var found: [Int] = []
        while let slot = index.findParties(of: key.flow, after: found.last, in: flows) {
            found.append(slot)
            guard found.count <= Self.capacity else { break }
        }
        let expected = model.filter { $0.key.hasSameParties(as: key) }.map(\.value)
        #expect(found.sorted() == expected.sorted())
    }
}
