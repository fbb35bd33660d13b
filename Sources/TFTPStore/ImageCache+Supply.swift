/// Images whose content a handler hands in, piece by piece, instead of a file.
///
/// An extent is published before it is full; `ImageIndex.filledByteCount` says how far readers may
/// go. An image without a key has one reader: what that has acknowledged is given back, and the
/// supplier goes at most `aheadByteCountMax` beyond. One with a key has any number of readers and
/// stays whole, and after the last of them until the room is needed.
///
/// What can not be evicted is counted: each image is promised what it can not do without (two
/// extents for one reader, everything for many), and the promises never exceed half of the arena.
/// So a reader with reserved room gets it, and no supplier ever waits for another one. What goes
/// beyond, a stream's head start, is had from half of that.
extension ImageCache {
    /// One such image. (Thirteen properties: how far four parties have come, who do not wait for
    /// each other.)
    struct Supply {
        /// What the handler says its content comes to; nil while that is unknown.
        var byteCount: UInt64?
        var filledByteCount: UInt64 = 0
        var isEnded = false
        let key: String?
        /// The caller's word for who hands it in.
        let supplier: UInt32
        /// Everything before this extent was given back.
        var firstExtent = 0
        /// The only reader will not go back before this extent. It may begin far beyond what is
        /// filled.
        var passedExtent = 0
        /// The waiting readers, and for how many units from the beginning on.
        var waiters: [(waiter: Waiter, unit: Int)] = []
        /// Nothing more is taken until `resume`.
        var isHeldBack = false
        /// A reader has acknowledged something: until then a request may be forged, and is worth
        /// one extent.
        var isProven = false
        /// The room that it is sure of.
        var promisedByteCount: Int
        /// The room that its extents take.
        var heldByteCount = 0
        /// It has no reader and may be evicted.
        var isIdle = false

        /// What counts against `suppliedByteCountMax`.
        var countedByteCount: Int { isIdle ? 0 : neededByteCount }
        var neededByteCount: Int { max(promisedByteCount, heldByteCount) }
    }

    /// The largest content whose size is not known at the beginning: its table of extents is made
    /// for it.
    package static let unsizedByteCountMax: UInt64 = 4 << 30
    /// What readers of a supplied image wait in.
    package static let supplyUnitByteCount: UInt64 = 4096
    /// Payload of one window of a supplied image at most: what its reader needs and what it may go
    /// back to, which are two windows, is in two extents then.
    package static let supplyWindowByteCountMax =
        (UInt32(ImageIndex.extentByteCount) - UInt32(supplyUnitByteCount)) / 2
    /// What one reader can not do without.
    private static let promisedExtentsMin = 2
    /// How far a supplier may be ahead of what its only reader has acknowledged, where there is
    /// room.
    private static let aheadByteCountMax = 8 << 20

    /// Bytes of supplied images that can not be evicted, at most; the rest of the arena is for
    /// files.
    var suppliedByteCountMax: Int { arenaByteCount / 2 }
    /// Up to here more is given than was promised.
    private var headStartByteCountMax: Int { suppliedByteCountMax / 2 }

    // MARK: The supplier's side

    /// Makes an image, held once for the caller, that is to be filled.
    ///
    /// - Parameters:
    ///   - byteCount: nil when it is known only at the end.
    ///   - key: what `lookup` finds it by, if it can be kept whole (see `isShared`); nil keeps it
    ///     for one reader.
    ///   - supplier: comes back with `resume` and `stopSupply`.
    /// - Returns: nil when there is no room for one more.
    package mutating func insertSupplied(
        byteCount: UInt64?, key: String?, supplier: UInt32
    ) -> ImageID? {
        let extentsMin = ImageCache.promisedExtentsMin * ImageIndex.extentByteCount
        let whole = byteCount.map { roundedByteCount($0) }
        let least = min(whole ?? extentsMin, extentsMin)
        let isShared = key != nil && mayPromise(whole ?? extentsMin)
        guard isShared || mayPromise(least) else { return nil }
        if freeIndexes.isEmpty { evictImages(among: imageIndex.imagesMax) }
        guard let index = freeIndexes.popLast() else { return nil }
        let identity = FileIdentity(suppliedByteCount: byteCount ?? ImageCache.unsizedByteCountMax)
        let id = imageIndex.open(index: index, identity: identity)
        let supply = Supply(
            byteCount: byteCount, key: isShared ? key : nil, supplier: supplier,
            promisedByteCount: isShared ? whole ?? least : least)
        entries[index] = Entry(
            id: id, identity: identity, file: -1,
            extentCount: ImageIndex.extentCount(byteCount: identity.byteCount), supply: supply)
        if let key, isShared { byKey[key] = index }
        suppliedImageCount += 1
        countedByteCount += supply.countedByteCount
        makePlaces()
        return id
    }

    /// The image that goes by `key`, held once for the caller; nil when there is none, or no room
    /// to hold it again.
    package mutating func lookup(key: String) -> ImageID? {
        guard let index = byKey[key], let entry = entries[index], let supply = entry.supply else {
            return nil
        }
        guard !supply.isIdle || mayPromise(supply.neededByteCount) else { return nil }
        guard imageIndex.failure(of: entry.id) == nil, imageIndex.retain(entry.id) else {
            return nil
        }
        change(entry.id) { $0.isIdle = false }
        return entry.id
    }

    /// Whether others may find it by its key.
    package func isShared(_ image: ImageID) -> Bool { supply(of: image)?.key != nil }

    /// Who hands it in; nil when it has all that will come.
    package func supplier(of image: ImageID) -> UInt32? {
        guard let supply = supply(of: image), !supply.isEnded else { return nil }
        return supply.supplier
    }

    /// Whether a reader waits for more than there is.
    package func isAwaited(_ image: ImageID) -> Bool {
        supply(of: image)?.waiters.isEmpty == false
    }

    private func mayPromise(_ byteCount: Int) -> Bool {
        byteCount <= suppliedByteCountMax - countedByteCount
    }

    /// What so much content takes in the arena.
    private func roundedByteCount(_ byteCount: UInt64) -> Int {
        guard byteCount > 0 else { return 0 }
        let last = ImageIndex.extentCount(byteCount: byteCount) - 1
        return last * ImageIndex.extentByteCount
            + allocator.blockByteCount(for: ImageIndex.extentByteCount(last, byteCount: byteCount))
    }

    /// Changes what is known of a supply, and what it counts for.
    private mutating func change(_ image: ImageID, _ body: (inout Supply) -> Void) {
        guard var supply = supply(of: image) else { return }
        countedByteCount -= supply.countedByteCount
        body(&supply)
        countedByteCount += supply.countedByteCount
        entries[Int(image.index)]?.supply = supply
    }

    /// What a supplied image comes to; nil while that is unknown.
    package func suppliedByteCount(of image: ImageID) -> UInt64? {
        guard let supply = supply(of: image) else { return nil }
        return supply.byteCount ?? (supply.isEnded ? supply.filledByteCount : nil)
    }

    /// Where the next bytes go and how many fit there; nil when the image is full, or they have to
    /// wait for the action `resume`.
    package mutating func room(in image: ImageID) -> (arenaOffset: Int, byteCount: Int)? {
        guard let supply = supply(of: image),
            supply.filledByteCount < imageIndex.byteCount(of: image)
        else { return nil }
        let number = Int(supply.filledByteCount / UInt64(ImageIndex.extentByteCount))
        let begin = Int(supply.filledByteCount % UInt64(ImageIndex.extentByteCount))
        let key = ExtentKey(image: image, number: number)
        guard let offset = extentToFill(key, supply) else {
            entries[Int(image.index)]?.supply?.isHeldBack = true
            return nil
        }
        entries[Int(image.index)]?.supply?.isHeldBack = false
        return (offset + begin, byteCount(of: key) - begin)
    }

    private mutating func extentToFill(_ key: ExtentKey, _ supply: Supply) -> Int? {
        if let offset = imageIndex.offset(ofExtent: key.number, of: key.image) { return offset }
        guard key.number == 0 || supply.isProven else { return nil }
        let byteCount = byteCount(of: key)
        let held = supply.heldByteCount + allocator.blockByteCount(for: byteCount)
        guard held <= supply.promisedByteCount || mayGoAhead(to: held, supply) else { return nil }
        guard let offset = allocator.allocate(byteCount: byteCount) else {
            if !pending.contains(key) { pending.append(key) }
            evictExtents(byteCount: byteCount)
            return nil
        }
        change(key.image) { $0.heldByteCount = held }
        imageIndex.publish(extent: key.number, of: key.image, offset: offset)
        return offset
    }

    /// Whether a stream may hold more than it was promised.
    private func mayGoAhead(to held: Int, _ supply: Supply) -> Bool {
        held <= ImageCache.aheadByteCountMax
            && countedByteCount - supply.countedByteCount + held <= headStartByteCountMax
    }

    /// Makes sure that `count` more bytes are within what was announced and what there can be room
    /// for.
    package mutating func expect(_ count: Int, in image: ImageID) throws(SupplyError) {
        guard let supply = supply(of: image) else { throw .unwanted }
        guard count > 0 else { return }
        let end = supply.filledByteCount + UInt64(count)
        if let announced = supply.byteCount {
            guard end <= announced else { throw .moreThanAnnounced }
        }
        guard !supply.isEnded else { throw .unwanted }
        guard end <= imageIndex.byteCount(of: image) else { throw .tooLarge }
        guard supply.key != nil, supply.byteCount == nil else { return }
        let promised = ImageIndex.extentCount(byteCount: end) * ImageIndex.extentByteCount
        guard promised > supply.promisedByteCount else { return }
        guard mayPromise(promised - supply.promisedByteCount) else { throw .noRoomToShare }
        change(image) { $0.promisedByteCount = promised }
    }

    /// `count` bytes were written to where `room` had said.
    package mutating func didFill(_ image: ImageID, byteCount count: Int) {
        change(image) { supply in
            supply.filledByteCount += UInt64(count)
            if supply.filledByteCount == supply.byteCount { supply.end() }
        }
        guard let supply = supply(of: image) else { return }
        imageIndex.setFilled(image, byteCount: supply.filledByteCount)
        giveBack(image)
        answerReaders(of: image)
        if supply.isEnded { keepForOthers(image, supply) }
    }

    /// There is no more. False when more was announced, and the image has failed by that.
    package mutating func endSupply(_ image: ImageID) -> Bool {
        guard let supply = supply(of: image), !supply.isEnded else { return true }
        guard supply.byteCount == nil || supply.filledByteCount == supply.byteCount else {
            failSupply(image)
            return false
        }
        change(image) { $0.end() }
        answerReaders(of: image)
        keepForOthers(image, supply)
        return true
    }

    /// The rest will not come.
    package mutating func failSupply(_ image: ImageID, _ failure: StoreFailure = .handler) {
        guard let supply = supply(of: image) else { return }
        if let key = supply.key, byKey[key] == Int(image.index) { byKey[key] = nil }
        change(image) { $0.end() }
        fail(image, failure)
    }

    /// Shared content stays in memory until the room is needed.
    private mutating func keepForOthers(_ image: ImageID, _ supply: Supply) {
        guard supply.key != nil, supply.filledByteCount > 0 else { return }
        clock.append(ExtentKey(image: image, number: 0))
    }

    // MARK: The readers' side

    /// `waiter` needs the bytes before `unit` units.
    mutating func wantSupplied(_ image: ImageID, unit: Int, for waiter: Waiter) {
        let index = Int(image.index)
        // It never goes farther back from here than a window, and the translation of a text may lag
        // behind by another.
        let end = UInt64(unit) * ImageCache.supplyUnitByteCount
        let back =
            2 * UInt64(ImageCache.supplyWindowByteCountMax) + ImageCache.supplyUnitByteCount
        pass(image, extent: Int((end - min(end, back)) / UInt64(ImageIndex.extentByteCount)))
        // No first window is so large: what is asked for here comes after something was
        // acknowledged.
        if end > UInt64(ImageIndex.extentByteCount) { prove(image) }
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
                    : .answer(waiter, failure: nil))
        }
        supply.waiters.removeAll { $0.unit <= unitsFilled || supply.isEnded }
        entries[Int(image.index)]?.supply?.waiters = supply.waiters
    }

    mutating func answerSuppliedWaiters(of image: ImageID, _ failure: StoreFailure) {
        guard let waiters = supply(of: image)?.waiters else { return }
        for (waiter, _) in waiters { actions.append(.answer(waiter, failure: failure)) }
        entries[Int(image.index)]?.supply?.waiters = []
    }

    /// A reader has acknowledged everything before `extent`, and at least something. An only one
    /// will not go back there.
    package mutating func didAcknowledge(_ image: ImageID, extent: Int) {
        prove(image)
        pass(image, extent: extent)
    }

    private mutating func prove(_ image: ImageID) {
        guard let supply = supply(of: image), !supply.isProven else { return }
        entries[Int(image.index)]?.supply?.isProven = true
        resume(image, supply)
    }

    private mutating func pass(_ image: ImageID, extent: Int) {
        guard let supply = supply(of: image), supply.key == nil, extent > supply.passedExtent else {
            return
        }
        entries[Int(image.index)]?.supply?.passedExtent = extent
        giveBack(image)
    }

    /// Takes back what its only reader has passed, as far as it is filled: a supplier writes all
    /// that comes before what is read.
    private mutating func giveBack(_ image: ImageID) {
        guard let supply = supply(of: image) else { return }
        let filled = Int(supply.filledByteCount / UInt64(ImageIndex.extentByteCount))
        let end = min(supply.passedExtent, filled)
        guard end > supply.firstExtent else { return }
        for number in supply.firstExtent..<end {
            let key = ExtentKey(image: image, number: number)
            guard let offset = imageIndex.withdraw(extent: number, of: image) else { continue }
            let byteCount = byteCount(of: key)
            putInLimbo(offset: offset, byteCount: byteCount)
            let freed = allocator.blockByteCount(for: byteCount)
            change(image) { $0.heldByteCount -= freed }
        }
        entries[Int(image.index)]?.supply?.firstExtent = end
        resume(image, supply)
        beginGraceIfNeeded()
    }

    private mutating func resume(_ image: ImageID, _ supply: Supply) {
        guard supply.isHeldBack else { return }
        actions.append(.resume(image, supplier: supply.supplier))
    }

    /// A reader has left. An image without readers is kept only when it is whole and has a key.
    package mutating func didRelease(_ image: ImageID) {
        guard let supply = supply(of: image) else { return }
        guard isKept(image, supply) else {
            if forget(index: Int(image.index)) { beginGraceIfNeeded() }
            return
        }
        if !imageIndex.isHeld(image) { change(image) { $0.isIdle = true } }
    }

    /// Supplied images without readers whose last reader's message was lost.
    package func idleSupplies() -> [ImageID] {
        entries.compactMap { entry in
            guard let entry, let supply = entry.supply, !supply.isIdle, !imageIndex.isHeld(entry.id)
            else { return nil }
            return entry.id
        }
    }

    private func isKept(_ image: ImageID, _ supply: Supply) -> Bool {
        guard let key = supply.key, supply.isEnded else { return false }
        return byKey[key] == Int(image.index) && imageIndex.failure(of: image) == nil
    }

    /// The image goes.
    mutating func removeSupply(_ entry: Entry) {
        guard let supply = entry.supply else { return }
        if let key = supply.key, byKey[key] == Int(entry.id.index) { byKey[key] = nil }
        suppliedImageCount -= 1
        countedByteCount -= supply.countedByteCount
        answerSuppliedWaiters(of: entry.id, .changed)
        if !supply.isEnded {
            actions.append(.stopSupply(entry.id, supplier: supply.supplier))
        }
    }

    private func supply(of image: ImageID) -> Supply? {
        guard let entry = entries[Int(image.index)], entry.id == image else { return nil }
        return entry.supply
    }
}

extension ImageCache.Supply {
    /// Nothing more will come, so it needs no more room than it has.
    fileprivate mutating func end() {
        isEnded = true
        promisedByteCount = 0
    }
}

/// Why bytes that are handed in are not taken.
package enum SupplyError: Error {
    /// They have no reader any more.
    case unwanted
    case moreThanAnnounced
    /// Content of unknown size has reached `unsizedByteCountMax`.
    case tooLarge
    /// Content of unknown size has a key, and there is no room to keep more of it.
    case noRoomToShare
}
