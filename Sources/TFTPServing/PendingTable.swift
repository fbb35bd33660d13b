internal import TFTPCore
internal import TFTPStore
internal import TFTPWire

/// Requests by place: one that is being judged, and those that wait for an answer. A request is
/// written once and read where it lies, because with its name it has more than 1 KiB.
struct PendingTable: ~Copyable {
    private let memory: ServingMemory
    private var free: FreeList
    /// The place of the request that came last, from its datagram to the answer of looking for its
    /// name at once. The store does not see it.
    let current: UInt32

    init(_ memory: ServingMemory) {
        self.memory = memory
        free = FreeList(count: memory.pendingsMax)
        current = UInt32(memory.pendingsMax)
        unsafe (memory.pendings + memory.pendingsMax).initialize(to: PendingRequest())
    }

    /// Puts the current request where the store can read it; nil when no place is free.
    mutating func keepCurrent() -> UInt32? {
        guard let place = free.take() else { return nil }
        // Two places, both within the memory: no free place is the current one.
        unsafe (memory.pendings + Int(place)).initialize(
            from: memory.pendings + Int(current), count: 1)
        return place
    }

    /// The store has answered: the place is free, and keeps its request until the step ends.
    mutating func give(_ place: UInt32) { free.give(place) }

    /// Whether no request waits.
    var isUnused: Bool { free.count == free.capacity }

    /// Where the current request lies.
    @unsafe
    var currentAddress: UnsafePointer<PendingRequest> {
        unsafe UnsafePointer(memory.pendings + Int(current))
    }

    // An address, for the reason that `Column` has one.
    subscript(place: UInt32) -> PendingRequest {
        @inline(__always)
        unsafeAddress {
            // In bounds: a place is the current one, or is or was taken from the list.
            unsafe UnsafePointer(memory.pendings + Int(place))
        }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe memory.pendings + Int(place) }
    }
}
