package import TFTPCore

/// How many bytes may be uploaded in a period: by each client, by each network (/24 of IPv4, /56 of
/// IPv6), and by all together; nil: any number.
package struct UploadQuotaLimits: Hashable, Sendable {
    /// By one client.
    package var clientByteCountMax: UInt64?
    /// By one network.
    package var networkByteCountMax: UInt64?
    /// By all clients together.
    package var byteCountMax: UInt64?
    /// How long a period is. It begins with the first upload after the last one.
    package var periodNanoseconds: UInt64 = 86_400_000_000_000

    package init() {}

    /// Whether nothing is limited.
    package var isOpen: Bool {
        clientByteCountMax == nil && networkByteCountMax == nil && byteCountMax == nil
    }
}

/// The quotas of uploads, and what has been taken of them. Sans-IO.
///
/// The thread of the store owns it, because that sees the uploads of all shards. What an upload
/// brings is taken as it is written, and given back if the upload does not become a file. So what
/// uploads have made in a period, and what is under way, is never more than the quota.
///
/// Memory is fixed: 384 KiB, or nothing where no quota is set. Where more clients and networks
/// upload in a period than there are places, the one that has taken the least is forgotten.
package struct UploadQuota: ~Copyable {
    /// What one upload has taken.
    package struct Charge: Sendable {
        package let client: Address
        package fileprivate(set) var byteCount: UInt64 = 0
        /// When it took the first byte, in nanoseconds.
        fileprivate var time: UInt64 = 0

        package init(client: Address) { self.client = client }
    }

    private struct Account: BitwiseCopyable {
        /// 0: free.
        var key: UInt64 = 0
        /// When its period began, in nanoseconds.
        var begunAt: UInt64 = 0
        var byteCount: UInt64 = 0
    }

    private let limits: UploadQuotaLimits
    /// The first one is that of all clients.
    private let accounts: Column<Account>
    private let seed: UInt64

    private static let accountsMax = 16_384
    private static let walkMax = 16

    /// - Parameter seed: random, so that clients cannot choose their places.
    package init(_ limits: UploadQuotaLimits, seed: UInt64) {
        self.limits = limits
        self.seed = seed
        accounts = Column(
            repeating: Account(), count: limits.isOpen ? 0 : UploadQuota.accountsMax + 1)
    }

    /// Whether anything is limited.
    package var isActive: Bool { !limits.isOpen }

    /// Whether an upload of `byteCount` bytes may begin; 0 where the client does not say.
    package func admits(_ client: Address, byteCount: UInt64, now: UInt64) -> Bool {
        guard isActive else { return true }
        let count = max(1, byteCount)
        let own = find(client.clientKey(seed: seed))
        let network = find(ReplyBudget.key(of: client))
        return leaves(own, count, limits.clientByteCountMax, now)
            && leaves(network, count, limits.networkByteCountMax, now)
            && leaves(0, count, limits.byteCountMax, now)
    }

    /// Takes `byteCount` bytes of an upload from its quotas. False, and takes nothing, where one of
    /// them has less.
    package func take(_ byteCount: Int, _ charge: inout Charge, now: UInt64) -> Bool {
        guard isActive else { return true }
        let count = UInt64(byteCount)
        guard admits(charge.client, byteCount: count, now: now) else { return false }
        var taken: Int?
        if limits.clientByteCountMax != nil {
            taken = place(of: charge.client.clientKey(seed: seed), besides: nil, now)
            add(count, taken, now)
        }
        if limits.networkByteCountMax != nil {
            add(count, place(of: ReplyBudget.key(of: charge.client), besides: taken, now), now)
        }
        if limits.byteCountMax != nil { add(count, 0, now) }
        if charge.byteCount == 0 { charge.time = now }
        charge.byteCount += count
        return true
    }

    /// The upload does not become a file. What was taken in a period that has ended is not given
    /// back to the next one.
    package func giveBack(_ charge: Charge) {
        guard isActive else { return }
        giveBack(charge, find(charge.client.clientKey(seed: seed)))
        giveBack(charge, find(ReplyBudget.key(of: charge.client)))
        giveBack(charge, 0)
    }

    private func giveBack(_ charge: Charge, _ place: Int?) {
        guard let place, accounts[place].begunAt <= charge.time else { return }
        accounts[place].byteCount -= min(charge.byteCount, accounts[place].byteCount)
    }

    // MARK: Accounts

    private func leaves(_ place: Int?, _ count: UInt64, _ most: UInt64?, _ now: UInt64) -> Bool {
        guard let most else { return true }
        guard let place, !isOver(place, now) else { return count <= most }
        return accounts[place].byteCount <= most && count <= most - accounts[place].byteCount
    }

    private func add(_ count: UInt64, _ place: Int?, _ now: UInt64) {
        guard let place else { return }
        if isOver(place, now) { (accounts[place].begunAt, accounts[place].byteCount) = (now, 0) }
        accounts[place].byteCount += count
    }

    /// Whether the next byte begins a new period.
    private func isOver(_ place: Int, _ now: UInt64) -> Bool {
        accounts[place].byteCount == 0
            || now &- accounts[place].begunAt >= limits.periodNanoseconds
    }

    private func walk(_ key: UInt64) -> Int {
        let mixed = (key ^ seed).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return Int(truncatingIfNeeded: (mixed.high ^ mixed.low) >> 2)
    }

    private func find(_ key: UInt64) -> Int? {
        let first = walk(key)
        for step in 0..<UploadQuota.walkMax {
            let place = 1 + (first + step) % UploadQuota.accountsMax
            if accounts[place].key == key { return place }
        }
        return nil
    }

    /// The place of `key`, which may be that of another account that has taken the least.
    private func place(of key: UInt64, besides kept: Int?, _ now: UInt64) -> Int {
        if let place = find(key) { return place }
        let first = walk(key)
        var best: Int?
        for step in 0..<UploadQuota.walkMax {
            let place = 1 + (first + step) % UploadQuota.accountsMax
            guard place != kept else { continue }
            if best.map({ taken(place, now) < taken($0, now) }) ?? true { best = place }
        }
        let place = best ?? 1 + first % UploadQuota.accountsMax
        accounts[place] = Account(key: key, begunAt: now, byteCount: 0)
        return place
    }

    private func taken(_ place: Int, _ now: UInt64) -> UInt64 {
        isOver(place, now) ? 0 : accounts[place].byteCount
    }
}
