internal import TFTPCore
internal import TFTPMetrics
internal import TFTPStore
internal import TFTPWire

/// What a handler supplies: how far it may be sent, and how far it was acknowledged.
extension Shard {
    /// Whether a handler may be asked, now or when the folder has nothing.
    func mayAskHandler(_ opcode: Opcode) -> Bool {
        opcode == .wrq ? configuration.handlesWrites : configuration.reads != .never
    }

    /// Puts a request to the handler. The store thread brings the answer.
    ///
    /// - Parameter packet: of a sealed request.
    mutating func askHandler(
        _ slot: Int, _ pending: PendingRequest, packet: RawSpan = RawSpan()
    ) {
        guard let place = keep(slot, pending) else { return }
        if pending.isSealed { keepSealed(packet, slot, place) }
        tellStore(
            .ask(slot: UInt32(slot), generation: table.generation(of: slot), pending: place))
    }

    /// The handler has said no, with a code and words of its own.
    mutating func refuseAsHandlerSays(_ slot: Int, _ pending: PendingRequest, _ place: UInt32) {
        let note = unsafe link.notes[Int(place)]
        let byteCount = Packet.errorByteCountMin + Int(note.text.byteCount)
        sendPacket(byteCount: byteCount, to: table.flow(of: slot), userData: tag(slot)) { output in
            Packet.writeError(code: note.errorCode, message: note.text.bytes, to: &output)
        }
        noteRefusal(slot, pending, note.errorCode)
    }

    /// Content of a size that nobody knew has come to its end.
    mutating func endSupply(_ slot: Int, byteCount: UInt64) {
        let subject = table.subject(of: slot)
        contents[subject].partEnd = byteCount
        // Translated text finds its last block by itself.
        if contents[subject].mode == .octet {
            table.setLastBlock(slot, byteCount / UInt64(table.blksize(of: slot)) + 1)
        }
        table.setWaiting(of: slot, .nothing)
        sendDue(slot)
    }

    /// How many of `count` blocks from `first` on are here in full. With none the slot is parked.
    mutating func suppliedCount(_ slot: Int, first: UInt64, count: Int) -> Int {
        let subject = table.subject(of: slot)
        let blksize = UInt64(table.blksize(of: slot))
        let (begin, end) = (contents[subject].partBegin, contents[subject].partEnd)
        let filled = shared.imageIndex.filledByteCount(of: contents[subject].image)
        // Before that there is nothing to give back, and the supplier needs no proof that somebody is there.
        if filled >= UInt64(ImageIndex.extentByteCount) {
            tellPassed(subject, byteCount: begin + table.ackedBlock(of: slot) * blksize)
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
        let subject = table.subject(of: slot)
        guard contents[subject].isSupplied else { return park(slot, extent: number) }
        tellPassed(subject, byteCount: contents[subject].base.offset)
        parkForSupply(slot, byteCount: byteOffset + 1)
    }

    /// Leaves `slot` until the bytes before `byteCount` are there.
    private mutating func parkForSupply(_ slot: Int, byteCount: UInt64) {
        let unit = ImageCache.supplyUnitByteCount
        park(slot, extent: Int((byteCount + unit - 1) / unit))
    }

    /// Lets the store take back what nobody will be sent again, once an extent, and know that somebody is there.
    private mutating func tellPassed(_ subject: UInt32, byteCount: UInt64) {
        let extent = Int32(byteCount / UInt64(ImageIndex.extentByteCount))
        guard byteCount > 0, extent > contents[subject].toldExtent else { return }
        let word = SupplyMessage(image: contents[subject].image, extent: UInt32(extent))
        // No room: the next extent says the same, and a parked transfer as well.
        guard link.supplyWords.put(word) else { return }
        contents[subject].toldExtent = extent
        storeIsWoken = true
    }

    /// Lets go of what a handler has supplied; nobody else may want it.
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
