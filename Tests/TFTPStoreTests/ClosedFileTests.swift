import Testing

@testable import TFTPStore

/// Files that are closed in between and opened again.
struct ClosedFileTests {
    static let extent = ImageIndex.extentByteCount
    private static let waiter = ImageCache.Waiter(shard: 0, slot: 1, generation: 2)

    private static func identity(_ inode: UInt64, extents: Int = 4) -> FileIdentity {
        FileIdentity(
            device: 1, inode: inode, byteCount: UInt64(extents * extent), modifiedNanoseconds: 3,
            changedNanoseconds: 4)
    }

    private static func withCache(
        filesMax: Int, _ body: (inout ImageCache) throws -> Void
    ) rethrows {
        let byteCount = 16 * extent
        let arena = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
        defer { arena.deallocate() }
        let index = ImageIndex(arena: UnsafeRawPointer(arena), imagesMax: 64)
        defer { index.destroy() }
        var cache = ImageCache(imageIndex: index, arenaByteCount: byteCount, filesMax: filesMax)
        try body(&cache)
    }

    /// Carries out reads at once, and returns everything else.
    private static func settle(_ cache: inout ImageCache) -> [ImageCache.Action] {
        var others: [ImageCache.Action] = []
        while !cache.actions.isEmpty {
            let action = cache.actions.removeFirst()
            guard case .read(let order) = action else {
                others.append(action)
                continue
            }
            let identity = cache.imageIndex.identity(of: order.key.image)
            cache.didRead(order.key, byteCount: order.byteCount, identity: identity)
        }
        return others
    }

    @Test func anIdleFileIsClosedAndOpenedAgain() throws {
        try Self.withCache(filesMax: 4) { cache in
            let inserted = cache.insert(Self.identity(1), file: 7, isReopenable: true)
            let image = try #require(inserted)
            let seen1 = Self.settle(&cache)
            #expect(seen1 == [])
            cache.closeIdleFiles()
            cache.closeIdleFiles()
            let seen2 = Self.settle(&cache)
            #expect(seen2 == [], "a transfer holds the image")
            cache.imageIndex.release(image)
            cache.closeIdleFiles()
            let seen3 = Self.settle(&cache)
            #expect(seen3 == [.closeFile(7)])
            let seen4 = cache.openFileCount
            #expect(seen4 == 0)
            // The next client finds the image, and an extent that is not there.
            let seen5 = cache.lookup(Self.identity(1))
            #expect(seen5 == image)
            cache.want(image, 2, for: Self.waiter)
            let seen6 = Self.settle(&cache)
            #expect(seen6 == [.reopen(image)])
            cache.didReopen(image, file: 8)
            let seen7 = Self.settle(&cache)
            #expect(seen7 == [.answer(Self.waiter, failure: nil)])
            let seen8 = cache.openFileCount
            #expect(seen8 == 1)
        }
    }

    @Test func anotherFileUnderTheNameEndsTheImage() throws {
        try Self.withCache(filesMax: 4) { cache in
            let inserted = cache.insert(Self.identity(1), file: 7, isReopenable: true)
            let image = try #require(inserted)
            _ = Self.settle(&cache)
            cache.imageIndex.release(image)
            cache.closeIdleFiles()
            cache.closeIdleFiles()
            _ = Self.settle(&cache)
            let seen9 = cache.lookup(Self.identity(1))
            #expect(seen9 == image)
            cache.want(image, 3, for: Self.waiter)
            let seen10 = Self.settle(&cache)
            #expect(seen10 == [.reopen(image)])
            cache.didNotReopen(image, .changed)
            let last = Self.settle(&cache)
            #expect(last == [.answer(Self.waiter, failure: .changed)])
            let seen11 = cache.lookup(Self.identity(1))
            #expect(seen11 == nil)
        }
    }

    /// More large files are served at once than may be open at once.
    @Test func theFileThatWasNotReadForLongestGivesWay() throws {
        try Self.withCache(filesMax: 2) { cache in
            var images: [ImageID] = []
            for inode in 1...6 as ClosedRange<UInt64> {
                let inserted = cache.insert(
                    Self.identity(inode, extents: 2), file: Int32(inode), isReopenable: true)
                images.append(try #require(inserted, "no file may be refused"))
                _ = Self.settle(&cache)
                let seen12 = cache.openFileCount
                #expect(seen12 <= 2)
            }
            for image in images {
                cache.want(image, 1, for: Self.waiter)
                for action in Self.settle(&cache) {
                    if case .reopen(let image) = action { cache.didReopen(image, file: 99) }
                }
                let rest = Self.settle(&cache)
                let seen13 = cache.openFileCount
                #expect(seen13 <= 2)
                let isPresent = cache.imageIndex.isPresent(extent: 1, of: image)
                #expect(isPresent, "\(rest)")
            }
        }
    }

    /// What is about to be replaced in place is not found any more, and nothing more is read of it.
    @Test func theImagesOfAFileThatIsRewrittenFail() throws {
        try Self.withCache(filesMax: 4) { cache in
            let inserted = cache.insert(Self.identity(1), file: 7, isReopenable: true)
            let image = try #require(inserted)
            let other = cache.insert(Self.identity(2), file: 8, isReopenable: true)
            _ = Self.settle(&cache)
            cache.failImages(of: InodeIdentity(device: 1, inode: 1))
            let seen1 = cache.lookup(Self.identity(1))
            #expect(seen1 == nil)
            let seen2 = cache.lookup(Self.identity(2))
            #expect(seen2 == other)
            cache.want(image, 2, for: Self.waiter)
            let seen3 = Self.settle(&cache)
            #expect(seen3 == [.answer(Self.waiter, failure: .changed)])
        }
    }

    @Test func aFileThatHasGrownKeepsItsBeginning() {
        let old = Self.identity(1)
        var new = old
        new.modifiedNanoseconds += 1
        #expect(!new.keepsContent(of: old))
        new.byteCount += 1
        #expect(new.keepsContent(of: old))
        #expect(!old.keepsContent(of: new))
        new.inode += 1
        #expect(!new.keepsContent(of: old))
    }

    @Test func onceAMinute() {
        var limiter = FailureLimiter<String>()
        let minute: UInt64 = 60_000_000_000
        #expect(limiter.note("a", now: 5) == 1)
        #expect(limiter.note("a", now: 6) == nil)
        #expect(limiter.note("b", now: 6) == 1)
        #expect(limiter.note("a", now: 4 + minute) == nil)
        #expect(limiter.note("a", now: 5 + minute) == 3)
        #expect(limiter.note("a", now: 6 + minute) == nil)
    }
}
