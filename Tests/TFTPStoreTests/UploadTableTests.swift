import Testing

@testable import TFTPStore

struct UploadTableTests {
    static let folder = InodeIdentity(device: 1, inode: 2)

    static func upload(
        file: Int32 = 7, slot: UInt32 = 0, placing: UploadTable.Placing = .create
    ) -> UploadTable.Upload {
        UploadTable.Upload(file: file, placing: placing, shard: 1, slot: slot, generation: 3)
    }

    static func take(_ table: inout UploadTable) -> [UploadTable.Action] {
        table.startFolderSyncs()
        defer { table.actions = [] }
        return table.actions
    }

    /// Receives one chunk, and takes an upload to where it has its name.
    static func name(_ number: UInt32, _ table: inout UploadTable) {
        _ = table.stepWrite(number, byteCount: 10, isLast: true)
        table.didWrite(number, failure: nil)
        table.didSync(number, failure: nil)
        table.didPlace(number, in: [.init(identity: folder, file: 9)])
        table.actions = []
    }

    @Test func offsetsFollowTheOrderOfTheChunks() {
        var table = UploadTable(uploadsMax: 2)
        let (first, second) = (table.open(Self.upload()), table.open(Self.upload(slot: 1)))
        let isFull = table.isFull
        #expect(isFull)
        #expect(table.stepWrite(first, byteCount: 65_536, isLast: false) == 0)
        #expect(table.stepWrite(second, byteCount: 10, isLast: false) == 0)
        #expect(table.stepWrite(first, byteCount: 100, isLast: false) == 65_536)
        #expect(table.stepWrite(first, byteCount: 5, isLast: true) == 65_636)
        #expect(table.stepWrite(second, byteCount: 1, isLast: true) == 10)
        #expect(table[second]?.slot == 1)
    }

    /// Writes, sync of the file, name, sync of the folder, answer: each only after the one before.
    @Test func oneStepAfterTheOther() {
        var table = UploadTable(uploadsMax: 1)
        let number = table.open(Self.upload())
        for isLast in [false, true] {
            _ = table.stepWrite(number, byteCount: 10, isLast: isLast)
        }
        table.didWrite(number, failure: nil)
        #expect(Self.take(&table) == [])
        table.didWrite(number, failure: nil)
        #expect(Self.take(&table) == [.sync(number, file: 7)])
        table.didSync(number, failure: nil)
        #expect(Self.take(&table) == [.place(number)])
        table.didPlace(number, in: [.init(identity: Self.folder, file: 9)])
        #expect(Self.take(&table) == [.syncFolder(Self.folder, file: 9)])
        table.didSyncFolder(Self.folder, failure: nil)
        #expect(Self.take(&table) == [.commit(number), .discard(number)])
        table.close(number)
        let count = table.count
        #expect(count == 0)
    }

    @Test func nothingIsSyncedWhereNothingHasToLast() {
        var table = UploadTable(uploadsMax: 1, isDurable: false)
        let number = table.open(Self.upload())
        #expect(table.stepWrite(number, byteCount: 0, isLast: true) == nil)
        #expect(Self.take(&table) == [.place(number)])
        table.didPlace(number, in: [])
        #expect(Self.take(&table) == [.commit(number), .discard(number)])
    }

    /// What is received for a file that exists goes into it when all is there, and not before.
    @Test func anExistingFileIsRewrittenAtTheEnd() {
        var table = UploadTable(uploadsMax: 1)
        let number = table.open(Self.upload(placing: .rewrite(target: 8, of: Self.folder)))
        _ = table.stepWrite(number, byteCount: 10, isLast: false)
        table.didWrite(number, failure: nil)
        #expect(Self.take(&table) == [])
        _ = table.stepWrite(number, byteCount: 5, isLast: true)
        table.didWrite(number, failure: nil)
        #expect(Self.take(&table) == [.copy(number, from: 7, to: 8, byteCount: 15)])
        table.didCopy(number, failure: nil)
        #expect(Self.take(&table) == [.sync(number, file: 8)])
        table.didSync(number, failure: nil)
        // The name may lead elsewhere by now.
        #expect(Self.take(&table) == [.place(number)])
        table.didPlace(number, in: [])
        #expect(Self.take(&table) == [.commit(number), .discard(number)])
    }

    /// Receives one chunk of an upload that replaces the content of a file.
    private static func receive(_ number: UInt32, _ table: inout UploadTable) {
        _ = table.stepWrite(number, byteCount: 10, isLast: true)
        table.didWrite(number, failure: nil)
    }

    /// Two copies at once would leave a mix of both.
    @Test func uploadsToOneFileAreCopiedOneAfterTheOther() {
        var table = UploadTable(uploadsMax: 4, isDurable: false)
        let placings: [UploadTable.Placing] = [
            .rewrite(target: 8, of: Self.folder), .rewrite(target: 9, of: Self.folder),
            .rewrite(target: 10, of: Self.folder),
            .rewrite(target: 11, of: InodeIdentity(device: 1, inode: 3)),
        ]
        let numbers = placings.map { table.open(Self.upload(placing: $0)) }
        #expect(table.isRewriting(Self.folder) == false)
        for number in numbers { Self.receive(number, &table) }
        #expect(
            Self.take(&table) == [
                .copy(numbers[0], from: 7, to: 8, byteCount: 10),
                .copy(numbers[3], from: 7, to: 11, byteCount: 10),
            ])
        #expect(table.isRewriting(Self.folder) == true)
        // One that waits is given up.
        table.abort(numbers[1])
        #expect(Self.take(&table) == [.discard(numbers[1])])
        table.didCopy(numbers[0], failure: nil)
        #expect(Self.take(&table) == [.place(numbers[0])])
        table.didPlace(numbers[0], in: [])
        #expect(
            Self.take(&table) == [
                .commit(numbers[0]), .discard(numbers[0]),
                .copy(numbers[2], from: 7, to: 10, byteCount: 10),
            ])
        #expect(table.isRewriting(Self.folder) == true)
        table.didCopy(numbers[2], failure: .diskFull)
        #expect(Self.take(&table) == [.fail(numbers[2], .diskFull), .discard(numbers[2])])
        #expect(table.isRewriting(Self.folder) == false)
    }

    /// Uploads that end while their folder is being synced share the next sync of it, however many
    /// they are.
    @Test func uploadsShareASyncOfTheirFolder() {
        var table = UploadTable(uploadsMax: 100)
        let numbers = (0..<100).map { table.open(Self.upload(slot: $0)) }
        Self.name(numbers[0], &table)
        #expect(Self.take(&table) == [.syncFolder(Self.folder, file: 9)])
        for number in numbers.dropFirst() { Self.name(number, &table) }
        #expect(Self.take(&table) == [])
        table.didSyncFolder(Self.folder, failure: nil)
        // The sync that ended began before the others had their names.
        #expect(
            Self.take(&table) == [
                .commit(numbers[0]), .discard(numbers[0]), .syncFolder(Self.folder, file: 9),
            ])
        table.didSyncFolder(Self.folder, failure: nil)
        let commits = Self.take(&table).count {
            if case .commit = $0 { true } else { false }
        }
        #expect(commits == 99)
    }

    @Test func aLongUploadIsWrittenBackOnTheWay() {
        var table = UploadTable(uploadsMax: 1)
        let number = table.open(Self.upload())
        let chunk = UploadTable.writeBackByteCount / 2
        for count in 1...4 {
            _ = table.stepWrite(number, byteCount: chunk, isLast: false)
            table.didWrite(number, failure: nil)
            let isDue = count.isMultiple(of: 2)
            let expected = UploadTable.Action.writeBack(
                file: 7, offset: UInt64((count - 2) * chunk & Int.max),
                byteCount: 2 * chunk)
            #expect(Self.take(&table) == (isDue ? [expected] : []))
        }
    }

    @Test func anUploadThatIsTooLong() {
        var table = UploadTable(uploadsMax: 1, byteCountMax: 100)
        let number = table.open(Self.upload())
        #expect(table.stepWrite(number, byteCount: 100, isLast: false) == 0)
        table.didWrite(number, failure: nil)
        #expect(table.stepWrite(number, byteCount: 1, isLast: true) == nil)
        #expect(Self.take(&table) == [.fail(number, .tooLarge), .discard(number)])
    }

    @Test func theFirstFailureIsToldOnce() {
        var table = UploadTable(uploadsMax: 1)
        let number = table.open(Self.upload())
        for _ in 0..<3 { _ = table.stepWrite(number, byteCount: 10, isLast: false) }
        table.didWrite(number, failure: .diskFull)
        #expect(Self.take(&table) == [.fail(number, .diskFull)])
        table.didWrite(number, failure: .input)
        // What comes before the shard has heard of it is not written any more.
        #expect(table.stepWrite(number, byteCount: 10, isLast: false) == nil)
        table.didWrite(number, failure: nil)
        #expect(Self.take(&table) == [])
        table.abort(number)
        #expect(Self.take(&table) == [.discard(number)])
    }

    @Test func numbersAreUsedAgain() {
        var table = UploadTable(uploadsMax: 3, isDurable: false)
        for round in 0..<10 as Range<UInt32> {
            let numbers = (0..<3).map { _ in table.open(Self.upload(slot: round)) }
            #expect(Set(numbers).count == 3)
            #expect(table.openNumbers.sorted() == numbers.sorted())
            let isFull = table.isFull
            #expect(isFull)
            for number in numbers {
                #expect(table.stepWrite(number, byteCount: 4, isLast: true) == 0)
                table.didWrite(number, failure: nil)
                #expect(Self.take(&table) == [.place(number)])
                table.didNotPlace(number, .alreadyExists)
                #expect(Self.take(&table) == [.fail(number, .alreadyExists), .discard(number)])
                table.close(number)
            }
        }
    }

    // MARK: The small world

    /// Everything that can happen to an upload of at most three chunks, in every order.
    private enum Event: CaseIterable {
        case write
        case writeLast
        case writeLastNothing
        case endWell
        case endBadly
        case abort
        case goOnWell
        case goOnBadly
    }

    /// What was asked for and has not been answered.
    private enum Asked {
        case nothing
        case sync
        case place
        case syncFolder
    }

    /// What has happened, from which follows what must come of it.
    private struct Model {
        var writes = 0
        var inFlight = 0
        var isHandedOver = false
        var isAborted = false
        var hasFailed = false
        var asked = Asked.nothing
        var committed = 0
        var failed = 0
        var isClosed = false

        func allows(_ event: Event) -> Bool {
            guard !isClosed else { return false }
            switch event {
            case .write: return !isHandedOver && !isAborted && writes < 2
            case .writeLast, .writeLastNothing: return !isHandedOver && !isAborted && writes < 3
            case .endWell, .endBadly: return inFlight > 0
            // A shard forgets an upload once its last chunk is handed over.
            case .abort: return !isHandedOver && !isAborted
            case .goOnWell, .goOnBadly: return asked != .nothing
            }
        }
    }

    private func play(_ events: [Event]) -> Model {
        var table = UploadTable(uploadsMax: 1)
        let number = table.open(Self.upload())
        var model = Model()
        for event in events {
            step(event, &table, number, &model)
            for action in Self.take(&table) { carryOut(action, &table, number, &model) }
        }
        return model
    }

    private func step(
        _ event: Event, _ table: inout UploadTable, _ number: UInt32, _ model: inout Model
    ) {
        let failure: StoreFailure? = event == .goOnBadly || event == .endBadly ? .input : nil
        switch event {
        case .write, .writeLast, .writeLastNothing:
            let byteCount = event == .writeLastNothing ? 0 : 10 + model.writes
            model.isHandedOver = event != .write
            model.writes += 1
            let offset = table.stepWrite(
                number, byteCount: byteCount, isLast: model.isHandedOver)
            #expect((offset != nil) == (!model.hasFailed && byteCount > 0))
            if offset != nil { model.inFlight += 1 }
        case .endWell, .endBadly:
            model.inFlight -= 1
            if failure != nil { model.hasFailed = true }
            table.didWrite(number, failure: failure)
        case .abort:
            model.isAborted = true
            table.abort(number)
        case .goOnWell, .goOnBadly:
            if failure != nil { model.hasFailed = true }
            answer(&table, number, &model, failure)
        }
    }

    private func answer(
        _ table: inout UploadTable, _ number: UInt32, _ model: inout Model,
        _ failure: StoreFailure?
    ) {
        let asked = model.asked
        model.asked = .nothing
        switch asked {
        case .nothing: break
        case .sync: table.didSync(number, failure: failure)
        case .place:
            if let failure {
                table.didNotPlace(number, failure)
            } else {
                table.didPlace(number, in: [.init(identity: Self.folder, file: 9)])
            }
        case .syncFolder: table.didSyncFolder(Self.folder, failure: failure)
        }
    }

    private func carryOut(
        _ action: UploadTable.Action, _ table: inout UploadTable, _ number: UInt32,
        _ model: inout Model
    ) {
        #expect(!model.isClosed, "nothing comes after discard")
        switch action {
        case .sync:
            #expect(model.inFlight == 0 && model.isHandedOver && !model.hasFailed)
            model.asked = .sync
        case .place: model.asked = .place
        case .syncFolder: model.asked = .syncFolder
        case .commit: model.committed += 1
        case .fail: model.failed += 1
        case .discard:
            #expect(model.inFlight == 0, "nothing is closed that is still written to")
            table.close(number)
            model.isClosed = true
        case .writeBack, .copy: Issue.record("\(action)")
        }
    }

    @Test func everyOrderOfEverything() {
        var paths = 0
        var committed = 0
        var stack: [[Event]] = [[]]
        while let events = stack.popLast() {
            let model = play(events)
            let next = Event.allCases.filter(model.allows)
            guard next.isEmpty else {
                stack += next.map { events + [$0] }
                continue
            }
            paths += 1
            // It always comes to an end, and what is whole is committed, once.
            #expect(model.isClosed, "\(events)")
            #expect(model.committed == (model.hasFailed || model.isAborted ? 0 : 1), "\(events)")
            let wantsFailure = model.hasFailed && !model.isAborted
            #expect(model.failed <= 1)
            #expect(!wantsFailure || model.failed == 1, "\(events)")
            committed += model.committed
        }
        #expect(paths > 100)
        #expect(committed > 0)
    }
}
