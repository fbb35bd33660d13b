import Simulation
import Testing

@testable import TFTPStore

/// Images that are handed in: room, readers, and what becomes of memory.
struct ImageSupplyTests {
    static let mebibyte = ImageIndex.extentByteCount

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

    /// A reader has acknowledged everything before `extent`, and at least something.
    private func acknowledge(_ world: ImageCacheWorld, _ image: ImageID, _ extent: Int = 0) {
        world.cache.didAcknowledge(image, extent: extent)
        world.carryOut()
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
        #expect(world.imageIndex.filledByteCount(of: image) == 5000)
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
        // A waiting reader is told where the end is, and so is a later one.
        #expect(world.ends.map(\.waiter.slot) == [3])
        #expect(world.ends.map(\.byteCount) == [9096])
        world.want(image, 3, slot: 4)
        #expect(world.ends.map(\.waiter.slot) == [3, 4])
    }

    @Test func oneReaderHoldsTheSupplierBack() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let image = try #require(insert(world, nil))
        // There may be no reader.
        #expect(fill(world, image, 100 << 20) == Self.mebibyte)
        acknowledge(world, image)
        #expect(world.resumed == [image])
        let ahead = 8 * Self.mebibyte
        #expect(fill(world, image, 100 << 20) == ahead - Self.mebibyte)
        acknowledge(world, image, 3)
        #expect(world.resumed == [image, image])
        #expect(fill(world, image, 100 << 20) == 3 * Self.mebibyte)
        // What was passed is free after a grace.
        #expect(world.usedByteCount == ahead + 3 * Self.mebibyte)
        world.settle()
        #expect(world.usedByteCount == ahead)
        for number in 0..<3 { #expect(world.look(image, number) == nil) }
        // To wait far ahead says as much: no reader goes back farther than two windows.
        world.want(image, (11 * Self.mebibyte) / 4096 + 1)
        #expect(world.resumed == [image, image, image])
        #expect(world.look(image, 9) == nil)
        #expect(world.look(image, 10) != nil)
    }

    /// A reader that waits beyond the first window has acknowledged something, though the message
    /// was lost.
    @Test func aReaderThatWaitsIsThere() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let image = try #require(insert(world, nil, key: "a"))
        #expect(fill(world, image, 100 << 20) == Self.mebibyte)
        world.want(image, Self.mebibyte / 4096)
        #expect(world.answers.count == 1)
        #expect(world.resumed.isEmpty)
        world.want(image, Self.mebibyte / 4096 + 1)
        #expect(world.resumed == [image])
        #expect(fill(world, image, 5) == 5)
    }

    /// What was promised is enough to go on with, even when none of a reader's words arrive.
    @Test func twoExtentsAreEnough() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let image = try #require(insert(world, nil))
        var filled = 0
        for _ in 0..<20 {
            world.settle()
            filled += fill(world, image, 100 << 20)
            world.want(image, filled / 4096 + 1)
        }
        #expect(filled >= 18 * Self.mebibyte)
    }

    /// A reader begins far beyond what is there: what comes before goes through two extents and is
    /// given back.
    @Test func whatComesBeforeAPartIsPassed() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let image = try #require(insert(world, 20 << 20))
        let begin = 15 * Self.mebibyte + 77
        #expect(fill(world, image, 20 << 20) == Self.mebibyte)
        // It is known by its ACK of the OACK, and waits for its first block.
        acknowledge(world, image, begin / Self.mebibyte)
        world.want(image, begin / 4096 + 1, slot: 1)
        var filled = Self.mebibyte
        while world.answers.isEmpty {
            let count = fill(world, image, (20 << 20) - filled)
            try #require(count > 0 || world.isGraceAwaited)
            filled += count
            #expect(world.usedByteCount <= 4 << 20)
            world.settle()
        }
        #expect(world.answers.map(\.failure) == [nil])
        #expect(filled > begin && filled <= begin + 2 * Self.mebibyte)
        #expect(world.usedByteCount <= 2 * Self.mebibyte)
        #expect(world.look(image, 14) == nil)
        #expect(world.look(image, 15) != nil)
    }

    @Test func itHasNoReaderAnyMore() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let image = try #require(insert(world, nil))
        acknowledge(world, image)
        #expect(fill(world, image, 3 << 20) == 3 << 20)
        release(world, image)
        #expect(world.stopped == [image])
        world.settle()
        #expect(world.usedByteCount == 0)
        #expect(throws: SupplyError.unwanted) { try world.expect(1, in: image) }
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
        // A reader's progress takes nothing from the others.
        acknowledge(world, image, 2)
        #expect(fill(world, image, 3 << 20) == 3 << 20)
        #expect(world.look(image, 0) != nil)
        release(world, image)
        release(world, image)
        #expect(world.lookup(key: "a") == image)
        release(world, image)
        // It stays until the room is needed.
        world.settle()
        #expect(world.usedByteCount == 3 << 20)
        #expect(world.countedByteCount == 0)
        for _ in 0..<4 {
            let other = try #require(insert(world, 4 << 20, key: "b"))
            acknowledge(world, other)
            for _ in 0..<12 {
                world.settle()
                let left = (4 << 20) - Int(world.imageIndex.filledByteCount(of: other))
                _ = fill(world, other, left)
            }
            #expect(world.imageIndex.filledByteCount(of: other) == 4 << 20)
            release(world, other)
        }
        #expect(world.lookup(key: "a") == nil)
        world.settle()
        #expect(world.countedByteCount == 0)
    }

    @Test func tooLittleOrTooMuch() throws {
        let world = ImageCacheWorld()
        let image = try #require(insert(world, 100, key: "a"))
        try world.expect(100, in: image)
        #expect(throws: SupplyError.moreThanAnnounced) { try world.expect(101, in: image) }
        #expect(fill(world, image, 99) == 99)
        world.want(image, 1)
        let isWhole = world.cache.endSupply(image)
        world.carryOut()
        #expect(!isWhole)
        #expect(world.answers.map(\.failure) == [.handler])
        #expect(world.lookup(key: "a") == nil)
        world.want(image, 1)
        #expect(world.answers.map(\.failure) == [.handler, .handler])
        release(world, image)
        world.settle()
        #expect(world.usedByteCount == 0)
    }

    // MARK: Half of the arena

    /// Two extents for each stream, or no stream.
    @Test func notMoreStreamsThanExtents() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20, imagesMax: 64)
        let streams = (0..<5).map { _ in insert(world, nil) }
        #expect(streams.compactMap(\.self).count == 4)
        #expect(insert(world, 1000) == nil)
        for stream in streams.compactMap(\.self) {
            acknowledge(world, stream)
            #expect(fill(world, stream, 100 << 20) == 2 << 20)
        }
        #expect(world.usedByteCount == world.arenaByteCount / 2)
        // What it does not need any more is another one's.
        let first = try #require(streams[0])
        acknowledge(world, first, 1)
        let isWhole = world.cache.endSupply(first)
        #expect(isWhole)
        #expect(insert(world, 1 << 20) != nil)
        release(world, first)
        #expect(insert(world, 1 << 20) != nil)
        #expect(insert(world, 1) == nil)
    }

    /// A head start is had only from what half of the room leaves over, so it keeps no newcomer
    /// out.
    @Test func aHeadStartIsNoPromise() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20, imagesMax: 64)
        let first = try #require(insert(world, nil))
        acknowledge(world, first)
        #expect(fill(world, first, 100 << 20) == 8 << 20)
        let others = try (0..<4).map { _ in try #require(insert(world, nil)) }
        #expect(insert(world, nil) == nil)
        for other in others {
            acknowledge(world, other)
            #expect(fill(world, other, 100 << 20) == 2 << 20)
        }
        #expect(world.usedByteCount == world.arenaByteCount / 2)
        // It gives back as it goes on, and takes no more than is its own.
        acknowledge(world, first, 3)
        #expect(fill(world, first, 100 << 20) == 0)
        acknowledge(world, first, 7)
        #expect(fill(world, first, 100 << 20) == 1 << 20)
    }

    /// Small content counts as much as streams do.
    @Test func manySmallOnes() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20, imagesMax: 1024)
        var images: [ImageID] = []
        while let image = insert(world, 5000) {
            #expect(fill(world, image, 5000) == 5000)
            images.append(image)
        }
        #expect(images.count == (2 << 20) / 8192)
        let file = try #require(world.insert(byteCount: 1 << 20))
        world.settle()
        #expect(world.look(file, 0) != nil)
        release(world, images[0])
        #expect(insert(world, 5000) != nil)
    }

    /// Content with keys that does not fit beside the rest is for one reader; no reader waits for
    /// room that others keep.
    @Test func largeOnesWithKeys() throws {
        let world = ImageCacheWorld(arenaByteCount: 32 << 20)
        let images = try (0..<4).map { try #require(insert(world, 6 << 20, key: "\($0)")) }
        let shared = (0..<4).map { world.lookup(key: "\($0)") != nil }
        #expect(shared == [true, true, false, false])
        #expect(insert(world, 6 << 20, key: "4") == nil)
        for (image, isShared) in zip(images, shared) {
            acknowledge(world, image)
            #expect(fill(world, image, 6 << 20) == (isShared ? 6 << 20 : 2 << 20))
        }
        #expect(world.usedByteCount == world.arenaByteCount / 2)
    }

    /// What has no reader does not count, and counts again for the next reader, if there is room.
    @Test func keptForOthers() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20)
        let image = try #require(insert(world, 6 << 20, key: "a"))
        acknowledge(world, image)
        #expect(fill(world, image, 6 << 20) == 6 << 20)
        #expect(world.countedByteCount == 6 << 20)
        // The last word of its reader may be lost.
        world.release(image)
        #expect(world.idleSupplies() == [image])
        world.cache.didRelease(image)
        #expect(world.idleSupplies().isEmpty)
        #expect(world.countedByteCount == 0)
        let other = try #require(insert(world, 4 << 20, key: "b"))
        #expect(world.lookup(key: "a") == nil)
        release(world, other)
        #expect(world.lookup(key: "a") == image)
        #expect(world.countedByteCount == 6 << 20)
    }

    /// Without a size there is no promise; it grows as far as others leave room.
    @Test func withAKeyAndWithoutASize() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20)
        let image = try #require(insert(world, nil, key: "a"))
        acknowledge(world, image)
        for _ in 0..<8 {
            try world.expect(1 << 20, in: image)
            #expect(fill(world, image, 1 << 20) == 1 << 20)
        }
        #expect(throws: SupplyError.noRoomToShare) { try world.expect(1, in: image) }
        #expect(insert(world, 1) == nil)
        world.cache.failSupply(image, .tooSlow)
        #expect(world.lookup(key: "a") == nil)
        world.want(image, 3000)
        #expect(world.answers.map(\.failure) == [.tooSlow])
        release(world, image)
        #expect(world.countedByteCount == 0)
    }

    /// A small arena full of files that are held: the supplier waits, and goes on when a reader
    /// lets go.
    @Test func noRoom() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let files = try (0..<3).map { _ in try #require(world.insert(byteCount: 1 << 20)) }
        world.settle()
        let image = try #require(insert(world, 3 << 20))
        acknowledge(world, image)
        #expect(fill(world, image, 3 << 20) == 1 << 20)
        #expect(world.isStarved)
        world.release(files[0])
        world.settle()
        #expect(world.resumed.contains(image))
        #expect(fill(world, image, 2 << 20) == 0)
        world.settle()
        #expect(fill(world, image, 2 << 20) == 1 << 20)
    }

    /// Suppliers and readers in every order: never more than half of the arena, and nothing left in
    /// the end.
    @Test(arguments: 0..<20) func inEveryOrder(seed: Int) throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20, imagesMax: 32)
        var random = SimulationRandom(seed: UInt64(seed))
        var held: [ImageID] = []
        var acknowledged: [ImageID: Int] = [:]
        for _ in 0..<3000 {
            let image = held.randomElement(using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                let byteCount =
                    Bool.random(using: &random) ? nil : Int.random(in: 0..<6 << 20, using: &random)
                let key =
                    Bool.random(using: &random) ? "\(Int.random(in: 0..<6, using: &random))" : nil
                let found = key.flatMap { world.lookup(key: $0) }
                if let new = found ?? insert(world, byteCount, key: key) { held.append(new) }
            case 1, 2, 3, 4:
                guard let image else { continue }
                let count = Int.random(in: 1..<1 << 20, using: &random)
                if (try? world.expect(count, in: image)) != nil { _ = fill(world, image, count) }
            case 5:
                guard let image else { continue }
                let filled = Int(world.imageIndex.filledByteCount(of: image))
                let extent = Int.random(in: 0...(filled / Self.mebibyte), using: &random)
                acknowledge(world, image, max(extent, acknowledged[image] ?? 0))
                acknowledged[image] = max(extent, acknowledged[image] ?? 0)
            case 6:
                guard let image else { continue }
                if Bool.random(using: &random) {
                    _ = world.cache.endSupply(image)
                } else if Int.random(in: 0..<9, using: &random) == 0 {
                    world.cache.failSupply(image)
                }
                world.carryOut()
            default:
                guard !held.isEmpty else { continue }
                let index = Int.random(in: 0..<held.count, using: &random)
                release(world, held.remove(at: index))
                if Bool.random(using: &random) { world.settle() }
            }
            #expect(world.countedByteCount <= world.arenaByteCount / 2)
        }
        for image in held { release(world, image) }
        world.settle()
        #expect(world.countedByteCount == 0)
        #expect(world.usedByteCountWhenEmptied() == 0)
    }
}

/// `#expect` takes nothing that can not be copied.
extension ImageCacheWorld {
    fileprivate var suppliedImageCount: Int { cache.suppliedImageCount }

    fileprivate func suppliedByteCount(of image: ImageID) -> UInt64? {
        cache.suppliedByteCount(of: image)
    }

    fileprivate var countedByteCount: Int { cache.countedByteCount }

    fileprivate func expect(_ count: Int, in image: ImageID) throws {
        try cache.expect(count, in: image)
    }

    fileprivate func room(in image: ImageID) -> (arenaOffset: Int, byteCount: Int)? {
        cache.room(in: image)
    }

    fileprivate func idleSupplies() -> [ImageID] { cache.idleSupplies() }

    fileprivate func lookup(key: String) -> ImageID? { cache.lookup(key: key) }
}
