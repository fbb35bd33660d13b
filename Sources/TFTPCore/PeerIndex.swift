/// Finds the slot of a flow: open addressing with linear probing over 32-bit places.
///
/// Flows between the same two parties hash alike whatever their socket, so they stand in one
/// cluster and a repeated request finds every transfer it may belong to in one walk. Twice as many
/// places as slots, so a walk is short; removal shifts back, so there are no tombstones to sweep.
///
/// The hash is seeded, so that a peer cannot choose its place by its port and address.
struct PeerIndex: ~Copyable {
    /// Slot plus one; 0 is an empty place.
    private let places: Column<UInt32>
    private let mask: Int
    private let seed: UInt64

    init(capacity: Int, seed: UInt64) {
        precondition(capacity > 0 && capacity <= Limits.transfersMax)
        let count = PeerIndex.placeCount(capacity: capacity)
        places = Column(repeating: 0, count: count)
        mask = count - 1
        self.seed = seed
    }

    /// The power of two at or above twice `capacity`.
    static func placeCount(capacity: Int) -> Int {
        var count = 4
        while count < 2 * capacity { count *= 2 }
        return count
    }

    func find(_ flow: Flow, in flows: borrowing Column<Flow>) -> Int? {
        var place = home(of: flow)
        while places[place] != 0 {
            let slot = Int(places[place]) - 1
            if flows[slot].isSame(as: flow) { return slot }
            place = (place + 1) & mask
        }
        return nil
    }

    /// The first slot after `previous`, in the order of the walk, whose flow is between the same
    /// parties.
    func findParties(
        of flow: Flow, after previous: Int?, in flows: borrowing Column<Flow>
    ) -> Int? {
        var place = home(of: flow)
        var passed = previous == nil
        while places[place] != 0 {
            let slot = Int(places[place]) - 1
            if passed && flows[slot].hasSameParties(as: flow) { return slot }
            if slot == previous { passed = true }
            place = (place + 1) & mask
        }
        return nil
    }

    mutating func insert(_ slot: Int, in flows: borrowing Column<Flow>) {
        assert(find(flows[slot], in: flows) == nil)
        var place = home(of: flows[slot])
        while places[place] != 0 { place = (place + 1) & mask }
        places[place] = UInt32(slot + 1)
    }

    mutating func remove(_ slot: Int, in flows: borrowing Column<Flow>) {
        var hole = home(of: flows[slot])
        while places[hole] != UInt32(slot + 1) {
            assert(places[hole] != 0, "an indexed slot is found from its home place")
            hole = (hole + 1) & mask
        }
        var place = (hole + 1) & mask
        while places[place] != 0 {
            // An entry may move back to the hole unless its home lies between the two.
            let homePlace = home(of: flows[Int(places[place]) - 1])
            if (place - homePlace) & mask >= (place - hole) & mask {
                places[hole] = places[place]
                hole = place
            }
            place = (place + 1) & mask
        }
        places[hole] = 0
    }

    /// Two rounds of multiply and fold, as wyhash does it.
    private func home(of flow: Flow) -> Int {
        let first = (flow.peerAddress.low ^ seed ^ UInt64(flow.peerPort) &<< 48)
            .multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        let mixed = first.high ^ first.low ^ flow.peerAddress.high
        let second = mixed.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return Int(truncatingIfNeeded: second.high ^ second.low) & mask
    }
}
