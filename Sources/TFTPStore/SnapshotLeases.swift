package import TFTPCore

/// Which snapshot each client boots from: an address that has asked keeps its snapshot until it has
/// been silent for the time of a hold. Sans-IO; snapshots are numbers that its owner gives.
///
/// Addresses, not endpoints: every stage of a boot asks from other ports. How many are held is
/// bounded. When all places are taken by holds that are live, newcomers share one more hold, the
/// *crowd's*: they get the snapshot that it began with, and each of them renews it. So a full table
/// delays a new snapshot for newcomers, and no client ever gets two.
///
/// Promise: two requests of one address that are less than a hold apart get the same snapshot.
///
/// Invariants: holds stand in the order of their deadlines, which is the order of their last
/// requests because all last equally long; `holderCount` of a snapshot is the number of its holds,
/// the crowd's among them.
package struct SnapshotLeases: ~Copyable {
    private struct Hold: BitwiseCopyable {
        var address: Address
        var deadline: UInt64
        var snapshot: Int
        /// Places of the neighbours in the order of deadlines; of a free place, `next` is another
        /// free one.
        var previous: Int
        var next: Int
    }

    private struct Crowd {
        var snapshot: Int
        var deadline: UInt64
    }

    package let nanoseconds: UInt64
    private let holds: Column<Hold>
    private let holderCounts: Column<Int>
    private var places: [Address: Int] = [:]
    private var crowd: Crowd?
    private var oldest = SnapshotLeases.nowhere
    private var newest = SnapshotLeases.nowhere
    private var free: Int
    private var lastNow: UInt64 = 0

    private static let nowhere = -1
    /// How many that have run out are let go at each request: more than one comes with it, so none
    /// pile up.
    private static let expiriesPerRequest = 4

    /// - Parameters:
    ///   - nanoseconds: how long an address may be silent before it gets another snapshot.
    ///   - capacity: leases at once, without the crowd.
    ///   - snapshotsMax: snapshots are numbered from 0 to below this.
    package init(nanoseconds: UInt64, capacity: Int, snapshotsMax: Int) {
        precondition(nanoseconds > 0 && capacity > 0 && snapshotsMax > 0)
        self.nanoseconds = nanoseconds
        let empty = Hold(
            address: .unspecified, deadline: 0, snapshot: 0, previous: SnapshotLeases.nowhere,
            next: SnapshotLeases.nowhere)
        holds = Column(repeating: empty, count: capacity)
        free = 0
        holderCounts = Column(repeating: 0, count: snapshotsMax)
        places.reserveCapacity(capacity)
        for place in 0..<(capacity - 1) { holds[place].next = place + 1 }
    }

    package var capacity: Int { holds.count }

    /// Leases, including expired ones that have not been swept yet.
    package var count: Int { places.count }

    /// How many hold `snapshot`; the crowd counts as one.
    package func holderCount(of snapshot: Int) -> Int { holderCounts[snapshot] }

    /// The snapshot that `address` has to get, which it holds from now on; nil when it may get any,
    /// and then `take` has to follow.
    ///
    /// - Parameter now: nanoseconds that never go back.
    package mutating func renew(_ address: Address, now: UInt64) -> Int? {
        note(now)
        expire(now: now, max: SnapshotLeases.expiriesPerRequest)
        if let place = places[address] {
            if holds[place].deadline > now {
                unlink(place)
                link(place, until: now + nanoseconds)
                return holds[place].snapshot
            }
            remove(place)
        }
        guard let crowd, crowd.deadline > now else { return nil }
        hold(crowd.snapshot, for: address, now)
        return crowd.snapshot
    }

    /// Lets `address`, which `renew` has just said may get any, hold `snapshot`.
    package mutating func take(_ snapshot: Int, for address: Address, now: UInt64) {
        note(now)
        assert(places[address] == nil)
        assert(crowd.map { $0.deadline <= now } ?? true)
        hold(snapshot, for: address, now)
    }

    /// Lets go of holds that have run out, the oldest first, `max` at most.
    package mutating func expire(now: UInt64, max: Int) {
        note(now)
        if let crowd, crowd.deadline <= now { setCrowd(nil) }
        var left = max
        while left > 0, oldest != SnapshotLeases.nowhere, holds[oldest].deadline <= now {
            remove(oldest)
            left -= 1
        }
    }

    private mutating func note(_ now: UInt64) {
        assert(now >= lastNow)
        lastNow = now
    }

    private mutating func hold(_ snapshot: Int, for address: Address, _ now: UInt64) {
        guard free != SnapshotLeases.nowhere else {
            return setCrowd(Crowd(snapshot: snapshot, deadline: now + nanoseconds))
        }
        let place = free
        free = holds[place].next
        holds[place].address = address
        holds[place].snapshot = snapshot
        places[address] = place
        holderCounts[snapshot] += 1
        link(place, until: now + nanoseconds)
    }

    private mutating func setCrowd(_ new: Crowd?) {
        if let crowd { holderCounts[crowd.snapshot] -= 1 }
        if let new { holderCounts[new.snapshot] += 1 }
        crowd = new
    }

    private mutating func remove(_ place: Int) {
        unlink(place)
        places[holds[place].address] = nil
        holderCounts[holds[place].snapshot] -= 1
        holds[place].next = free
        free = place
    }

    // MARK: The order of deadlines

    private mutating func link(_ place: Int, until deadline: UInt64) {
        holds[place].deadline = deadline
        holds[place].previous = newest
        holds[place].next = SnapshotLeases.nowhere
        if newest == SnapshotLeases.nowhere { oldest = place } else { holds[newest].next = place }
        newest = place
    }

    private mutating func unlink(_ place: Int) {
        let (previous, next) = (holds[place].previous, holds[place].next)
        if previous == SnapshotLeases.nowhere { oldest = next } else { holds[previous].next = next }
        if next == SnapshotLeases.nowhere {
            newest = previous
        } else {
            holds[next].previous = previous
        }
    }
}
