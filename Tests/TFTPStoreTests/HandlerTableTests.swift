import Simulation
import Testing

@testable import TFTPStore

/// What `HandlerTable` decides, with numbers in and actions out.
struct HandlerTableTests {
    static let patience: UInt64 = 10_000_000_000

    static func client(_ slot: UInt32, shard: Int = 0) -> StoreClient {
        StoreClient(shard: shard, slot: slot, generation: 7, pending: slot)
    }

    /// A table with the cache that it decides about.
    struct World: ~Copyable {
        var table: HandlerTable
        var cache: ImageCache
        private let arena: UnsafeMutableRawPointer

        init(capacity: Int = 8) {
            let byteCount = 16 * ImageIndex.extentByteCount
            arena = .allocate(byteCount: byteCount, alignment: 4096)
            let index = ImageIndex(arena: UnsafeRawPointer(arena), imagesMax: 64)
            cache = ImageCache(imageIndex: index, arenaByteCount: byteCount)
            table = HandlerTable(
                capacity: capacity, shardCount: 2, pendingsMax: 64,
                patienceNanoseconds: HandlerTableTests.patience)
        }

        deinit {
            cache.imageIndex.destroy()
            arena.deallocate()
        }

        /// Takes what the table has decided.
        mutating func actions() -> [HandlerTable.Action] {
            defer { table.actions = [] }
            return table.actions
        }

        mutating func open(_ slot: UInt32, now: UInt64 = 0) -> UInt32? {
            table.open(HandlerTableTests.client(slot), now: now)?.number
        }

        mutating func stream(
            _ number: UInt32, _ byteCount: UInt64? = nil, key: String? = nil
        ) -> Bool {
            table.stepStream(number, byteCount: byteCount, key: key, now: 0, &cache)
        }

        /// Hands bytes in. Returns how many were copied.
        mutating func supply(_ number: UInt32, _ byteCount: Int, isLast: Bool = false) -> Int {
            table.stepSupply(number, byteCount: byteCount, hasWriter: !isLast, isLast: isLast)
            return fill(number)
        }

        mutating func fill(_ number: UInt32) -> Int {
            var copiedByteCount = 0
            table.stepFill(number, now: 0, &cache) { _, count in copiedByteCount += count }
            return copiedByteCount
        }
    }

    // MARK: Rows

    @Test func rowsAreBoundedAndTold() throws {
        var world = World(capacity: 3)
        let numbers = (0..<3 as Range<UInt32>).compactMap { world.open($0) }
        #expect(numbers.count == 3)
        let none = world.open(3)
        #expect(none == nil)
        let old = world.table.id(of: numbers[1])
        let isWanted = world.table.stepAnswer(numbers[1])
        #expect(isWanted)
        let seen1 = world.actions()
        #expect(seen1 == [.forget(numbers[1])])
        let opened1 = world.open(4)
        let again = try #require(opened1)
        #expect(again == numbers[1])
        let (isOldOpen, isNewOpen) = (
            world.table.isOpen(old), world.table.isOpen(world.table.id(of: again))
        )
        #expect(!isOldOpen && isNewOpen)
    }

    @Test func aLateAnswer() throws {
        var world = World()
        let opened2 = world.open(1)
        let number = try #require(opened2)
        world.table.stepTime(now: Self.patience / 2, &world.cache)
        let seen2 = world.actions()
        #expect(seen2 == [])
        world.table.stepTime(now: Self.patience + 2_000_000, &world.cache)
        let seen21 = world.actions()
        #expect(
            seen21 == [
                .note(number, .tooSlow), .refuse(Self.client(1), .tooSlow), .cancelTask(number),
            ])
        // The task has its row until it ends, and its answer is dropped.
        let rowsCount = world.table.openCount
        #expect(rowsCount == 1)
        let isWanted = world.stream(number)
        #expect(!isWanted)
        let seen3 = world.actions()
        #expect(seen3 == [.forget(number)])
    }

    @Test func aClientThatGoes() throws {
        var world = World()
        let opened3 = world.open(1)
        let number = try #require(opened3)
        world.table.stepGiveUp(pending: 1, shard: 0, &world.cache)
        let seen4 = world.actions()
        #expect(seen4 == [.refuse(Self.client(1), .busy), .cancelTask(number)])
        world.table.stepGiveUp(pending: 1, shard: 0, &world.cache)
        let seen5 = world.actions()
        #expect(seen5 == [])
        world.table.stepEnd(number, isWell: false, &world.cache)
        let seen6 = world.actions()
        #expect(seen6 == [.forget(number)])
    }

    // MARK: Streams

    @Test func theFirstByteAnswers() throws {
        var world = World()
        let opened4 = world.open(1)
        let number = try #require(opened4)
        let isWanted = world.stream(number, 300)
        #expect(isWanted)
        let seen7 = world.actions()
        #expect(seen7 == [])
        let copied = world.supply(number, 100)
        #expect(copied == 100)
        let actions = world.actions()
        #expect(actions.count == 2 && actions[0] == .resumeWriter(number))
        guard case .answer(Self.client(1), let image, 300) = actions[1] else {
            Issue.record("\(actions)")
            return
        }
        let filled = world.cache.imageIndex.filledByteCount(of: image)
        #expect(filled == 100)
        _ = world.supply(number, 200)
        world.table.stepEnd(number, isWell: true, &world.cache)
        let seen8 = world.actions()
        #expect(seen8 == [.resumeWriter(number), .forget(number)])
    }

    /// Requests with one key share one stream, and hear of it with its first byte.
    @Test func requestsShareAStream() throws {
        var world = World()
        let numbers = (1...3 as ClosedRange<UInt32>).compactMap { world.open($0) }
        let wanted = numbers.map { world.stream($0, 300, key: "k") }
        #expect(wanted == [true, false, false])
        let seen9 = world.actions()
        #expect(seen9 == [])
        world.table.stepGiveUp(pending: 2, shard: 0, &world.cache)
        let seen10 = world.actions()
        #expect(seen10 == [.refuse(Self.client(2), .busy), .forget(numbers[1])])
        _ = world.supply(numbers[0], 10)
        let answered = world.actions().compactMap { action -> UInt32? in
            if case .answer(let client, _, _) = action { client.slot } else { nil }
        }
        #expect(answered == [1, 3])
        let rowsCount = world.table.openCount
        #expect(rowsCount == 1)
        // A later client has the image at once.
        let opened5 = world.open(4)
        let late = try #require(opened5)
        let isWanted = world.stream(late, 300, key: "k")
        #expect(!isWanted)
        let late2 = world.actions()
        #expect(late2.contains { if case .answer = $0 { true } else { false } })
    }

    @Test func aStreamThatFails() throws {
        var world = World()
        let numbers = (1...2 as ClosedRange<UInt32>).compactMap { world.open($0) }
        _ = numbers.map { world.stream($0, 300, key: "k") }
        // More than was announced.
        _ = world.supply(numbers[0], 301)
        let seen22 = world.actions()
        #expect(
            seen22 == [
                .note(numbers[0], .refused(.moreThanAnnounced)),
                .refuse(Self.client(1), .handler), .refuse(Self.client(2), .handler),
                .forget(numbers[1]), .stopWriter(numbers[0], .moreThanAnnounced),
                .cancelTask(numbers[0]),
            ])
        world.table.stepEnd(numbers[0], isWell: false, &world.cache)
        let seen11 = world.actions()
        #expect(seen11 == [.forget(numbers[0])])
        let kept = world.cache.lookup(key: "k")
        #expect(kept == nil)
    }

    /// Fewer bytes than were announced are no content.
    @Test func aShortStream() throws {
        var world = World()
        let opened6 = world.open(1)
        let number = try #require(opened6)
        _ = world.stream(number, 300)
        _ = world.supply(number, 299, isLast: true)
        let seen12 = world.actions()
        #expect(seen12 == [.refuse(Self.client(1), .handler), .forget(number)])
    }

    @Test func aReaderThatWaitsInVain() throws {
        var world = World()
        let opened7 = world.open(1)
        let number = try #require(opened7)
        _ = world.stream(number, 9000)
        _ = world.supply(number, 4096)
        guard case .answer(_, let image, _) = world.actions().last else {
            Issue.record("no answer")
            return
        }
        let second: UInt64 = 1_000_000_000
        let waiter = ImageCache.Waiter(shard: 0, slot: 1, generation: 7)
        world.cache.want(image, 2, for: waiter)
        world.table.stepWait(image, now: 20 * second, world.cache)
        world.table.stepTime(now: 29 * second, &world.cache)
        let seen13 = world.actions()
        #expect(seen13 == [])
        world.table.stepTime(now: 31 * second, &world.cache)
        let seen14 = world.actions()
        #expect(seen14 == [.note(number, .stuck), .cancelTask(number)])
        let cacheActions = world.cache.actions
        #expect(cacheActions.contains(.answer(waiter, failure: .tooSlow)))
    }

    // MARK: Uploads

    @Test func anUploadIsCommittedWhenAllIsTakenAndTheTaskHasReturned() throws {
        for endsFirst in [false, true] {
            var world = World()
            let opened8 = world.open(1)
            let number = try #require(opened8)
            let isWanted = world.table.stepConsume(number)
            #expect(isWanted)
            guard case .openUpload(Self.client(1), let upload) = world.actions().last else {
                Issue.record("no upload")
                return
            }
            world.table.stepChunk(upload, shard: 0, 11, byteCount: 100, isLast: false)
            let seen15 = world.actions()
            #expect(seen15 == [])
            let goesOn = world.table.stepNext(number)
            #expect(goesOn)
            let seen23 = world.actions()
            #expect(
                seen23 == [
                    .resumeConsumer(number, chunk: 11, byteCount: 100, shard: 0)
                ])
            if endsFirst { world.table.stepEnd(number, isWell: true, &world.cache) }
            world.table.stepChunk(upload, shard: 0, 12, byteCount: 0, isLast: true)
            let end: [HandlerTable.Action] = [.commit(Self.client(1)), .forget(number)]
            let giveBack = HandlerTable.Action.giveBack(chunk: 12, shard: 0)
            let seen16 = world.actions()
            #expect(seen16 == (endsFirst ? [giveBack] + end : [giveBack]))
            if !endsFirst {
                world.table.stepEnd(number, isWell: true, &world.cache)
                let seen17 = world.actions()
                #expect(seen17 == end)
            }
            // What still speaks of it finds nothing.
            world.table.stepChunk(upload, shard: 0, 13, byteCount: 5, isLast: false)
            let seen18 = world.actions()
            #expect(seen18 == [.giveBack(chunk: 13, shard: 0)])
        }
    }

    @Test func anUploadThatIsGivenUp() throws {
        var world = World()
        let opened9 = world.open(1)
        let number = try #require(opened9)
        _ = world.table.stepConsume(number)
        guard case .openUpload(_, let upload) = world.actions().last else { return }
        _ = world.table.stepNext(number)
        world.table.stepAbort(upload)
        let seen19 = world.actions()
        #expect(seen19 == [.stopConsumer(number), .cancelTask(number)])
        world.table.stepEnd(number, isWell: false, &world.cache)
        let seen20 = world.actions()
        #expect(seen20 == [.forget(number)])
    }

    // MARK: In any order

    /// Whatever comes in whatever order: each client is answered once, each task that waits goes on
    /// once, and each chunk comes back once.
    @Test(arguments: 0..<100 as Range<UInt64>)
    func everyoneIsAnsweredOnce(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        var world = World(capacity: 6)
        var ledger = Ledger()
        var now: UInt64 = 0
        for _ in 0..<400 {
            now += UInt64(random.below(4)) * Self.patience / 8
            let number = UInt32(random.below(6))
            let event = random.below(10)
            ledger.step(event, number, now, &world, &random)
            ledger.take(world.actions())
            while !world.cache.actions.isEmpty { ledger.carryOut(&world, now) }
        }
        world.table.stepStop()
        ledger.take(world.actions())
        #expect(ledger.isBalanced)
        #expect(ledger.answeredCount > 5)
    }

    /// Which request waits for what, as the caller of a table knows it.
    struct Ledger {
        private(set) var answeredCount = 0
        private(set) var isBalanced = true
        private var nextSlot: UInt32 = 0
        private var waiting: Set<UInt32> = []
        private var writers: Set<UInt32> = []
        private var consumers: Set<UInt32> = []
        private var uploads: [UInt32: UInt32] = [:]
        private var chunks: Set<UInt32> = []
        private var nextChunk: UInt32 = 0
        private var open: Set<UInt32> = []
        /// Rows whose task runs a body.
        private var bodies: Set<UInt32> = []
        /// Rows that may share what another one streams; they have no task any more.
        private var shares: Set<UInt32> = []

        mutating func step(
            _ event: Int, _ number: UInt32, _ now: UInt64, _ world: inout World,
            _ random: inout SimulationRandom
        ) {
            if event == 0 {
                nextSlot = (nextSlot + 1) % 64
                guard !waiting.contains(nextSlot), let number = world.open(nextSlot, now: now)
                else { return }
                open.insert(number)
                waiting.insert(nextSlot)
                return
            }
            if event == 1 { return world.table.stepTime(now: now, &world.cache) }
            guard open.contains(number) else { return }
            switch event {
            case 2, 3, 4: begin(event, number, &world)
            case 5:
                guard world.table.takesBytes(number) else { return }
                writers.insert(number)
                _ = world.supply(number, 1 + random.below(3000))
            case 6: if world.table.stepNext(number) { consumers.insert(number) }
            case 7:
                guard let upload = uploads[number] else { return }
                nextChunk += 1
                chunks.insert(nextChunk)
                world.table.stepChunk(
                    upload, shard: 0, nextChunk, byteCount: 10, isLast: random.below(4) == 0)
            case 8: end(number, isWell: random.below(3) > 0, &world)
            default:
                world.table.stepGiveUp(
                    pending: UInt32(random.below(64)), shard: 0, &world.cache)
            }
        }

        /// The handler answers with a body, once.
        private mutating func begin(_ event: Int, _ number: UInt32, _ world: inout World) {
            guard world.table.waits(number), !bodies.contains(number), !shares.contains(number)
            else { return }
            let runs =
                event == 4
                ? world.table.stepConsume(number)
                : world.stream(number, event == 2 ? 5000 : nil, key: event == 2 ? "k" : nil)
            if runs { bodies.insert(number) } else { shares.insert(number) }
        }

        /// The task ends: its body has, or it never had one and no request waits for its answer.
        private mutating func end(_ number: UInt32, isWell: Bool, _ world: inout World) {
            if bodies.contains(number) {
                world.table.stepEnd(number, isWell: isWell, &world.cache)
            } else if !world.table.waits(number) && !shares.contains(number) {
                _ = world.table.stepAnswer(number)
            }
        }

        /// Takes one action of the cache.
        mutating func carryOut(_ world: inout World, _ now: UInt64) {
            switch world.cache.actions.removeFirst() {
            case .resume(let image, let supplier):
                if world.table.streams(image, supplier) { _ = world.fill(supplier) }
            case .stopSupply(let image, let supplier): world.table.stepUnwanted(image, supplier)
            case .awaitGrace: world.cache.graceDidPass()
            case .read, .answer, .answerEnd, .closeFile, .reopen: break
            }
            take(world.actions())
        }

        mutating func take(_ actions: [HandlerTable.Action]) {
            for action in actions {
                switch action {
                case .answer(let client, _, _), .refuse(let client, _): answer(client)
                case .openUpload(let client, let upload):
                    answer(client)
                    uploads[upload & 0xFFFF] = upload
                case .resumeWriter(let number), .stopWriter(let number, _):
                    check(writers.remove(number) != nil)
                case .resumeConsumer(let number, let chunk, _, _):
                    check(consumers.remove(number) != nil)
                    if let chunk { check(chunks.remove(chunk) != nil) }
                case .stopConsumer(let number): check(consumers.remove(number) != nil)
                case .giveBack(let chunk, _): check(chunks.remove(chunk) != nil)
                case .forget(let number):
                    open.remove(number)
                    bodies.remove(number)
                    shares.remove(number)
                    uploads[number] = nil
                    check(!writers.contains(number) && !consumers.contains(number))
                case .commit, .fail, .resumeReader, .stopReader, .cancelTask, .note: break
                }
            }
        }

        private mutating func answer(_ client: StoreClient) {
            answeredCount += 1
            check(waiting.remove(client.slot) != nil)
        }

        private mutating func check(_ holds: Bool) { if !holds { isBalanced = false } }
    }
}
