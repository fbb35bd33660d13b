internal import TFTPCore
internal import TFTPServing
internal import TFTPStore
internal import TFTPWire

/// A shard's memory of what names mean: a table of sets of eight, from the name as it was asked to
/// those that are looked up.
///
/// It holds what rules have decided and nothing of files, which are looked up each time. A reload
/// makes it forget everything.
struct ShardNames: ~Copyable {
    private struct Entry: BitwiseCopyable {
        var client = Address.unspecified
        var kind = Fingerprint.other
        var mode = TransferMode.octet
        var askedByteCount: UInt8 = 0
        /// Which names counted; 0: the place is empty.
        var generation: UInt32 = 0
        var asked = InlineArray<128, UInt8>(repeating: 0)
        var places = NamePlaces()
    }

    /// What names counted at the beginning of this turn.
    private(set) var word: NameWord
    private let memory: NameMemory
    private let entries: Column<Entry>

    /// Which place of a full set is taken next.
    private var nextVictim = 0

    /// 2 MiB a shard where there are rules or a reload may bring some.
    private static let entriesMax = 4096
    /// With four, two in a hundred of a thousand names would displace each other all the time.
    private static let setCount = 8

    init(_ published: PublishedNames, _ memory: NameMemory, mayChange: Bool) {
        word = published.word
        self.memory = memory
        let isUsed = word.isActive || mayChange
        entries = Column(
            repeating: Entry(), count: isUsed ? ShardNames.entriesMax : ShardNames.setCount)
    }

    /// Whether names can mean anything but themselves.
    var isActive: Bool { word.isActive }

    /// Takes what a reload has changed.
    mutating func adopt(_ word: NameWord) { self.word = word }

    // MARK: Remembering

    /// Where what a name means can be; nil when that is not known here.
    func places(of request: PendingRequest, _ client: Address) -> NamePlaces? {
        let first = index(of: request, client)
        for place in first..<(first + ShardNames.setCount)
        where isSame(entries[place], request, client) {
            return entries[place].places
        }
        return nil
    }

    /// Takes what the resolver has found out about a pending request.
    mutating func learn(_ pending: UInt32, _ request: PendingRequest, _ client: Address) {
        guard isActive else { return }
        let resolution = unsafe memory.resolutions[Int(pending)]
        var entry = Entry()
        guard resolution.places.count > 0, resolution.generation == word.generation,
            request.name.byteCount <= entry.asked.count
        else { return }
        for index in 0..<request.name.byteCount { entry.asked[index] = request.name.storage[index] }
        entry.askedByteCount = UInt8(request.name.byteCount)
        entry.places = resolution.places
        entry.generation = resolution.generation
        entry.mode = request.mode
        if word.dependsOnClient { entry.client = client }
        if word.dependsOnKind { entry.kind = request.kind }
        let first = index(of: request, client)
        let places = first..<(first + ShardNames.setCount)
        let free = places.first {
            entries[$0].generation != word.generation || isSame(entries[$0], request, client)
        }
        nextVictim = (nextVictim + 1) % ShardNames.setCount
        entries[free ?? first + nextVictim] = entry
    }

    private func isSame(_ entry: Entry, _ request: PendingRequest, _ client: Address) -> Bool {
        guard entry.generation == word.generation,
            Int(entry.askedByteCount) == request.name.byteCount, entry.mode == request.mode
        else { return false }
        if word.dependsOnClient && entry.client != client { return false }
        if word.dependsOnKind && entry.kind != request.kind { return false }
        for index in 0..<request.name.byteCount
        where entry.asked[index] != request.name.storage[index] { return false }
        return true
    }

    private func index(of request: PendingRequest, _ client: Address) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<request.name.byteCount {
            hash = (hash ^ UInt64(request.name.storage[index])) &* 0x0100_0000_01B3
        }
        if word.dependsOnClient {
            hash = (hash ^ client.low ^ client.high) &* 0x0100_0000_01B3
        }
        // The last bytes of a name hardly reach the middle bits of FNV, so these are mixed once
        // more.
        let mixed = (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 40) & (entries.count - ShardNames.setCount)
    }
}
