internal import Synchronization

/// Names an image while a transfer holds it; afterwards the generation no longer matches.
package struct ImageID: Hashable, BitwiseCopyable, Sendable {
    package var index: UInt32
    package var generation: UInt32

    package init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// The part of the image cache that every shard reads: which images there are, and where their
/// extents lie in the arena.
///
/// A value that points to shared memory. The store thread alone writes, but for two things a shard
/// does: it counts itself in and out of an image at a transfer's start and end, and marks an extent
/// as used once after the clock has passed it. The owner calls `destroy` after every thread that
/// uses a copy has ended.
///
/// Memory: 72 bytes an image, 8 bytes an extent.
@safe
package struct ImageIndex: @unchecked Sendable {
    @safe
    struct Header: ~Copyable {
        /// Generation in the upper half, holders in the lower.
        let state = Atomic<UInt64>(0)
        /// 0 while the content can be had whole; then a `StoreFailure`, plus one.
        let failure = Atomic<UInt8>(0)
        /// How much of a supplied image has come so far; meaningless for a file.
        let filledByteCount = Atomic<UInt64>(0)
        var identity = FileIdentity.none
        var extents: UnsafeMutablePointer<Atomic<UInt64>>?
        var extentCount = 0
    }

    /// Bytes of every extent but an image's last. A power of two, larger than any block.
    package static let extentByteCount = 1 << 20
    private static let touched: UInt64 = 1 << 63
    private static let holderMask: UInt64 = 0xFFFF_FFFF

    package let arena: UnsafeRawPointer
    package let imagesMax: Int
    private let headers: UnsafeMutablePointer<Header>

    /// - Parameter arena: memory the extents lie in; stays until after `destroy`.
    package init(arena: UnsafeRawPointer, imagesMax: Int) {
        unsafe self.arena = arena
        self.imagesMax = imagesMax
        unsafe headers = .allocate(capacity: imagesMax)
        for index in 0..<imagesMax { unsafe (headers + index).initialize(to: Header()) }
    }

    package func destroy() {
        for index in 0..<imagesMax { unsafe headers[index].extents?.deallocate() }
        unsafe headers.deinitialize(count: imagesMax)
        unsafe headers.deallocate()
    }

    // MARK: What shards do

    /// Holds the image, so that it stays; false when it is gone.
    package func retain(_ id: ImageID) -> Bool {
        let state = unsafe headers + Int(id.index)
        var current = unsafe state.pointee.state.load(ordering: .relaxed)
        while current >> 32 == UInt64(id.generation) {
            let (done, seen) = unsafe state.pointee.state.weakCompareExchange(
                expected: current, desired: current + 1, ordering: .acquiring)
            if done { return true }
            current = seen
        }
        return false
    }

    /// Lets go of an image that `retain`, or the store on this shard's behalf, has held.
    package func release(_ id: ImageID) {
        let before = unsafe headers[Int(id.index)].state.wrappingSubtract(
            1, ordering: .releasing
        ).oldValue
        assert(before & ImageIndex.holderMask > 0, "an image is released once for each hold")
    }

    /// Which version of which file a held image is.
    package func identity(of id: ImageID) -> FileIdentity {
        unsafe headers[Int(id.index)].identity
    }

    package func byteCount(of id: ImageID) -> UInt64 { identity(of: id).byteCount }

    /// Why the image cannot be had whole any more; nil while it can.
    package func failure(of id: ImageID) -> StoreFailure? {
        let word = unsafe headers[Int(id.index)].failure.load(ordering: .relaxed)
        return word == 0 ? nil : StoreFailure(rawValue: word - 1)
    }

    /// How many bytes of a supplied image are there, from its beginning on. What lies in an extent
    /// beyond them is not content yet.
    package func filledByteCount(of id: ImageID) -> UInt64 {
        unsafe headers[Int(id.index)].filledByteCount.load(ordering: .acquiring)
    }

    /// Where extent `number` of a held image begins, or nil when it has to be asked for.
    ///
    /// The memory stays until the caller's turn ends and what it queued has been submitted.
    package func extent(_ number: Int, of id: ImageID) -> UnsafeRawPointer? {
        guard let extents = unsafe headers[Int(id.index)].extents else { return nil }
        unsafe assert(number < headers[Int(id.index)].extentCount)
        // Ordered after the shard's own `noteTurn`: what was withdrawn before that is not seen any
        // more. A plain load on x86.
        let word = unsafe extents[number].load(ordering: .sequentiallyConsistent)
        guard word != 0 else { return nil }
        if word & ImageIndex.touched == 0 { touch(number, of: id, word) }
        return unsafe arena + Int((word & ~ImageIndex.touched) - 1)
    }

    /// Marks an extent as used. Fails harmlessly when the store has just taken it away.
    private func touch(_ number: Int, of id: ImageID, _ word: UInt64) {
        guard let extents = unsafe headers[Int(id.index)].extents else { return }
        _ = unsafe extents[number].compareExchange(
            expected: word, desired: word | ImageIndex.touched, ordering: .relaxed)
    }

    // MARK: What the store does

    /// Puts up a new image, held once.
    package func open(index: Int, identity: FileIdentity) -> ImageID {
        let extentCount = ImageIndex.extentCount(byteCount: identity.byteCount)
        let extents = UnsafeMutablePointer<Atomic<UInt64>>.allocate(capacity: max(1, extentCount))
        for number in 0..<extentCount { unsafe (extents + number).initialize(to: Atomic(0)) }
        unsafe headers[index].identity = identity
        unsafe headers[index].extents = extents
        unsafe headers[index].extentCount = extentCount
        unsafe headers[index].failure.store(0, ordering: .relaxed)
        unsafe headers[index].filledByteCount.store(0, ordering: .relaxed)
        let generation = unsafe headers[index].state.load(ordering: .relaxed) >> 32
        unsafe headers[index].state.store(generation << 32 | 1, ordering: .releasing)
        return ImageID(index: UInt32(index), generation: UInt32(generation))
    }

    /// Takes down an image; false when a transfer holds it.
    func close(_ id: ImageID) -> Bool {
        let next = UInt64(id.generation &+ 1) << 32
        return unsafe headers[Int(id.index)].state.compareExchange(
            expected: UInt64(id.generation) << 32, desired: next,
            ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// Frees the extent table of a closed image, once no shard can be reading it.
    func discard(index: Int) {
        unsafe headers[index].extents?.deallocate()
        unsafe headers[index].extents = nil
        unsafe headers[index].extentCount = 0
    }

    package func publish(extent number: Int, of id: ImageID, offset: Int) {
        // Marked as used, or a tight budget would take it away before anybody has looked at it.
        let word = UInt64(offset + 1) | ImageIndex.touched
        unsafe headers[Int(id.index)].extents![number].store(word, ordering: .releasing)
    }

    /// The bytes before `byteCount` of a supplied image are written.
    func setFilled(_ id: ImageID, byteCount: UInt64) {
        unsafe headers[Int(id.index)].filledByteCount.store(byteCount, ordering: .releasing)
    }

    /// Where in the arena an extent lies; nil when it is absent.
    func offset(ofExtent number: Int, of id: ImageID) -> Int? {
        guard let extents = unsafe headers[Int(id.index)].extents else { return nil }
        let word = unsafe extents[number].load(ordering: .relaxed)
        return word == 0 ? nil : Int((word & ~ImageIndex.touched) - 1)
    }

    /// Whether an extent was used since the last call.
    func clearTouched(extent number: Int, of id: ImageID) -> Bool {
        guard let extents = unsafe headers[Int(id.index)].extents else { return false }
        let word = unsafe extents[number].bitwiseAnd(
            ~ImageIndex.touched, ordering: .relaxed
        ).oldValue
        return word & ImageIndex.touched != 0
    }

    /// Takes an extent away unless it was used since the last call. Returns its place in the arena.
    ///
    /// A shard may still be reading it: the place is free only when every shard has come round.
    func withdrawUnlessTouched(extent number: Int, of id: ImageID) -> Int? {
        clearTouched(extent: number, of: id) ? nil : withdraw(extent: number, of: id)
    }

    /// Takes an extent away. Returns its place in the arena, or nil when it is absent.
    func withdraw(extent number: Int, of id: ImageID) -> Int? {
        guard let extents = unsafe headers[Int(id.index)].extents else { return nil }
        let word = unsafe extents[number].exchange(0, ordering: .sequentiallyConsistent)
        return word == 0 ? nil : Int((word & ~ImageIndex.touched) - 1)
    }

    func fail(_ id: ImageID, _ failure: StoreFailure) {
        unsafe headers[Int(id.index)].failure.store(failure.rawValue + 1, ordering: .relaxed)
    }

    func isPresent(extent number: Int, of id: ImageID) -> Bool {
        guard let extents = unsafe headers[Int(id.index)].extents else { return false }
        return unsafe extents[number].load(ordering: .relaxed) != 0
    }

    package func isHeld(_ id: ImageID) -> Bool {
        let state = unsafe headers[Int(id.index)].state.load(ordering: .relaxed)
        return state >> 32 == UInt64(id.generation) && state & ImageIndex.holderMask > 0
    }

    package static func extentCount(byteCount: UInt64) -> Int {
        Int((byteCount + UInt64(extentByteCount) - 1) / UInt64(extentByteCount))
    }

    /// Bytes of extent `number` of an image of `byteCount` bytes.
    package static func extentByteCount(_ number: Int, byteCount: UInt64) -> Int {
        Int(min(UInt64(extentByteCount), byteCount - UInt64(number) * UInt64(extentByteCount)))
    }
}
