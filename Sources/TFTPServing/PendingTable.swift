internal import TFTPCore
internal import TFTPStore
internal import TFTPWire

/// Requests that wait for an answer, and which places for them are free.
struct PendingTable: ~Copyable {
    private let memory: ServingMemory
    private var free: FreeList
    private let lookedMemory = Column<PendingRequest>(uninitializedCount: 1)

    init(_ memory: ServingMemory) {
        self.memory = memory
        free = FreeList(count: memory.pendingsMax)
    }

    /// Puts `request` where the store can read it; nil when no place is free.
    mutating func take(_ request: PendingRequest) -> UInt32? {
        guard let place = free.take() else { return nil }
        unsafe (memory.pendings + Int(place)).initialize(to: request)
        return place
    }

    /// The store has answered: its request, whose place is free from now on.
    mutating func give(_ place: UInt32) -> PendingRequest {
        free.give(place)
        return self[place]
    }

    /// Whether no request waits.
    var isUnused: Bool { free.count == free.capacity }

    /// The request whose name is being looked for at once, from `ServerEffect.look` to its answer.
    var looked: PendingRequest {
        get { lookedMemory[0] }
        nonmutating set { lookedMemory[0] = newValue }
    }

    subscript(place: UInt32) -> PendingRequest { unsafe memory.pendings[Int(place)] }
}
