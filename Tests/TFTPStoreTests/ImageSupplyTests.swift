import TFTPCore
import Testing

@testable import TFTPStore

/// Images that are handed in: room, readers, and what becomes of memory.
struct ImageSupplyTests {
    static let mebibyte = ImageShelf.extentByteCount

    /// Fills as much as there is room for, at most `byteCount`; returns how much that was.
    private func fill(_ world: ImageCacheWorld, _ image: ImageID, _ byteCount: Int) -> Int {
        var filled = 0
        while filled < byteCount, let room = world.cache.room(in: image) {
            #expect(room.arenaOffset + room.byteCount <= world.arenaByteCount)
            let count = min(room.byteCount, byteCount - filled)
            world.cache.didFill(image, byteCount: count)
            filled += count
        }
        world.carryOut()
        return filled
    }

    private func insert(
        _ world: ImageCacheWorld, _ byteCount: Int?, key: String? = nil
    ) -> ImageID? {
        world.cache.insertSupplied(byteCount: byteCount.map { UInt64($0) }, key: key, supplier: 7)
    }

    private func release(_ world: ImageCacheWorld, _ image: ImageID) {
        world.release(image)
        world.cache.didRelease(image)
        world.carryOut()
    }

    @Test func aSmallOneComesAndGoes() throws {
        let world = ImageCacheWorld()
        let image = try #require(insert(world, 5000))
        #expect(world.suppliedByteCount(of: image) == 5000)
        #expect(fill(world, image, 5000) == 5000)
        #expect(world.shelf.filledByteCount(of: image) == 5000)
        #expect(world.look(image, 0) != nil)
        let isWhole = world.cache.endSupply(image)
        #expect(isWhole)
        #expect(world.usedByteCount == 8192)
        release(world, image)
        world.settle()
        #expect(world.usedByteCount == 0)
        #expect(world.stopped.isEmpty)
        #expect(world.suppliedImageCount == 0)
    }

    @Test func readersWaitForUnits() throws {
        let world = ImageCacheWorld()
        let image = try #require(insert(world, nil))
        world.want(image, 1, slot: 1)
        world.want(image, 3, slot: 3)
        #expect(fill(world, image, 4095) == 4095)
        #expect(world.answers.isEmpty)
        #expect(fill(world, image, 1) == 1)
        #expect(world.answers.map(\.waiter.slot) == [1])
        #expect(fill(world, image, 5000) == 5000)
        #expect(world.answers.count == 1)
        let isWhole = world.cache.endSupply(image)
        world.carryOut()
        #expect(isWhole)
        // Who waits for more hears where the end is, and so does who comes later.
        #expect(world.ends.map(\.waiter.slot) == [3])
        #expect(world.ends.map(\.byteCount) == [9096])
        world.want(image, 3, slot: 4)
        #expect(world.ends.map(\.waiter.slot) == [3, 4])
    }

    @Test func oneReaderHoldsTheSupplierBack() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let image = try #require(insert(world, nil))
        let ahead = 2 * Int(Limits.windowByteCountMax)
        #expect(fill(world, image, 100 << 20) == ahead)
        #expect(world.resumed.isEmpty)
        world.cache.pass(image, extent: 3)
        world.carryOut()
        #expect(world.resumed == [image])
        #expect(fill(world, image, 100 << 20) == 3 * Self.mebibyte)
        // What was passed is free after a grace.
        #expect(world.usedByteCount == ahead + 3 * Self.mebibyte)
        world.settle()
        #expect(world.usedByteCount == ahead)
        for number in 0..<3 { #expect(world.look(image, number) == nil) }
        // To wait far ahead says as much: nobody goes back farther than a window.
        world.want(image, (11 * Self.mebibyte) / 4096 + 1)
        #expect(world.resumed == [image, image])
        #expect(world.look(image, 5) == nil)
        #expect(world.look(image, 7) != nil)
    }

    @Test func nobodyReadsItAnyMore() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let image = try #require(insert(world, nil))
        #expect(fill(world, image, 3 << 20) == 3 << 20)
        release(world, image)
        #expect(world.stopped == [image])
        world.settle()
        #expect(world.usedByteCount == 0)
        #expect(!world.fits(1, in: image))
        #expect(world.room(in: image) == nil)
    }

    /// The last word of a reader may be lost; the store looks round.
    @Test func theWordWasLost() throws {
        let world = ImageCacheWorld()
        let image = try #require(insert(world, 100))
        #expect(world.idleSupplies().isEmpty)
        world.release(image)
        #expect(world.idleSupplies() == [image])
    }

    @Test func sharedByKey() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20)
        let image = try #require(insert(world, 3 << 20, key: "a"))
        #expect(world.lookup(key: "b") == nil)
        #expect(world.lookup(key: "a") == image)
        #expect(fill(world, image, 3 << 20) == 3 << 20)
        // A reader's progress takes nothing from the others.
        world.cache.pass(image, extent: 2)
        #expect(world.look(image, 0) != nil)
        release(world, image)
        release(world, image)
        #expect(world.lookup(key: "a") == image)
        release(world, image)
        // It stays until somebody needs the room.
        world.settle()
        #expect(world.usedByteCount == 3 << 20)
        var others: [ImageID] = []
        for _ in 0..<4 {
            let other = try #require(insert(world, 4 << 20))
            others.append(other)
            if fill(world, other, 4 << 20) < 4 << 20 {
                world.passGraceIfAwaited()
                _ = fill(world, other, 4 << 20)
                world.passGraceIfAwaited()
            }
        }
        #expect(world.lookup(key: "a") == nil)
        for other in others { release(world, other) }
        world.settle()
        #expect(world.usedByteCount == 0)
    }

    @Test func tooLittleOrTooMuch() throws {
        let world = ImageCacheWorld()
        let image = try #require(insert(world, 100, key: "a"))
        #expect(world.fits(100, in: image))
        #expect(!world.fits(101, in: image))
        #expect(fill(world, image, 99) == 99)
        world.want(image, 1)
        let isWhole = world.cache.endSupply(image)
        world.carryOut()
        #expect(!isWhole)
        #expect(world.answers.map(\.errno) == [ImageCache.supplyErrno])
        #expect(world.lookup(key: "a") == nil)
        world.want(image, 1)
        #expect(world.answers.map(\.errno) == [ImageCache.supplyErrno, ImageCache.supplyErrno])
        release(world, image)
        world.settle()
        #expect(world.usedByteCount == 0)
    }

    /// Two extents for each stream, or no stream.
    @Test func notMoreStreamsThanExtents() throws {
        let world = ImageCacheWorld(arenaByteCount: 8 << 20, imagesMax: 64)
        let streams = (0..<5).map { _ in insert(world, nil) }
        #expect(streams.compactMap(\.self).count == 4)
        #expect(insert(world, 1000) != nil)
        release(world, try #require(streams[0]))
        world.settle()
        #expect(insert(world, 2 << 20) != nil)
    }

    /// What is kept for others after its end takes no stream's place, and gives way to the next.
    @Test func finishedStreamsTakeNoPlace() throws {
        let world = ImageCacheWorld(arenaByteCount: 8 << 20, imagesMax: 64)
        for number in 0..<9 {
            let isSized = number.isMultiple(of: 2)
            let image = try #require(insert(world, isSized ? 2 << 20 : nil, key: "\(number)"))
            var filled = 0
            while filled < 2 << 20 {
                filled += fill(world, image, (2 << 20) - filled)
                world.settle()
            }
            let isWhole = world.cache.endSupply(image)
            #expect(isWhole)
            release(world, image)
            #expect(world.lookup(key: "\(number)") == image)
            release(world, image)
        }
        // Those that ended have left the count once, not twice.
        let streams = (0..<5).map { _ in insert(world, nil) }
        #expect(streams.compactMap(\.self).count == 4)
        try world.cache.failSupply(#require(streams[0]))
        #expect(insert(world, nil) != nil)
        release(world, try #require(streams[0]))
        #expect(insert(world, nil) == nil)
    }

    /// A small arena full of what is held: the supplier waits, and goes on when somebody lets go.
    @Test func noRoom() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let first = try #require(insert(world, 3 << 20))
        #expect(fill(world, first, 3 << 20) == 3 << 20)
        let second = try #require(insert(world, 3 << 20))
        #expect(fill(world, second, 3 << 20) == 1 << 20)
        #expect(world.isStarved)
        release(world, first)
        world.settle()
        #expect(world.resumed.contains(second))
        #expect(fill(world, second, 2 << 20) == 2 << 20)
    }
}

/// `#expect` takes nothing that can not be copied.
extension ImageCacheWorld {
    fileprivate var suppliedImageCount: Int { cache.suppliedImageCount }

    fileprivate func suppliedByteCount(of image: ImageID) -> UInt64? {
        cache.suppliedByteCount(of: image)
    }

    fileprivate func fits(_ count: Int, in image: ImageID) -> Bool { cache.fits(count, in: image) }

    fileprivate func room(in image: ImageID) -> (arenaOffset: Int, byteCount: Int)? {
        cache.room(in: image)
    }

    fileprivate func idleSupplies() -> [ImageID] { cache.idleSupplies() }

    fileprivate func lookup(key: String) -> ImageID? { cache.lookup(key: key) }

    fileprivate func passGraceIfAwaited() { if isGraceAwaited { passGrace() } }
}
