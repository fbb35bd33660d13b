import TFTPWire
import Testing

@testable import TFTPCore

@Suite struct RunQueueTests {
    /// A table of four transfers, and the queue of transfers that wait for a visit.
    private struct World: ~Copyable {
        var table = TransferTable(capacity: 4, seed: 1, now: 1 << 40)
        var queue = RunQueue(capacity: 4)
        private var nextPort: UInt16 = 2000

        mutating func open() -> Int {
            nextPort += 1
            let peer = Endpoint(address: Download.address, port: nextPort)
            let flow = Flow(peer: peer, local: Download.address, socket: 1)
            return table.open(flow, opcode: .rrq, requestHash: 1, now: 1 << 40)!
        }

        mutating func append(_ slot: Int) { queue.append(slot, from: table) }

        /// All transfers that are visited, in order.
        mutating func visits() -> [Int] {
            var slots: [Int] = []
            while let slot = queue.popFirst(from: table) { slots.append(slot) }
            return slots
        }
    }

    @Test func firstComeFirstServed() {
        var world = World()
        let slots = [world.open(), world.open(), world.open()]
        for slot in [slots[2], slots[0], slots[1]] { world.append(slot) }
        let visits = world.visits()
        #expect(visits == [slots[2], slots[0], slots[1]])
    }

    @Test func whoEndedIsSkippedAndTheNextInItsSlotIsNot() {
        var world = World()
        let ended = world.open()
        let other = world.open()
        world.append(ended)
        world.append(other)
        world.table.release(ended)
        let successor = world.open()
        #expect(successor == ended)
        world.append(successor)
        let visits = world.visits()
        #expect(visits == [other, successor])
    }

    @Test func whoEndedTakesNoRoomForEver() {
        var world = World()
        let patient = world.open()
        world.append(patient)
        // Far more than the queue has room for, with no visit in between.
        for _ in 0..<100 {
            let slot = world.open()
            world.append(slot)
            world.table.release(slot)
        }
        let last = world.open()
        world.append(last)
        let visits = world.visits()
        #expect(visits == [patient, last])
    }
}
