import Testing

@testable import TFTPStore

struct UploadBookTests {
    static func upload(slot: UInt32 = 0) -> UploadBook.Upload {
        let leaf = try! FileName(normalising: Array("leaf".utf8).span.bytes)
        return UploadBook.Upload(
            file: 7, directory: 8, name: leaf, temporary: nil, replaces: false, shard: 1,
            slot: slot, generation: 3)
    }

    @Test func offsetsFollowTheOrderOfTheChunks() {
        var book = UploadBook(uploadsMax: 2)
        let (first, second) = (book.open(Self.upload()), book.open(Self.upload(slot: 1)))
        let isFull = book.isFull
        #expect(isFull)
        #expect(book.stepWrite(first, byteCount: 65_536, isLast: false) == 0)
        #expect(book.stepWrite(second, byteCount: 10, isLast: false) == 0)
        #expect(book.stepWrite(first, byteCount: 100, isLast: false) == 65_536)
        #expect(book.stepWrite(first, byteCount: 5, isLast: true) == 65_636)
        #expect(book.stepWrite(second, byteCount: 1, isLast: true) == 10)
        #expect(book[second]?.slot == 1)
    }

    /// The writes end in any order; the name comes after the last of them.
    @Test func commitsAfterTheLastWrite() {
        var book = UploadBook(uploadsMax: 1)
        let number = book.open(Self.upload())
        for isLast in [false, false, true] {
            _ = book.stepWrite(number, byteCount: 10, isLast: isLast)
        }
        #expect(book.didWrite(number, errno: 0) == .wait)
        #expect(book.didWrite(number, errno: 0) == .wait)
        #expect(book.didWrite(number, errno: 0) == .commit)
        book.close(number)
        let count = book.count
        #expect(count == 0)
        #expect(book[number] == nil)
    }

    /// A file that fills its chunks, or is empty, ends with a chunk of nothing.
    @Test(arguments: [0, 1, 3])
    func aLastChunkOfNothing(chunkCount: Int) {
        var book = UploadBook(uploadsMax: 1)
        let number = book.open(Self.upload())
        for _ in 0..<chunkCount { _ = book.stepWrite(number, byteCount: 10, isLast: false) }
        #expect(book.stepWrite(number, byteCount: 0, isLast: true) == nil)
        #expect(book.verdict(number) == (chunkCount == 0 ? .commit : .wait))
        for left in (0..<chunkCount).reversed() {
            #expect(book.didWrite(number, errno: 0) == (left == 0 ? .commit : .wait))
        }
    }

    @Test func theFirstFailureIsToldOnce() {
        var book = UploadBook(uploadsMax: 1)
        let number = book.open(Self.upload())
        for _ in 0..<3 { _ = book.stepWrite(number, byteCount: 10, isLast: false) }
        #expect(book.didWrite(number, errno: 28) == .fail(errno: 28))
        #expect(book.didWrite(number, errno: 5) == .wait)
        // What comes before the shard has heard of it is not written any more.
        #expect(book.stepWrite(number, byteCount: 10, isLast: false) == nil)
        #expect(book.verdict(number) == .wait)
        #expect(book.didWrite(number, errno: 0) == .wait)
        #expect(book.abort(number) == .discard)
    }

    @Test func numbersAreUsedAgain() {
        var book = UploadBook(uploadsMax: 3)
        for round in 0..<10 as Range<UInt32> {
            let numbers = (0..<3).map { _ in book.open(Self.upload(slot: round)) }
            #expect(Set(numbers).count == 3)
            #expect(book.openNumbers().sorted() == numbers.sorted())
            let isFull = book.isFull
            #expect(isFull)
            for number in numbers {
                #expect(book.stepWrite(number, byteCount: 4, isLast: true) == 0)
                #expect(book.didWrite(number, errno: 0) == .commit)
                book.close(number)
            }
        }
        #expect(book.verdict(0) == .wait)
        #expect(book.abort(0) == .wait)
        #expect(book.didWrite(0, errno: 0) == .wait)
    }

    // MARK: The small world

    /// Everything that can happen to an upload of at most four chunks, in every order.
    private enum Event: CaseIterable {
        case write
        case writeLast
        case writeLastNothing
        case endWell
        case endBadly
        case abort
    }

    /// What must come of it, said another way than the book does: by what has happened and not by what is next.
    private struct Model {
        var writes = 0
        var inFlight = 0
        var byteCount: UInt64 = 0
        var isHandedOver = false
        var isAborted = false
        var isFailed = false
        var isFailureToldToShard = false
        var verdicts: [UploadBook.Verdict] = []
        var isClosed = false

        func allows(_ event: Event) -> Bool {
            guard !isClosed else { return false }
            switch event {
            case .write: return !isHandedOver && !isAborted && writes < 3
            case .writeLast, .writeLastNothing: return !isHandedOver && !isAborted && writes < 4
            case .endWell, .endBadly: return inFlight > 0
            // A shard forgets an upload once its last chunk is handed over.
            case .abort: return !isHandedOver && !isAborted
            }
        }
    }

    /// Plays `events` from the beginning, as the store thread does, and checks each verdict.
    private func play(_ events: [Event]) -> Model {
        var book = UploadBook(uploadsMax: 1)
        let number = book.open(Self.upload())
        var model = Model()
        for event in events { step(event, &book, number, &model) }
        return model
    }

    private func step(
        _ event: Event, _ book: inout UploadBook, _ number: UInt32, _ model: inout Model
    ) {
        let verdict: UploadBook.Verdict
        var isFirstFailure = false
        switch event {
        case .write, .writeLast, .writeLastNothing:
            let byteCount = event == .writeLastNothing ? 0 : 10 + model.writes
            let isLast = event != .write
            let offset = book.stepWrite(number, byteCount: byteCount, isLast: isLast)
            model.writes += 1
            model.isHandedOver = isLast
            if let offset {
                #expect(!model.isFailed && byteCount > 0)
                #expect(offset == model.byteCount)
                model.byteCount += UInt64(byteCount)
                model.inFlight += 1
                return
            }
            #expect(model.isFailed || byteCount == 0)
            verdict = book.verdict(number)
        case .endWell, .endBadly:
            model.inFlight -= 1
            isFirstFailure = event == .endBadly && !model.isFailed && !model.isAborted
            if event == .endBadly { model.isFailed = true }
            verdict = book.didWrite(number, errno: event == .endBadly ? 28 : 0)
        case .abort:
            model.isAborted = true
            verdict = book.abort(number)
        }
        #expect(verdict == expected(model, isFirstFailure: isFirstFailure), "after \(event)")
        model.verdicts.append(verdict)
        var last = verdict
        if case .fail = verdict { last = book.verdict(number) }
        if last == .commit || last == .discard {
            #expect(model.inFlight == 0, "nothing is closed that is still written to")
            book.close(number)
            model.isClosed = true
            let count = book.count
            #expect(count == 0)
        }
    }

    private func expected(_ model: Model, isFirstFailure: Bool) -> UploadBook.Verdict {
        if isFirstFailure { return .fail(errno: 28) }
        guard model.inFlight == 0 else { return .wait }
        if model.isAborted { return .discard }
        guard model.isHandedOver else { return .wait }
        return model.isFailed ? .discard : .commit
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
            // It always comes to an end, and a name is given once, to what is whole.
            #expect(model.isClosed, "\(events)")
            let commits = model.verdicts.count { $0 == .commit }
            #expect(commits == (model.isFailed || model.isAborted ? 0 : 1), "\(events)")
            let fails = model.verdicts.count { $0 == .fail(errno: 28) }
            #expect(fails <= 1)
            committed += commits
        }
        #expect(paths > 300)
        #expect(committed > 0)
    }
}
