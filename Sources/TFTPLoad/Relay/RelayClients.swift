internal import TFTPCore

/// The clients of the relay: a row for each, found by its endpoint.
///
/// Towards the server a client has one source of its own, identified by the number of its row.
/// Towards the client each TID of the server has a port of the relay, its *front*: front 0 is the
/// listening port and stands for the server's own; the others stand for the TIDs that have answered
/// this client, in turn, so that the oldest is replaced first. (Thirteen properties: columns.)
struct RelayClients: ~Copyable {
    /// The client, and the address of the relay that it sends to.
    struct Key: BitwiseCopyable, Equatable {
        var client: Endpoint
        var local: Address
    }

    private struct Row: BitwiseCopyable {
        var key: Key
        var seenAt: UInt64
        /// The front that the next new TID gets.
        var nextFront: UInt16
        var isUsed: Bool
        /// The neighbours in the order they were last seen; in a row without a client `newer` is
        /// the next free one.
        var older: UInt32
        var newer: UInt32
    }

    private static let none = UInt32.max

    let capacity: Int
    let frontCount: Int
    private let rows: Column<Row>
    /// The server's port behind each front of each row; 0 is none.
    private let ports: Column<UInt16>
    /// Row plus one; 0 is an empty place. Twice as many as rows, so that a walk is short.
    private let places: Column<UInt32>
    private let mask: Int
    private let seed: UInt64
    private let serverPort: UInt16
    private(set) var count = 0
    private var oldest = RelayClients.none
    private var newest = RelayClients.none
    /// Rows are reused in the order in which they were freed, so that a late answer to a client
    /// that left finds a free row.
    private var firstFree: UInt32 = 0
    private var lastFree: UInt32

    init(capacity: Int, frontCount: Int, serverPort: UInt16, seed: UInt64) {
        precondition(capacity > 0 && frontCount > 1)
        self.capacity = capacity
        self.frontCount = frontCount
        self.serverPort = serverPort
        self.seed = seed
        let unusedKey = Key(
            client: Endpoint(address: .unspecified, port: 0), local: .unspecified)
        rows = Column(
            repeating: Row(
                key: unusedKey, seenAt: 0, nextFront: 1, isUsed: false, older: RelayClients.none,
                newer: RelayClients.none), count: capacity)
        lastFree = UInt32(capacity - 1)
        ports = Column(repeating: 0, count: capacity * frontCount)
        var placeCount = 4
        while placeCount < 2 * capacity { placeCount *= 2 }
        places = Column(repeating: 0, count: placeCount)
        mask = placeCount - 1
        for row in 0..<(capacity - 1) { rows[row].newer = UInt32(row + 1) }
    }

    // MARK: Clients

    var isFull: Bool { count == capacity }

    func find(_ key: Key) -> Int? {
        var place = home(of: key)
        while places[place] != 0 {
            let row = Int(places[place]) - 1
            if rows[row].key == key { return row }
            place = (place + 1) & mask
        }
        return nil
    }

    func isUsed(_ row: Int) -> Bool { rows[row].isUsed }
    func key(of row: Int) -> Key { rows[row].key }

    /// A row for a client that has none. The table is not full.
    mutating func insert(_ key: Key, now: UInt64) -> Int {
        assert(!isFull)
        assert(find(key) == nil)
        let row = Int(firstFree)
        firstFree = rows[row].newer
        if firstFree == RelayClients.none { lastFree = RelayClients.none }
        rows[row] = Row(
            key: key, seenAt: now, nextFront: 1, isUsed: true, older: RelayClients.none,
            newer: RelayClients.none)
        for front in 1..<frontCount { ports[row * frontCount + front] = 0 }
        ports[row * frontCount] = serverPort
        var place = home(of: key)
        while places[place] != 0 { place = (place + 1) & mask }
        places[place] = UInt32(row + 1)
        linkNewest(row)
        count += 1
        return row
    }

    /// The client has been heard of.
    mutating func touch(_ row: Int, now: UInt64) {
        rows[row].seenAt = now
        guard newest != UInt32(row) else { return }
        unlink(row)
        linkNewest(row)
    }

    /// Whether the client that was silent for longest has been so since `time`.
    func hasIdle(since time: UInt64) -> Bool {
        oldest != RelayClients.none && rows[Int(oldest)].seenAt <= time
    }

    /// Forgets the client that was silent for longest.
    mutating func removeOldest() {
        assert(count > 0)
        let row = Int(oldest)
        removePlace(of: row)
        unlink(row)
        rows[row].isUsed = false
        rows[row].newer = RelayClients.none
        if lastFree != RelayClients.none {
            rows[Int(lastFree)].newer = UInt32(row)
        } else {
            firstFree = UInt32(row)
        }
        lastFree = UInt32(row)
        count -= 1
    }

    private mutating func linkNewest(_ row: Int) {
        rows[row].older = newest
        rows[row].newer = RelayClients.none
        if newest != RelayClients.none {
            rows[Int(newest)].newer = UInt32(row)
        } else {
            oldest = UInt32(row)
        }
        newest = UInt32(row)
    }

    private mutating func unlink(_ row: Int) {
        let (older, newer) = (rows[row].older, rows[row].newer)
        if older != RelayClients.none { rows[Int(older)].newer = newer } else { oldest = newer }
        if newer != RelayClients.none { rows[Int(newer)].older = older } else { newest = older }
    }

    /// Shifts back what stands behind it, so that there are no tombstones to sweep.
    private mutating func removePlace(of row: Int) {
        var hole = home(of: rows[row].key)
        while places[hole] != UInt32(row + 1) {
            assert(places[hole] != 0, "a row in use is found from its home place")
            hole = (hole + 1) & mask
        }
        var place = (hole + 1) & mask
        while places[place] != 0 {
            // An entry may move back to the hole unless its home lies between the two.
            let homePlace = home(of: rows[Int(places[place]) - 1].key)
            if (place - homePlace) & mask >= (place - hole) & mask {
                places[hole] = places[place]
                hole = place
            }
            place = (place + 1) & mask
        }
        places[hole] = 0
    }

    private func home(of key: Key) -> Int {
        let client = key.client.address
        let first = (client.low ^ seed ^ UInt64(key.client.port) << 48)
            .multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        let second = (first.high ^ first.low ^ client.high ^ key.local.low)
            .multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        return Int(truncatingIfNeeded: second.high ^ second.low) & mask
    }

    // MARK: TIDs

    /// The server's port behind `front` of a client; nil when none has answered through it.
    func serverPort(_ row: Int, front: Int) -> UInt16? {
        let port = ports[row * frontCount + front]
        return port == 0 ? nil : port
    }

    /// The front that stands for `port` of the server towards a client; a new one takes the place
    /// of the oldest.
    mutating func front(_ row: Int, serverPort port: UInt16) -> Int {
        let first = row * frontCount
        for front in 0..<frontCount where ports[first + front] == port { return front }
        let front = Int(rows[row].nextFront)
        rows[row].nextFront = UInt16(front + 1 < frontCount ? front + 1 : 1)
        ports[first + front] = port
        return front
    }
}
