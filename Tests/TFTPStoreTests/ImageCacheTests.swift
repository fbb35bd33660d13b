import Testing

@testable import TFTPStore

struct ImageCacheTests {
    static let mebibyte = 1 << 20

    // MARK: Reading

    /// A thousand transfers that want the same: the disk reads it once, and each hears of it once.
    @Test func aThousandWaitersReadOnce() throws {
        let world = ImageCacheWorld(arenaByteCount: 8 << 20)
        let byteCount = 3 * Self.mebibyte + 100
        let id = try #require(world.insert(byteCount: byteCount))
        for number in 0..<4 {
            for slot in 0..<1000 { world.want(id, number, slot: 1000 * number + slot) }
        }
        world.finishAll()
        #expect(world.orderCount == 4)
        #expect(world.readByteCount == UInt64(byteCount))
        #expect(world.answers.count == 4000)
        #expect(world.answers.allSatisfy { $0.failure == nil })
        #expect(Set(world.answers.map(\.waiter.slot)).count == 4000)
        for number in 0..<4 { #expect(world.look(id, number) != nil) }
        // Who comes later is answered at once.
        world.want(id, 2, slot: 5000)
        #expect(world.answers.last?.waiter.slot == 5000)
        #expect(world.orders.isEmpty)
    }

    @Test func anEmptyFileNeedsNothing() throws {
        let world = ImageCacheWorld()
        let id = try #require(world.insert(byteCount: 0))
        #expect(world.orders.isEmpty)
        #expect(world.closedFiles == [0])
        #expect(world.imageIndex.byteCount(of: id) == 0)
        #expect(world.usedByteCount == 0)
    }

    /// The first extent is read when the file is opened, two more ahead of what is asked for.
    @Test func whatIsReadAhead() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20)
        let id = try #require(world.insert(byteCount: 9 << 20))
        #expect(world.orders.map(\.key.number) == [0])
        world.want(id, 0)
        #expect(world.orders.map(\.key.number) == [0, 1, 2])
        world.want(id, 4)
        #expect(world.orders.map(\.key.number) == [0, 1, 2, 4, 5, 6])
        world.want(id, 8)
        #expect(world.orders.map(\.key.number) == [0, 1, 2, 4, 5, 6, 8])
        world.finishAll()
        #expect((0..<9).filter { world.look(id, $0) != nil } == [0, 1, 2, 4, 5, 6, 8])
    }

    /// Who wants a part has its extents read and no others: not from the file's beginning, and none
    /// ahead of its end.
    @Test func whatIsReadOfAPart() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let id = try #require(
            world.insert(byteCount: 20 << 20, offset: 10 * UInt64(Self.mebibyte) + 5))
        #expect(world.orders.map(\.key.number) == [10])
        world.want(id, 10, before: 12)
        #expect(world.orders.map(\.key.number) == [10, 11])
        world.settle()
        world.want(id, 11, before: 12)
        #expect(world.readByteCount == UInt64(2 * Self.mebibyte))
        // Another one, to the end of the file.
        world.want(id, 18, before: 20)
        world.settle()
        #expect(world.readByteCount == UInt64(4 * Self.mebibyte))
        #expect(world.answers.allSatisfy { $0.failure == nil })
    }

    /// Nothing is wanted of a file whose end is the beginning of the part.
    @Test func aPartWithoutBytes() throws {
        let world = ImageCacheWorld()
        for byteCount in [1, Self.mebibyte, 3 * Self.mebibyte] {
            let id = try #require(world.insert(byteCount: byteCount, offset: UInt64(byteCount)))
            #expect(world.orders.isEmpty)
            world.release(id)
        }
        #expect(world.usedByteCountWhenEmptied() == 0)
        #expect(world.files.allSatisfy { !$0.isOpen })
    }

    /// A file that is all in memory needs its descriptor no more; one of several extents may.
    @Test func whenTheFileIsClosed() throws {
        let world = ImageCacheWorld()
        _ = try #require(world.insert(byteCount: 5000))
        #expect(world.closedFiles == [])
        world.finishAll()
        #expect(world.closedFiles == [0])
    }

    @Test func aShortReadGoesOn() throws {
        let world = ImageCacheWorld()
        let id = try #require(world.insert(byteCount: Self.mebibyte + 5000))
        world.want(id, 0)
        world.finish(byteCount: 4096)
        #expect(world.answers.isEmpty)
        let rest = try #require(world.orders.last)
        #expect(rest.fileOffset == 4096)
        #expect(rest.byteCount == Self.mebibyte - 4096)
        #expect(rest.key.number == 0)
        // Again and again, a byte at a time for a while.
        for _ in 0..<10 { world.finish(world.orders.count - 1, byteCount: 1) }
        #expect(world.orders.last?.fileOffset == 4106)
        world.finishAll()
        #expect(world.answers.map(\.failure) == [nil])
        #expect(world.readByteCount == UInt64(Self.mebibyte + 5000))
        #expect(world.look(id, 0) != nil && world.look(id, 1) != nil)
    }

    // MARK: What goes wrong

    /// The file was changed: all readers that wait for a part of it are told, and it is another
    /// file from now on.
    @Test(arguments: [nil, 10] as [Int?])
    func aChangedFileFailsForAllWhoWait(byteCount: Int?) throws {
        let world = ImageCacheWorld(arenaByteCount: 8 << 20)
        let id = try #require(world.insert(byteCount: 3 << 20))
        let identity = world.files[0].identity
        for slot in 0..<30 { world.want(id, slot % 3, slot: slot) }
        world.change(0, byteCount: byteCount)
        world.finish()
        #expect(world.answers.count == 30)
        #expect(world.answers.allSatisfy { $0.failure == .changed })
        #expect(Set(world.answers.map(\.waiter.slot)).count == 30)
        #expect(world.imageIndex.failure(of: id) == .changed)
        #expect(world.lookup(identity) == nil)
        world.finishAll()
        // Who holds it still hears of it.
        world.want(id, 2, slot: 99)
        #expect(world.answers.last?.failure == .changed)
        world.release(id)
        #expect(world.usedByteCountWhenEmptied() == 0)
        #expect(world.files.allSatisfy { !$0.isOpen })
    }

    @Test(arguments: [.input, .busy, .diskFull] as [StoreFailure])
    func aReadThatFails(failure: StoreFailure) throws {
        let world = ImageCacheWorld()
        let id = try #require(world.insert(byteCount: 2 << 20))
        world.want(id, 0, slot: 1)
        world.want(id, 1, slot: 2)
        world.finish(failure: failure)
        #expect(world.answers.map(\.failure) == [failure, failure])
        world.finishAll()
        #expect(world.answers.count == 2)
        world.release(id)
        #expect(world.usedByteCountWhenEmptied() == 0)
    }

    /// A read of nothing where something should be: the file was cut, though its size says
    /// otherwise.
    @Test func aReadOfNothing() throws {
        let world = ImageCacheWorld()
        let id = try #require(world.insert(byteCount: 5000))
        world.want(id, 0)
        world.finish(byteCount: 0)
        #expect(world.answers.map(\.failure) == [.changed])
    }

    /// Losing a name changes ctime alone: the content is still what was opened.
    @Test func aFileThatLostItsName() throws {
        let world = ImageCacheWorld()
        let id = try #require(world.insert(byteCount: 2 << 20))
        world.files[0].identity.changedNanoseconds += 1
        world.want(id, 1)
        world.finishAll()
        #expect(world.answers.map(\.failure) == [nil])
        #expect(world.look(id, 1) != nil)
    }

    /// After a failure the same file may be opened anew, beside who still holds the failed image.
    @Test func afterAFailureItIsReadAnew() throws {
        let world = ImageCacheWorld()
        let file = world.openFile(byteCount: 5000)
        let identity = world.files[0].identity
        let first = try #require(world.insert(identity, file: file))
        world.finish(failure: .input)
        world.files.append(.init(identity: identity, version: 77))
        let second = try #require(world.insert(identity, file: 1))
        #expect(first != second)
        world.want(second, 0)
        world.finishAll()
        #expect(world.answers.map(\.failure) == [nil])
        #expect(world.lookup(identity) == second)
        world.release(first)
        world.release(second)
        world.release(second)
        #expect(world.usedByteCountWhenEmptied() == 0)
        #expect(world.files.allSatisfy { !$0.isOpen })
    }

    // MARK: Room

    /// Never more than the arena, whatever is wanted; and every reader gets it in the end.
    @Test func theBudget() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let id = try #require(world.insert(byteCount: 20 << 20))
        for number in 0..<20 {
            world.want(id, number, slot: number)
            world.settle()
            #expect(world.usedByteCount <= 4 << 20)
            #expect(world.look(id, number) != nil, "extent \(number)")
        }
        #expect(world.answers.map(\.waiter.slot) == (0..<20).map { UInt32($0) })
        #expect(world.evictedExtentCount >= 16)
        world.release(id)
        #expect(world.usedByteCountWhenEmptied() == 0)
    }

    /// Between the withdrawal of an extent and the end of the grace its place has no owner.
    @Test func nothingIsUsedAgainBeforeTheGraceHasPassed() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let first = try #require(world.insert(byteCount: 4 << 20))
        for number in 0..<4 { world.want(first, number) }
        world.settle()
        var places: [Int] = []
        for number in 0..<4 { places.append(try #require(world.look(first, number))) }
        // The first look takes the mark of use away, so that something goes.
        let second = try #require(world.insert(byteCount: 2 << 20))
        world.want(second, 0)
        world.want(second, 1)
        #expect(world.isGraceAwaited)
        // A shard may be reading any of the four places: none is read into.
        #expect(world.orders.isEmpty)
        for (number, place) in places.enumerated() {
            #expect(world.holds(place, 0, number))
        }
        #expect(world.usedByteCount == 4 << 20)
        world.settle()
        #expect(world.look(second, 0) != nil)
        #expect(world.look(second, 1) != nil)
    }

    /// What was withdrawn while a grace was under way waits for the next one.
    @Test func aGraceCoversWhatWasWithdrawnBeforeIt() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20, imagesMax: 64)
        var ids: [ImageID] = []
        for _ in 0..<4 { ids.append(try #require(world.insert(byteCount: Self.mebibyte))) }
        world.settle()
        for id in ids { world.release(id) }
        let large = try #require(world.insert(byteCount: 4 << 20))
        #expect(world.isGraceAwaited)
        let graceCount = world.graceCount
        world.want(large, 1)
        world.want(large, 2)
        world.want(large, 3)
        #expect(world.graceCount == graceCount)
        world.passGrace()
        // One extent's place was on its way to being free when the grace began; the others need
        // another grace.
        #expect(world.orders.count <= 4)
        world.settle()
        for number in 1..<4 { #expect(world.look(large, number) != nil) }
    }

    /// A small file is all in memory and its descriptor is closed: while a transfer holds it, it
    /// stays.
    @Test func aHeldImageIsNotTakenDown() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        let held = try #require(world.insert(byteCount: 500_000))
        world.settle()
        let large = try #require(world.insert(byteCount: 12 << 20))
        for number in 0..<12 {
            world.want(large, number)
            world.settle()
            #expect(world.imageIndex.extent(0, of: held) != nil)
        }
        world.release(held)
        world.release(large)
        #expect(world.usedByteCountWhenEmptied() == 0)
    }

    /// All of the arena is held: a reader that wants more waits until another one leaves.
    @Test func starvationEnds() throws {
        let world = ImageCacheWorld(arenaByteCount: 4 << 20)
        var held: [ImageID] = []
        for _ in 0..<4 { held.append(try #require(world.insert(byteCount: Self.mebibyte))) }
        world.settle()
        let late = try #require(world.insert(byteCount: 5000))
        world.want(late, 0)
        for _ in 0..<5 { world.settle() }
        #expect(world.answers.isEmpty)
        #expect(world.isStarved)
        world.release(held[2])
        world.settle()
        #expect(world.answers.map(\.failure) == [nil])
        #expect(!world.isStarved)
        #expect(world.look(late, 0) != nil)
    }

    /// Every place is held: nil. As soon as one is let go of, and its grace has passed, there is
    /// room.
    @Test func imagePlacesRunOut() throws {
        let world = ImageCacheWorld(imagesMax: 4)
        var held: [ImageID] = []
        for _ in 0..<4 { held.append(try #require(world.insert(byteCount: 100))) }
        world.settle()
        #expect(world.insert(byteCount: 100) == nil)
        #expect(world.insert(byteCount: 0) == nil)
        world.release(held[1])
        // The place is free only when no shard can be looking at it.
        #expect(world.insert(byteCount: 100) == nil)
        #expect(world.isGraceAwaited)
        world.passGrace()
        let late = try #require(world.insert(byteCount: 100))
        #expect(late.index == held[1].index)
        #expect(late.generation != held[1].generation)
        #expect(!world.imageIndex.retain(held[1]))
        for id in [held[0], held[2], held[3], late] { world.release(id) }
        #expect(world.usedByteCountWhenEmptied() == 0)
        #expect(world.files.allSatisfy { !$0.isOpen })
    }

    /// Idle images make way before the places have run out: the grace takes a while, and no reader
    /// is refused meanwhile.
    @Test func idleImagesMakeWayInTime() throws {
        let world = ImageCacheWorld(arenaByteCount: 8 << 20, imagesMax: 256)
        for _ in 0..<1000 {
            let id = try #require(world.insert(byteCount: 100))
            world.finish()
            world.release(id)
            // Only every other request finds that the shards have come round.
            if world.isGraceAwaited && world.files.count % 2 == 0 { world.passGrace() }
        }
        #expect(world.usedByteCountWhenEmptied() == 0)
    }

    /// An image that is being read is not taken down, even without a holder.
    @Test func aReadUnderWayKeepsTheImage() throws {
        let world = ImageCacheWorld(imagesMax: 1)
        let id = try #require(world.insert(byteCount: 100))
        world.release(id)
        #expect(world.insert(byteCount: 100) == nil)
        #expect(!world.isGraceAwaited)
        world.finish()
        #expect(world.insert(byteCount: 100) == nil)
        world.passGrace()
        #expect(world.insert(byteCount: 100) != nil)
    }

    @Test func lookupHolds() throws {
        let world = ImageCacheWorld(imagesMax: 2)
        let id = try #require(world.insert(byteCount: 100))
        world.settle()
        #expect(world.lookup(world.files[0].identity) == id)
        world.release(id)
        #expect(world.imageIndex.isHeld(id))
        world.release(id)
        #expect(!world.imageIndex.isHeld(id))
        var other = world.files[0].identity
        other.changedNanoseconds += 1
        #expect(world.lookup(other) == nil)
    }

    // MARK: Files

    /// Files of several extents stay open, but no more than there may be.
    @Test func openFilesRunOut() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20, imagesMax: 64, filesMax: 3)
        var held: [ImageID] = []
        for _ in 0..<3 { held.append(try #require(world.insert(byteCount: 3 << 20))) }
        world.settle()
        #expect(world.openFileCount == 3)
        #expect(world.insert(byteCount: 3 << 20) == nil)
        #expect(world.openFileCount == 3)
        world.release(held[1])
        let late = try #require(world.insert(byteCount: 3 << 20))
        world.want(late, 2)
        world.settle()
        #expect(world.answers.map(\.failure) == [nil])
        #expect(world.closedFiles == [1])
        for id in [held[0], held[2], late] { world.release(id) }
        #expect(world.usedByteCountWhenEmptied() == 0)
        #expect(world.openFileCount == 0)
    }

    /// A file that is not asked for any more is released, except by its readers.
    @Test func anImageIsForgotten() throws {
        let world = ImageCacheWorld(arenaByteCount: 16 << 20, imagesMax: 64)
        let id = try #require(world.insert(byteCount: 3 << 20))
        for number in 0..<3 { world.want(id, number) }
        world.settle()
        #expect(world.idleFiles == [])
        world.forget(id)
        #expect(world.look(id, 2) != nil)
        world.release(id)
        #expect(world.idleFiles == [0])
        world.forget(id)
        #expect(world.closedFiles == [0])
        #expect(world.lookup(world.files[0].identity) == nil)
        #expect(!world.imageIndex.retain(id))
        // The places are free when every shard has come round.
        #expect(world.usedByteCount == 3 << 20)
        world.settle()
        #expect(world.usedByteCount == 0)
        world.forget(id)
        #expect(!world.isGraceAwaited)
    }

    /// A question that was asked by a transfer that has ended since: the image may be gone, and its
    /// place taken.
    @Test func aStaleQuestion() throws {
        let world = ImageCacheWorld(imagesMax: 1)
        let old = try #require(world.insert(byteCount: 5000))
        world.settle()
        world.release(old)
        world.want(old, 0, slot: 1)
        #expect(world.answers.map(\.failure) == [nil])
        #expect(world.insert(byteCount: 6000) == nil)
        world.want(old, 0, slot: 2)
        world.passGrace()
        let new = try #require(world.insert(byteCount: 7000))
        world.want(old, 0, slot: 3)
        let stale = world.answers.dropFirst().map(\.failure)
        #expect(stale == [.changed, .changed])
        world.want(new, 0, slot: 4)
        world.settle()
        #expect(world.answers.last?.failure == nil)
    }
}
