package import TFTPCore

/// Permits clients by source network: all but those denied; if any are allowed, only those.
package struct AccessList: Hashable, Sendable {
    /// Empty: everyone.
    package var allowed: [Network]
    /// Stronger than `allowed`.
    package var denied: [Network]

    package init(allowed: [Network] = [], denied: [Network] = []) {
        self.allowed = allowed
        self.denied = denied
    }

    /// Whether every address is permitted.
    package var isOpen: Bool { allowed.isEmpty && denied.isEmpty }
}

/// What one client, or all clients of one network (/24 of IPv4, /56 of IPv6), may have of a shard's
/// server; nil: as much as there is.
package struct RequestLimits: Hashable, Sendable {
    /// Transfers at once.
    package var transfersMax: Int?
    /// Transfers that begin in a second.
    package var transfersPerSecond: Int?
    /// Bytes of DATA that are sent in a second, by whole blocks.
    package var bytesPerSecond: Int?

    package init(
        transfersMax: Int? = nil, transfersPerSecond: Int? = nil, bytesPerSecond: Int? = nil
    ) {
        self.transfersMax = transfersMax
        self.transfersPerSecond = transfersPerSecond
        self.bytesPerSecond = bytesPerSecond
    }

    /// Whether nothing is limited.
    package var isOpen: Bool {
        transfersMax == nil && transfersPerSecond == nil && bytesPerSecond == nil
    }
}

/// The access lists of one shard, and the clients that it has told of a refusal.
struct AccessTable: ~Copyable {
    private let readAllowed: Column<Network>
    private let readDenied: Column<Network>
    private let writeAllowed: Column<Network>
    private let writeDenied: Column<Network>
    /// By a hash of the address, in seconds: when it was told; 0: never.
    private let told: Column<UInt32>

    private static let toldCount = 8192
    /// A client is told of a refusal once in this time.
    private static let toldSeconds: UInt32 = 60

    init(read: AccessList, write: AccessList) {
        readAllowed = Column(read.allowed)
        readDenied = Column(read.denied)
        writeAllowed = Column(write.allowed)
        writeDenied = Column(write.denied)
        told = Column(repeating: 0, count: AccessTable.toldCount)
    }

    func permits(_ address: Address, isUpload: Bool) -> Bool {
        isUpload
            ? AccessTable.permits(address, writeAllowed, writeDenied)
            : AccessTable.permits(address, readAllowed, readDenied)
    }

    private static func permits(
        _ address: Address, _ allowed: borrowing Column<Network>,
        _ denied: borrowing Column<Network>
    ) -> Bool {
        if contains(address, denied) { return false }
        return allowed.count == 0 || contains(address, allowed)
    }

    private static func contains(
        _ address: Address, _ networks: borrowing Column<Network>
    ) -> Bool {
        for index in 0..<networks.count where networks[index].contains(address) { return true }
        return false
    }

    /// Whether this client is to be told no: once in a while, and it is silence after.
    mutating func tells(_ address: Address, now: UInt64) -> Bool {
        let seconds = UInt32(truncatingIfNeeded: now / 1_000_000_000) | 1
        let mixed = (address.high ^ address.low).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        let place = Int(truncatingIfNeeded: mixed.high ^ mixed.low) & (AccessTable.toldCount - 1)
        let toldAt = told[place]
        guard toldAt == 0 || seconds &- toldAt >= AccessTable.toldSeconds else { return false }
        told[place] = seconds
        return true
    }
}

/// How many transfers each client and each network has, and how many bytes it is sent in a second,
/// where that is limited.
///
/// Memory: nothing where no limit is set, else 40 bytes for four places a slot of the transfer
/// table.
struct LimitTable: ~Copyable {
    struct Entry: BitwiseCopyable {
        /// 0: free.
        var key: UInt64 = 0
        /// When the bytes that are reserved have gone out, in nanoseconds.
        var reserved = ByteQueue()
        /// When the latest client that has proven nothing may reserve.
        var turns = ByteQueue()
        /// Milliseconds of the latest look.
        var lookedAt: UInt32 = 0
        var activeCount: UInt32 = 0
        /// Thousandths of a transfer that may begin.
        var startsLeft: Int32 = 0
    }

    let clients: RequestLimits
    let networks: RequestLimits
    let entries: Column<Entry>
    private let seed: UInt64
    private static let walkMax = 16

    init(clients: RequestLimits, networks: RequestLimits, transfersMax: Int, seed: UInt64) {
        self.clients = clients
        self.networks = networks
        self.seed = seed
        var count = clients.isOpen && networks.isOpen ? 0 : 64
        while count > 0 && count < 4 * transfersMax { count *= 2 }
        entries = Column(repeating: Entry(), count: count)
    }

    /// Whether anything is limited.
    var isActive: Bool { entries.count > 0 }

    /// Counts a transfer of this client in, unless that is beyond a limit.
    mutating func begin(_ address: Address, now: UInt64) -> Bool {
        guard isActive else { return true }
        let now = UInt32(truncatingIfNeeded: now / 1_000_000)
        let client = place(of: clientKey(of: address), clients, now)
        guard mayBegin(client, clients) else { return false }
        // Counted in before its network takes a place, which must not be this one.
        count(client)
        let network = place(of: ReplyBudget.key(of: address), networks, now)
        guard mayBegin(network, networks) else {
            uncount(client)
            return false
        }
        count(network)
        return true
    }

    private func uncount(_ place: Int?) {
        guard let place else { return }
        entries[place].activeCount -= 1
        entries[place].startsLeft += 1000
    }

    private func count(_ place: Int?) {
        guard let place else { return }
        entries[place].activeCount += 1
        entries[place].startsLeft = max(-1_000_000, entries[place].startsLeft - 1000)
    }

    /// A transfer that `begin` has counted in has ended.
    mutating func end(_ address: Address) {
        guard isActive else { return }
        leave(clientKey(of: address))
        leave(ReplyBudget.key(of: address))
    }

    private func leave(_ key: UInt64) {
        guard let place = find(key), entries[place].activeCount > 0 else { return }
        entries[place].activeCount -= 1
    }

    private func mayBegin(_ place: Int?, _ limits: RequestLimits) -> Bool {
        guard let place, !limits.isOpen else { return true }
        if let most = limits.transfersMax, entries[place].activeCount >= most { return false }
        return limits.transfersPerSecond == nil || entries[place].startsLeft >= 1000
    }

    // MARK: Places

    func clientKey(of address: Address) -> UInt64 { address.clientKey(seed: seed) }

    private func first(_ key: UInt64) -> Int {
        let mixed = (key ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return Int(truncatingIfNeeded: mixed.high ^ mixed.low)
    }

    func find(_ key: UInt64) -> Int? {
        let first = first(key)
        for step in 0..<LimitTable.walkMax {
            let place = (first &+ step) & (entries.count - 1)
            if entries[place].key == key { return place }
        }
        return nil
    }

    /// The place of `key`, refilled; nil when all that it might have hold running transfers of
    /// others.
    private mutating func place(of key: UInt64, _ limits: RequestLimits, _ now: UInt32) -> Int? {
        guard let place = find(key) else { return take(key, limits, now) }
        let elapsed = Int(min(now &- entries[place].lookedAt, 60_000))
        // Looked at, so that clients that rest make way before it.
        entries[place].lookedAt = now
        guard let perSecond = limits.transfersPerSecond else { return place }
        let left = Int(entries[place].startsLeft) + elapsed * perSecond
        entries[place].startsLeft = Int32(min(LimitTable.startsMax(limits), left))
        return place
    }

    private mutating func take(_ key: UInt64, _ limits: RequestLimits, _ now: UInt32) -> Int? {
        let first = first(key)
        var oldest: Int?
        for step in 0..<LimitTable.walkMax {
            let place = (first &+ step) & (entries.count - 1)
            guard entries[place].activeCount == 0 else { continue }
            guard let best = oldest else {
                oldest = place
                continue
            }
            if rest(of: place, now) > rest(of: best, now) { oldest = place }
        }
        guard let oldest else { return nil }
        entries[oldest] = Entry(
            key: key, lookedAt: now, activeCount: 0,
            startsLeft: Int32(LimitTable.startsMax(limits)))
        return oldest
    }

    /// Thousandths of a transfer that may be saved up.
    private static func startsMax(_ limits: RequestLimits) -> Int {
        1000 * min(limits.transfersPerSecond ?? 1_000_000, 1_000_000)
    }

    private func rest(of place: Int, _ now: UInt32) -> UInt32 {
        entries[place].key == 0 ? .max : now &- entries[place].lookedAt
    }
}
