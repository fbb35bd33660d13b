/// What makes way when memory or places run out: extents in the order of a clock, and whole images
/// that no transfer holds.
extension ImageCache {
    /// Turns the clock's hand until about `byteCount` bytes are on their way to being free.
    mutating func evictExtents(byteCount: Int) {
        let before = withdrawnByteCount
        var steps = 2 * clock.count
        while withdrawnByteCount - before < byteCount && steps > 0 && !clock.isEmpty {
            steps -= 1
            if hand >= clock.count { hand = 0 }
            let key = clock[hand]
            let offset = withdraw(key)
            guard offset != nil || isGone(key.image) else {
                hand += 1
                continue
            }
            clock.swapAt(hand, clock.count - 1)
            clock.removeLast()
            guard let offset else { continue }
            evictedExtentCount += 1
            putInLimbo(offset: offset, byteCount: self.byteCount(of: key))
        }
        beginGraceIfNeeded()
    }

    /// Takes an extent that was not used of late. One whose file is closed takes its image with it,
    /// and only when no transfer holds it: it could not be read again.
    private mutating func withdraw(_ key: ExtentKey) -> Int? {
        let index = Int(key.image.index)
        guard let entry = entries[index], entry.id == key.image else { return nil }
        guard entry.supply == nil else {
            if !imageIndex.clearTouched(extent: key.number, of: key.image) { forget(index: index) }
            return nil
        }
        guard entry.file < 0 && !entry.isReopenable else {
            return imageIndex.withdrawUnlessTouched(extent: key.number, of: key.image)
        }
        guard !imageIndex.clearTouched(extent: key.number, of: key.image),
            imageIndex.close(entry.id)
        else {
            return nil
        }
        remove(index: index, entry)
        return imageIndex.withdraw(extent: key.number, of: key.image)
    }

    mutating func putInLimbo(offset: Int, byteCount: Int) {
        withdrawnByteCount += byteCount
        if isGraceUnderWay {
            nextLimbo.append((offset, byteCount))
        } else {
            limbo.append((offset, byteCount))
        }
    }

    mutating func beginGraceIfNeeded() {
        guard !isGraceUnderWay, !limbo.isEmpty || !limboIndexes.isEmpty else { return }
        isGraceUnderWay = true
        actions.append(.awaitGrace)
    }

    /// Takes down images that no transfer holds, to make places for others.
    ///
    /// - Parameter count: how many places are looked at.
    mutating func evictImages(among count: Int) {
        let wantedMax = max(1, imageIndex.imagesMax / 32)
        var wanted = wantedMax
        for _ in 0..<count where wanted > 0 {
            imageHand = (imageHand + 1) % imageIndex.imagesMax
            if forget(index: imageHand) { wanted -= 1 }
        }
        guard wanted < wantedMax else { return }
        clock = clock.filter { !isGone($0.image) }
        beginGraceIfNeeded()
    }
}
