internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// What a handler supplies: how far it may be sent, and how far it was acknowledged.
extension Shard {
    /// How many of `count` blocks from `first` on are here in full. With none the slot is parked.
    mutating func suppliedCount(_ slot: Int, first: UInt64, count: Int) -> Int {
        let subject = server.table.subject(of: slot)
        let blksize = UInt64(server.table.blksize(of: slot))
        let (begin, end) = (server.contents[subject].partBegin, server.contents[subject].partEnd)
        let filled = shared.imageIndex.filledByteCount(of: server.contents[subject].image)
        // Before the first extent there is nothing to free, and the supplier needs no proof of a
        // client.
        if filled >= UInt64(ImageIndex.extentByteCount) {
            tellPassed(subject, byteCount: begin + server.table.ackedBlock(of: slot) * blksize)
        }
        guard filled < end else { return count }
        let here = (filled - min(filled, begin)) / blksize
        guard here < first else { return Int(min(UInt64(count), here - first + 1)) }
        parkForSupply(slot, byteCount: min(begin + first * blksize, end))
        return 0
    }

    /// How many bytes of extent `number` may be read, from its beginning on.
    func readableByteCount(ofExtent number: Int, _ entry: ContentTable.Entry) -> Int {
        let all = ImageIndex.extentByteCount(number, byteCount: entry.partEnd)
        guard entry.isSupplied else { return all }
        let begin = UInt64(number) * UInt64(ImageIndex.extentByteCount)
        let filled = shared.imageIndex.filledByteCount(of: entry.image)
        return filled > begin ? Int(min(UInt64(all), filled - begin)) : 0
    }

    /// Leaves a text until what stands at `byteOffset`, in extent `number`, is there.
    mutating func parkText(_ slot: Int, extent number: Int, byteOffset: UInt64) {
        let subject = server.table.subject(of: slot)
        guard server.contents[subject].isSupplied else { return park(slot, extent: number) }
        tellPassed(subject, byteCount: server.contents[subject].base.offset)
        parkForSupply(slot, byteCount: byteOffset + 1)
    }

    /// Leaves `slot` until the bytes before `byteCount` are there.
    private mutating func parkForSupply(_ slot: Int, byteCount: UInt64) {
        let unit = ImageCache.supplyUnitByteCount
        park(slot, extent: Int((byteCount + unit - 1) / unit))
    }

    /// Tells the store once per extent which content no client will need again, and that a client
    /// exists.
    private mutating func tellPassed(_ subject: UInt32, byteCount: UInt64) {
        let extent = Int32(byteCount / UInt64(ImageIndex.extentByteCount))
        guard byteCount > 0, extent > server.contents[subject].toldExtent else { return }
        let word = SupplyMessage(image: server.contents[subject].image, extent: UInt32(extent))
        // No room: the next extent says the same, and a parked transfer as well.
        guard link.supplyWords.put(word) else { return }
        server.contents[subject].toldExtent = extent
        storeIsWoken = true
    }

    /// Releases what a handler has supplied.
    mutating func releaseSupply(_ image: ImageID) {
        shared.imageIndex.release(image)
        // No room: the store looks round for such by itself, now and then.
        guard link.supplyWords.put(SupplyMessage(image: image, extent: SupplyMessage.released))
        else {
            return
        }
        storeIsWoken = true
    }
}
