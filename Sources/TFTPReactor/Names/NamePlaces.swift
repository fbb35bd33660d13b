internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// Where files of one name can be, in order: names and the folders that they are looked for in.
struct NamePlaces: BitwiseCopyable {
    private(set) var count = 0
    private var trees = InlineArray<4, Int32>(repeating: 0)
    /// Where each name ends in `bytes`.
    private var ends = InlineArray<4, Int32>(repeating: 0)
    private var bytes = InlineArray<320, UInt8>(repeating: 0)

    /// More are not remembered.
    static let countMax = 4

    init() {}

    /// None where these are too many, or too long.
    init(_ places: [NameWalk.Place]) {
        guard places.count <= NamePlaces.countMax else { return }
        for place in places where !append(place) {
            count = 0
            return
        }
    }

    private mutating func append(_ place: NameWalk.Place) -> Bool {
        let begin = count > 0 ? Int(ends[count - 1]) : 0
        let end = begin + place.name.byteCount
        guard end <= bytes.count else { return false }
        for index in begin..<end { bytes[index] = place.name.storage[index - begin] }
        trees[count] = Int32(place.tree)
        ends[count] = Int32(end)
        count += 1
        return true
    }

    func tree(_ number: Int) -> Int { Int(trees[number]) }

    func name(_ number: Int) -> FileName? {
        let begin = number > 0 ? Int(ends[number - 1]) : 0
        // UInt8 has no padding, so every byte of the array is initialised.
        let name = unsafe bytes.span.bytes.extracting(begin..<Int(ends[number]))
        return try? FileName(literal: name)
    }
}

/// What the resolver has found out about a pending request, beside the request itself in memory
/// that both threads see: the store thread writes it before it answers.
struct NameResolution: BitwiseCopyable {
    /// Where files of the name can be, for every client that asks in the same way and whatever
    /// files there are; none where that may change.
    var places = NamePlaces()
    /// Which names counted when it was found out.
    var generation: UInt32

    init(_ places: [NameWalk.Place], generation: UInt32) {
        self.places = NamePlaces(places)
        self.generation = generation
    }
}

/// What the resolver shares with a shard: a place for each pending request.
///
/// @safe: allocated by the reactor, which destroys it after all threads have ended.
@safe
struct NameMemory: @unchecked Sendable {
    let resolutions: UnsafeMutablePointer<NameResolution>

    init(pendingsMax: Int) { unsafe resolutions = .allocate(capacity: pendingsMax) }

    func destroy() { unsafe resolutions.deallocate() }
}
