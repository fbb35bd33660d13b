internal import TFTPCore

/// Images whose content a handler hands in, piece by piece, instead of a file.
///
/// An extent is published before it is full; `ImageShelf.filledByteCount` says how far readers may go. An image without
/// a key has one reader: what that has acknowledged is given back, and the supplier goes at most `aheadByteCountMax`
/// beyond. One with a key has any number of readers and stays whole, and after the last of them for as long as nobody
/// needs the room.
extension ImageCache {
    struct Supply {
        /// What the handler says its content comes to; nil while nobody knows.
        var byteCount: UInt64?
        var filledByteCount: UInt64 = 0
        var isEnded = false
        let key: String?
        /// The caller's word for who hands it in.
        let supplier: UInt32
        /// Everything before this extent was acknowledged and given back.
        var firstExtent = 0
        /// Who waits, and for how many units from the beginning on.
        var waiters: [(waiter: Waiter, unit: Int)] = []
        /// Nothing more is taken until `resume`.
        var isHeldBack = false
        /// It is one of `streamCount`: it may still need a second extent.
        var isStream: Bool
    }

    /// The largest content whose size is not known at the beginning: its table of extents is made for it.
    package static let unsizedByteCountMax: UInt64 = 4 << 30
    /// What readers of a supplied image wait in.
    package static let supplyUnitByteCount: UInt64 = 4096
    /// `want` answers this errno when the supplier has failed (EPROTO).
    package static let supplyErrno: Int32 = 71
    /// How far a supplier may be ahead of what its only reader has acknowledged: a window, and 4 MiB for the next.
    private static let aheadByteCountMax = 2 * UInt64(Limits.windowByteCountMax)

    // MARK: The supplier's side

    /// Makes an image, held once for the caller, that is to be filled.
    ///
    /// - Parameters:
    ///   - byteCount: nil when it is known only at the end.
    ///   - key: what `lookup` finds it by; nil keeps it for one reader.
    ///   - supplier: comes back with `resume` and `stopSupply`.
    /// - Returns: nil when there is no place for one more.
    package mutating func insertSupplied(
        byteCount: UInt64?, key: String?, supplier: UInt32
    ) -> ImageID? {
        let identity = FileIdentity(suppliedByteCount: byteCount ?? ImageCache.unsizedByteCountMax)
        let extentCount = ImageShelf.extentCount(byteCount: identity.byteCount)
        // Each stream can have two extents, so that no one waits for a second that others keep for their first.
        let streamsMax = arenaByteCount / (2 * ImageShelf.extentByteCount)
        guard extentCount <= 1 || streamCount < streamsMax else { return nil }
        if freeIndexes.isEmpty { evictImages() }
        guard let index = freeIndexes.popLast() else { return nil }
        let id = shelf.open(index: index, identity: identity)
        entries[index] = Entry(
            id: id, identity: identity, file: -1, extentCount: extentCount,
            supply: Supply(
                byteCount: byteCount, key: key, supplier: supplier, isStream: extentCount > 1))
        if let key { byKey[key] = index }
        suppliedImageCount += 1
        if extentCount > 1 { streamCount += 1 }
        return id
    }

    /// The image that goes by `key`, held once for the caller; nil when there is none.
    package func lookup(key: String) -> ImageID? {
        guard let index = byKey[key], let entry = entries[index] else { return nil }
        guard shelf.failure(of: entry.id) == 0, shelf.retain(entry.id) else { return nil }
        return entry.id
    }

    /// Whether content of this size may have many readers, and so has to be in memory as a whole.
    package func mayShare(byteCount: UInt64?) -> Bool {
        guard let byteCount else { return true }
        return byteCount <= UInt64(arenaByteCount / 2)
    }

    /// What a supplied image comes to; nil while nobody knows.
    package func suppliedByteCount(of image: ImageID) -> UInt64? {
        guard let supply = supply(of: image) else { return nil }
        return supply.byteCount ?? (supply.isEnded ? supply.filledByteCount : nil)
    }

    /// Where the next bytes go and how many fit there; nil when the image is full, or they have to wait for the action
    /// `resume`.
    package mutating func room(in image: ImageID) -> (arenaOffset: Int, byteCount: Int)? {
        guard let supply = supply(of: image),
            supply.filledByteCount < shelf.byteCount(of: image)
        else { return nil }
        let number = Int(supply.filledByteCount / UInt64(ImageShelf.extentByteCount))
        let begin = Int(supply.filledByteCount % UInt64(ImageShelf.extentByteCount))
        let key = ExtentKey(image: image, number: number)
        guard let offset = extentToFill(key, supply) else {
            entries[Int(image.index)]?.supply?.isHeldBack = true
            return nil
        }
        entries[Int(image.index)]?.supply?.isHeldBack = false
        return (offset + begin, byteCount(of: key) - begin)
    }

    private mutating func extentToFill(_ key: ExtentKey, _ supply: Supply) -> Int? {
        if let offset = shelf.offset(ofExtent: key.number, of: key.image) { return offset }
        if supply.key == nil {
            let end = UInt64(key.number + 1 - supply.firstExtent)
            let isAhead = end * UInt64(ImageShelf.extentByteCount) > ImageCache.aheadByteCountMax
            if isAhead { return nil }
        }
        let byteCount = byteCount(of: key)
        guard let offset = allocator.allocate(byteCount: byteCount) else {
            if !pending.contains(key) { pending.append(key) }
            evictExtents(byteCount: byteCount)
            return nil
        }
        shelf.publish(extent: key.number, of: key.image, offset: offset)
        return offset
    }

    /// Whether `count` more bytes are within what was announced and what there is room for at all.
    package func fits(_ count: Int, in image: ImageID) -> Bool {
        guard let supply = supply(of: image) else { return false }
        let end = supply.filledByteCount + UInt64(count)
        guard supply.key == nil || mayShare(byteCount: end) else { return false }
        return end <= shelf.byteCount(of: image)
    }

    /// `count` bytes were written to where `room` had said.
    package mutating func didFill(_ image: ImageID, byteCount count: Int) {
        let index = Int(image.index)
        guard var supply = supply(of: image) else { return }
        supply.filledByteCount += UInt64(count)
        if supply.filledByteCount == supply.byteCount { supply.isEnded = true }
        shelf.setFilled(image, byteCount: supply.filledByteCount)
        entries[index]?.supply = supply
        answerReaders(of: image)
        guard supply.isEnded else { return }
        leaveStreams(image)
        keepForOthers(image, supply)
    }

    /// There is no more. False when more was announced, and the image has failed by that.
    package mutating func endSupply(_ image: ImageID) -> Bool {
        guard let supply = supply(of: image), !supply.isEnded else { return true }
        guard supply.byteCount == nil || supply.filledByteCount == supply.byteCount else {
            failSupply(image)
            return false
        }
        entries[Int(image.index)]?.supply?.isEnded = true
        leaveStreams(image)
        answerReaders(of: image)
        keepForOthers(image, supply)
        return true
    }

    /// The rest will not come.
    package mutating func failSupply(_ image: ImageID) {
        guard let supply = supply(of: image) else { return }
        if let key = supply.key, byKey[key] == Int(image.index) { byKey[key] = nil }
        entries[Int(image.index)]?.supply?.isEnded = true
        leaveStreams(image)
        fail(image, errno: ImageCache.supplyErrno)
    }

    /// What has ended needs no more room. Its image may stay for as long as nobody else needs the room, so it must not
    /// count until it goes.
    private mutating func leaveStreams(_ image: ImageID) {
        guard entries[Int(image.index)]?.supply?.isStream == true else { return }
        entries[Int(image.index)]?.supply?.isStream = false
        streamCount -= 1
    }

    /// What many may share stays in memory until somebody needs the room.
    private mutating func keepForOthers(_ image: ImageID, _ supply: Supply) {
        guard supply.key != nil, supply.filledByteCount > 0 else { return }
        clock.append(ExtentKey(image: image, number: 0))
    }

    // MARK: The readers' side

    /// `waiter` needs the bytes before `unit` units.
    mutating func wantSupplied(_ image: ImageID, unit: Int, for waiter: Waiter) {
        let index = Int(image.index)
        // It never goes farther back from here than a window.
        let end = UInt64(unit) * ImageCache.supplyUnitByteCount
        let kept =
            end - min(end, UInt64(Limits.windowByteCountMax) + ImageCache.supplyUnitByteCount)
        pass(image, extent: Int(kept / UInt64(ImageShelf.extentByteCount)))
        entries[index]?.supply?.waiters.append((waiter, unit))
        answerReaders(of: image)
    }

    private mutating func answerReaders(of image: ImageID) {
        guard var supply = supply(of: image), !supply.waiters.isEmpty else { return }
        let unitsFilled = Int(supply.filledByteCount / ImageCache.supplyUnitByteCount)
        for (waiter, unit) in supply.waiters where unit <= unitsFilled || supply.isEnded {
            let isNews = supply.isEnded && supply.byteCount == nil
            actions.append(
                isNews
                    ? .answerEnd(waiter, byteCount: supply.filledByteCount)
                    : .answer(waiter, errno: 0))
        }
        supply.waiters.removeAll { $0.unit <= unitsFilled || supply.isEnded }
        entries[Int(image.index)]?.supply?.waiters = supply.waiters
    }

    mutating func answerSuppliedWaiters(of image: ImageID, errno: Int32) {
        guard let waiters = supply(of: image)?.waiters else { return }
        for (waiter, _) in waiters { actions.append(.answer(waiter, errno: errno)) }
        entries[Int(image.index)]?.supply?.waiters = []
    }

    /// The reader has acknowledged everything before `extent` and will not go back there.
    package mutating func pass(_ image: ImageID, extent: Int) {
        guard let supply = supply(of: image), supply.key == nil, extent > supply.firstExtent else {
            return
        }
        for number in supply.firstExtent..<extent {
            let key = ExtentKey(image: image, number: number)
            guard let offset = shelf.withdraw(extent: number, of: image) else { continue }
            putInLimbo(offset: offset, byteCount: byteCount(of: key))
        }
        entries[Int(image.index)]?.supply?.firstExtent = extent
        if supply.isHeldBack { actions.append(.resume(image, supplier: supply.supplier)) }
        beginGraceIfNeeded()
    }

    /// A reader has let go. An image that nobody reads is kept only when it is whole and has a key.
    package mutating func didRelease(_ image: ImageID) {
        guard let supply = supply(of: image), !isKept(image, supply) else { return }
        if forget(index: Int(image.index)) { beginGraceIfNeeded() }
    }

    /// Supplied images that nobody reads and nobody will.
    package func idleSupplies() -> [ImageID] {
        entries.compactMap { entry in
            guard let entry, let supply = entry.supply, !shelf.isHeld(entry.id) else { return nil }
            return isKept(entry.id, supply) ? nil : entry.id
        }
    }

    private func isKept(_ image: ImageID, _ supply: Supply) -> Bool {
        guard let key = supply.key, supply.isEnded else { return false }
        return byKey[key] == Int(image.index) && shelf.failure(of: image) == 0
    }

    /// The image goes.
    mutating func removeSupply(_ entry: Entry) {
        guard let supply = entry.supply else { return }
        if let key = supply.key, byKey[key] == Int(entry.id.index) { byKey[key] = nil }
        suppliedImageCount -= 1
        if supply.isStream { streamCount -= 1 }
        answerSuppliedWaiters(of: entry.id, errno: ImageCache.changedErrno)
        if !supply.isEnded {
            actions.append(.stopSupply(entry.id, supplier: supply.supplier))
        }
    }

    private func supply(of image: ImageID) -> Supply? {
        guard let entry = entries[Int(image.index)], entry.id == image else { return nil }
        return entry.supply
    }
}
