import Simulation
import Testing

@testable import TFTPStore

/// What was acknowledged is on the disk, wherever the power is cut.
///
/// A recorded disk carries out what `UploadTable` asks for, in an order drawn from a seed, and
/// after every single operation the worst that a power cut may leave is compared with what clients
/// were told.
struct DurabilityTests {
    @Test(arguments: 0..<200 as Range<UInt64>)
    func nothingAcknowledgedIsLostAtAnyCut(seed: UInt64) {
        var world = DiskWorld(seed: seed, isDurable: true)
        world.run()
        #expect(world.lostNames == [])
        #expect(world.tornNames == [])
        #expect(world.ackedCount == world.uploadsMax)
        #expect(world.cutsCount > 40)
    }

    /// The same world without syncs loses something: it can tell.
    @Test func withoutSyncsSomethingIsLost() {
        var lossyCount = 0
        for seed in 0..<20 as Range<UInt64> {
            var world = DiskWorld(seed: seed, isDurable: false)
            world.run()
            if !world.lostNames.isEmpty { lossyCount += 1 }
        }
        #expect(lossyCount == 20)
    }

    /// Many uploads at once need far fewer syncs of their folder than there are uploads.
    @Test func syncsAreShared() {
        var world = DiskWorld(seed: 7, isDurable: true, uploadsMax: 200, folderCount: 1)
        world.run()
        #expect(world.lostNames == [])
        #expect(world.folderSyncsCount < 100)
    }
}

/// A disk that keeps what was synced, and uploads that go to it.
struct DiskWorld: ~Copyable {
    private enum Operation {
        case write(UInt32, byteCount: Int)
        /// What was written when it began.
        case sync(UInt32, byteCount: Int)
        /// The names that there were when it began.
        case syncFolder(InodeIdentity, [Int: UInt32])
        case place(UInt32)
    }

    private struct Source {
        /// Chunks that are left to be handed in.
        var chunksLeft: Int
        let name: Int
        let folder: InodeIdentity
        var byteCount = 0
        var writtenByteCount = 0
        var durableByteCount = 0
        var isAcked = false
    }

    let uploadsMax: Int
    private var random: SimulationRandom
    private var table: UploadTable
    private var sources: [Source] = []
    private var inFlight: [Operation] = []
    /// What each folder's names lead to, now and on the disk.
    private var names: [Int: UInt32] = [:]
    private var durableNames: [Int: UInt32] = [:]
    /// The order in which uploads got their names.
    private var placedAt: [UInt32: Int] = [:]
    private(set) var lostNames: Set<Int> = []
    private(set) var tornNames: Set<Int> = []
    private(set) var cutsCount = 0
    private(set) var folderSyncsCount = 0

    var ackedCount: Int { sources.count { $0.isAcked } }

    init(seed: UInt64, isDurable: Bool, uploadsMax: Int = 12, folderCount: UInt64 = 2) {
        self.uploadsMax = uploadsMax
        random = SimulationRandom(seed: seed)
        table = UploadTable(uploadsMax: uploadsMax, isDurable: isDurable)
        for index in 0..<uploadsMax {
            let number = table.open(
                UploadTable.Upload(
                    file: Int32(index), placing: .replace, shard: 0, slot: UInt32(index),
                    generation: 0))
            precondition(number == index)
            // Names are written more than once.
            let name = index % max(1, uploadsMax / 2)
            sources.append(
                Source(
                    chunksLeft: 1 + Int(random.below(4)), name: name,
                    folder: InodeIdentity(device: 0, inode: UInt64(name) % folderCount)))
        }
    }

    mutating func run() {
        var openCount = uploadsMax
        while openCount > 0 {
            step()
            while !table.actions.isEmpty {
                if case .discard(let number) = table.actions[0] {
                    table.close(number)
                    openCount -= 1
                    table.actions.removeFirst()
                } else {
                    begin(table.actions.removeFirst())
                }
                if table.actions.isEmpty && random.below(2) == 0 { table.startFolderSyncs() }
                cut()
            }
            table.startFolderSyncs()
        }
    }

    /// Hands a chunk in, or ends an operation.
    private mutating func step() {
        let ready = sources.indices.filter { sources[$0].chunksLeft > 0 }
        if let index = ready.isEmpty ? nil : ready[Int(random.below(UInt64(ready.count)))],
            inFlight.isEmpty || random.below(3) > 0
        {
            return handIn(index)
        }
        guard !inFlight.isEmpty else { return }
        end(inFlight.remove(at: Int(random.below(UInt64(inFlight.count)))))
    }

    private mutating func handIn(_ index: Int) {
        sources[index].chunksLeft -= 1
        let byteCount = 1 + Int(random.below(100))
        let isLast = sources[index].chunksLeft == 0
        let offset = table.stepWrite(UInt32(index), byteCount: byteCount, isLast: isLast)
        precondition(offset == UInt64(sources[index].byteCount))
        sources[index].byteCount += byteCount
        inFlight.append(.write(UInt32(index), byteCount: byteCount))
    }

    private mutating func begin(_ action: UploadTable.Action) {
        switch action {
        case .sync(let number, _):
            inFlight.append(.sync(number, byteCount: sources[Int(number)].writtenByteCount))
        case .syncFolder(let folder, _):
            folderSyncsCount += 1
            let here = names.filter { sources[Int($0.value)].folder == folder }
            inFlight.append(.syncFolder(folder, here))
        case .place(let number): inFlight.append(.place(number))
        case .commit(let number): sources[Int(number)].isAcked = true
        case .writeBack: break
        case .copy, .fail, .discard: preconditionFailure("\(action)")
        }
    }

    private mutating func end(_ operation: Operation) {
        switch operation {
        case .write(let number, let byteCount):
            sources[Int(number)].writtenByteCount += byteCount
            table.didWrite(number, failure: nil)
        case .sync(let number, let byteCount):
            sources[Int(number)].durableByteCount = byteCount
            table.didSync(number, failure: nil)
        case .syncFolder(let folder, let names):
            durableNames.merge(names) { $1 }
            table.didSyncFolder(folder, failure: nil)
        case .place(let number):
            placedAt[number] = placedAt.count
            names[sources[Int(number)].name] = number
            table.didPlace(
                number, in: [.init(identity: sources[Int(number)].folder, file: 0)])
        }
    }

    /// What a power cut leaves now, at worst.
    private mutating func cut() {
        cutsCount += 1
        for (index, source) in sources.enumerated() where source.isAcked {
            let kept = durableNames[source.name]
            // Another upload of the same name may have come after it.
            let isLater = kept.map { placedAt[$0]! >= placedAt[UInt32(index)]! } ?? false
            if !isLater { lostNames.insert(source.name) }
        }
        // A file system may keep a name sooner than it must, and what it leads to has to be whole.
        for (name, number) in names {
            let source = sources[Int(number)]
            if source.durableByteCount < source.byteCount { tornNames.insert(name) }
        }
    }
}
