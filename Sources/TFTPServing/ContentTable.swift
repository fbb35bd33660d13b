internal import TFTPCore
package import TFTPStore
package import TFTPWire

/// A place in a text that is translated on its way: block `block` ends where the encoder stands at
/// `offset`.
package struct TextPosition: BitwiseCopyable {
    package var block: UInt64 = 0
    package var offset: UInt64 = 0
    package var encoder = NetasciiEncoder()
}

/// What transfers of one shard are about: a file being served, or an upload.
///
/// Transfers of one image under one name and mode share an entry, so 2,000 clients of one kernel
/// cost one. An entry lives as long as a transfer uses it. Memory: about 400 bytes an entry,
/// touched only when used.
package struct ContentTable: ~Copyable {
    package struct Entry: BitwiseCopyable {
        package var image = ImageID(index: 0, generation: 0)
        /// Where in the image DATA 1 begins: 0 unless a part was asked for.
        package var partBegin: UInt64 = 0
        /// Where in the image the last block ends; `.max` while unknown.
        package var partEnd: UInt64 = 0
        package var useCount: UInt32 = 0
        package var mode = TransferMode.octet
        package var isUpload = false
        /// A handler supplies it.
        package var isSupplied = false
        /// Its blocks are sealed.
        package var isSealed = false
        /// Whether other transfers may find it.
        package var isShared = false
        /// Supplied: the store knows that everything before this extent was acknowledged; -1: not
        /// even that anything was.
        package var toldExtent: Int32 = -1
        /// Upload: the shard's own number of it.
        package var upload: UInt32 = 0
        /// netascii: where the last acknowledged block ends, or an earlier one.
        package var base = TextPosition()
        /// netascii: where the block ends that was sent last.
        package var end = TextPosition()
        /// netascii: the bytes of the last block, once it has been translated.
        package var lastByteCount: UInt16 = 0
        package var options = Options()
        /// What the client asked for.
        package var asked = Options()
        package var fingerprint = Fingerprint.other
        package var name = RecordName()
        /// The next entry of the same image bucket, or the next free one.
        package var next: UInt32 = 0

        /// What is sent of the image.
        package var part: Range<UInt64> { partBegin..<partEnd }
    }

    private let entries: Column<Entry>
    private let buckets: Column<UInt32>
    private let bucketMask: Int
    private var firstFree = ContentTable.none
    /// Entries from here on have never been used, and their memory not been touched.
    private var freshIndex: UInt32 = 0
    private static let none = UInt32.max

    init(capacity: Int) {
        entries = Column(uninitializedCount: capacity)
        var count = 64
        while count < capacity { count *= 2 }
        buckets = Column(repeating: ContentTable.none, count: count)
        bucketMask = count - 1
    }

    // Addresses: a coroutine that another module calls allocates its frame and copies the entry.
    package subscript(index: UInt32) -> Entry {
        unsafeAddress { unsafe UnsafePointer(entries.address(of: Int(index))) }
        nonmutating unsafeMutableAddress { unsafe entries.address(of: Int(index)) }
    }

    /// The entry of what is being sent, shared where it can be. Never fails: there are as many
    /// entries as slots.
    mutating func share(_ entry: Entry) -> UInt32 {
        // A netascii transfer has a position of its own and shares none.
        assert(!entry.isUpload && entry.mode == .octet)
        let bucket = bucket(of: entry)
        var index = buckets[bucket]
        while index != ContentTable.none {
            if isSame(entries[Int(index)], entry) {
                entries[Int(index)].useCount += 1
                return index
            }
            index = entries[Int(index)].next
        }
        let new = take(entry)
        entries[Int(new)].isShared = true
        entries[Int(new)].next = buckets[bucket]
        buckets[bucket] = new
        return new
    }

    /// An entry of its own.
    mutating func take(_ entry: Entry) -> UInt32 {
        let index: UInt32
        if firstFree != ContentTable.none {
            index = firstFree
            firstFree = entries[Int(index)].next
        } else {
            index = freshIndex
            freshIndex += 1
            assert(index < entries.count, "as many entries as slots")
        }
        entries[Int(index)] = entry
        entries[Int(index)].useCount = 1
        entries[Int(index)].next = ContentTable.none
        return index
    }

    mutating func release(_ index: UInt32) {
        assert(entries[Int(index)].useCount > 0)
        entries[Int(index)].useCount -= 1
        guard entries[Int(index)].useCount == 0 else { return }
        unlink(index)
        entries[Int(index)].next = firstFree
        firstFree = index
    }

    /// Whether no transfer uses any.
    var isUnused: Bool {
        for index in 0..<Int(freshIndex) where entries[index].useCount > 0 { return false }
        return true
    }

    private func unlink(_ index: UInt32) {
        guard entries[Int(index)].isShared else { return }
        let bucket = bucket(of: entries[Int(index)])
        if buckets[bucket] == index {
            buckets[bucket] = entries[Int(index)].next
            return
        }
        var before = buckets[bucket]
        while entries[Int(before)].next != index { before = entries[Int(before)].next }
        entries[Int(before)].next = entries[Int(index)].next
    }

    private func bucket(of entry: Entry) -> Int {
        // What a client can choose is mixed in as well, or its requests would all stand in one row.
        let options = UInt32(entry.options.blksize ?? 0) &* 31 &+ (entry.options.windowsize ?? 0)
        let part = (entry.partBegin &* 31 &+ entry.partEnd) &* 0x9E37_79B9_7F4A_7C15
        let asked =
            options &* 31 &+ (entry.options.timeout ?? 0) &* 31 &+ entry.name.mixed
            &+ UInt32(part >> 32)
        let word = (entry.image.index ^ asked) &* 0x9E37_79B1 &+ entry.image.generation
        return Int(word >> 7 ^ word) & bucketMask
    }

    private func isSame(_ entry: Entry, _ other: Entry) -> Bool {
        entry.image == other.image && entry.options == other.options && entry.asked == other.asked
            && entry.fingerprint == other.fingerprint && entry.name.isEqual(to: other.name)
    }
}
