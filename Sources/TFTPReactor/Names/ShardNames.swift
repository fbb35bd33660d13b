internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// The resolver's result for a pending request, kept in memory that both threads see, like the
/// request itself: the store thread writes it before it answers.
struct NameResolution: BitwiseCopyable {
    var name: FileName
    var tree: Int32
    /// The name has this meaning for every client that requests it in the same way, whatever files
    /// exist.
    var isLasting: Bool
}

/// What the resolver shares with a shard: a place for each pending request.
///
/// @safe: allocated by the reactor, which destroys it after all threads have ended.
@safe
struct NameMemory: @unchecked Sendable {
    let resolutions: UnsafeMutablePointer<NameResolution>

    init(pendingsMax: Int) { unsafe resolutions = .allocate(capacity: pendingsMax) }

    func destroy() {
        unsafe resolutions.deallocate()
    }
}

/// A shard's memory of what names mean: a table of sets of four, from the name as it was asked to
/// the one that is looked up.
///
/// It holds what rules have decided and nothing of files, which are looked up each time.
@safe
struct ShardNames: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var client = Address.unspecified
        var kind = Fingerprint.other
        var mode = TransferMode.octet
        /// 0: the place is empty.
        var askedByteCount: UInt8 = 0
        var foundByteCount: UInt8 = 0
        var tree: Int32 = 0
        var asked = InlineArray<128, UInt8>(repeating: 0)
        var found = InlineArray<192, UInt8>(repeating: 0)
    }

    /// Whether names can mean anything but themselves.
    let isActive: Bool
    private let dependsOnClient: Bool
    private let memory: NameMemory?
    private let entries: Column<Entry>

    /// Which place of a full set is taken next.
    private var nextVictim = 0

    /// 1.5 MiB a shard where there are rules.
    private static let entriesMax = 4096
    private static let setCount = 4

    init(_ resolver: NameResolver?, _ memory: NameMemory?) {
        isActive = resolver?.plan.isActive ?? false
        dependsOnClient = resolver?.plan.dependencies.contains(.client) ?? false
        self.memory = memory
        entries = Column(
            repeating: Entry(), count: isActive ? ShardNames.entriesMax : ShardNames.setCount)
    }

    // MARK: Remembering

    /// What a name means; nil when that is not known here.
    func meaning(of request: PendingRequest, _ client: Address) -> (name: FileName, tree: Int32)? {
        let first = index(of: request, client)
        var place = first
        while !isSame(entries[place], request, client) {
            place += 1
            guard place < first + ShardNames.setCount else { return nil }
        }
        let entry = entries[place]
        // UInt8 has no padding, so every byte of the array is initialised.
        let bytes = unsafe entry.found.span.bytes.extracting(first: Int(entry.foundByteCount))
        guard let name = try? FileName(literal: bytes) else { return nil }
        return (name, entry.tree)
    }

    /// Takes what the resolver has found out about a pending request.
    mutating func learn(_ pending: UInt32, _ request: PendingRequest, _ client: Address) {
        guard isActive, let memory else { return }
        let resolution = unsafe memory.resolutions[Int(pending)]
        guard resolution.isLasting else { return }
        var entry = Entry()
        guard request.name.byteCount <= entry.asked.count,
            resolution.name.byteCount <= entry.found.count
        else { return }
        for index in 0..<request.name.byteCount { entry.asked[index] = request.name.storage[index] }
        for index in 0..<resolution.name.byteCount {
            entry.found[index] = resolution.name.storage[index]
        }
        entry.askedByteCount = UInt8(request.name.byteCount)
        entry.foundByteCount = UInt8(resolution.name.byteCount)
        entry.tree = resolution.tree
        entry.mode = request.mode
        if dependsOnClient {
            entry.client = client
            entry.kind = Fingerprint(request.options)
        }
        let first = index(of: request, client)
        let places = first..<(first + ShardNames.setCount)
        let free = places.first {
            entries[$0].askedByteCount == 0 || isSame(entries[$0], request, client)
        }
        nextVictim = (nextVictim + 1) % ShardNames.setCount
        entries[free ?? first + nextVictim] = entry
    }

    private func isSame(_ entry: Entry, _ request: PendingRequest, _ client: Address) -> Bool {
        guard entry.askedByteCount > 0, Int(entry.askedByteCount) == request.name.byteCount,
            entry.mode == request.mode
        else { return false }
        if dependsOnClient {
            guard entry.client == client, entry.kind == Fingerprint(request.options) else {
                return false
            }
        }
        for index in 0..<request.name.byteCount
        where entry.asked[index] != request.name.storage[index] { return false }
        return true
    }

    private func index(of request: PendingRequest, _ client: Address) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<request.name.byteCount {
            hash = (hash ^ UInt64(request.name.storage[index])) &* 0x0100_0000_01B3
        }
        if dependsOnClient { hash = (hash ^ client.low ^ client.high) &* 0x0100_0000_01B3 }
        // The last bytes of a name hardly reach the middle bits of FNV, so these are mixed once
        // more.
        let mixed = (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 40) & (entries.count - ShardNames.setCount)
    }
}
