internal import TFTPCore
internal import TFTPServing
internal import TFTPStore

/// The requests that handlers are asked about, on the store thread.
///
/// A question keeps its place until its task has ended, so that a handler that heeds no
/// cancellation counts for as long as it runs.
struct HandlerTable: ~Copyable {
    /// Names a question while it is open; what still speaks of it later is told from the next one
    /// in its place.
    struct Ticket: Equatable, Sendable {
        let number: UInt32
        let generation: UInt32
    }

    struct Question {
        var request: StoreThread.OpenRequest
        var question: HandlerRequest
        var task: Task<Void, Never>?
        var phase = Phase.asked
    }

    enum Phase {
        /// The handler has not answered.
        case asked
        /// It hands in content.
        case supplying(Supplying)
        /// Another request supplies the same, and has not got its first byte yet. There is no task.
        case joining(ImageID, supplier: UInt32)
        /// It takes an upload.
        case taking(Taking)
        /// No question of a client's: a task reads what another question supplies.
        case reading(Reading)
        /// The client has left.
        case abandoned
    }

    struct Supplying {
        let image: ImageID
        /// Whether the client has been told of the image, or has left.
        var isAnswered = false
        /// What was handed in last, and how much of it is in the image.
        var bytes: [UInt8] = []
        var doneByteCount = 0
        /// The writer of the pending bytes.
        var writer: CheckedContinuation<Void, any Error>?
        /// Questions that wait for its first byte as well.
        var joiners: [UInt32] = []
        /// Since when a reader waits and nothing comes; nil while none waits.
        var awaitedSince: UInt64?
        /// All that was announced is in the image; the task may go on for a moment.
        var isComplete = false
        /// The task has ended.
        var isLast = false
    }

    struct Taking {
        /// Chunks of the shard's pool, oldest first, and how full they are.
        var chunks: [(chunk: UInt32, byteCount: Int)] = []
        /// The reader that waits for the next bytes.
        var reader: CheckedContinuation<[UInt8]?, any Error>?
        var isLastSeen = false
        /// Whether the task has ended, and how.
        var end: Bool?
    }

    struct Reading {
        /// Held as long as this is.
        let image: ImageID
        var wanted: Wanted?

        /// What the task waits for.
        struct Wanted {
            let offset: UInt64
            let byteCount: Int
            let reader: CheckedContinuation<[UInt8], any Error>
        }
    }

    private var questions: [Question?] = []
    /// Tells a question from an earlier one in the same place.
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var words: [HandlerQueue.Word] = []
    private var nextWord = 0
    /// A deadline for each question; what it means depends on the phase.
    private var deadlines: TimingWheel
    private let capacity: Int
    /// For each shard, which question each pending request is about.
    private var numbers: [[UInt32]]

    static let none = UInt32.max
    /// What tells an upload that a handler takes from one in `UploadBook`.
    static let takenFlag = StoreRequest.handlerUploadFlag
    /// Questions at once at most: their numbers have 16 bits in the name of an upload.
    static let questionsMax = 1 << 16

    init(capacity: Int, shardCount: Int, pendingsMax: Int) {
        precondition(capacity <= HandlerTable.questionsMax)
        self.capacity = capacity
        deadlines = TimingWheel(capacity: capacity, now: 0)
        let nothing = [UInt32](repeating: HandlerTable.none, count: pendingsMax)
        numbers = Array(repeating: nothing, count: shardCount)
    }

    var openCount: Int { questions.count - free.count }

    subscript(number: UInt32) -> Question? {
        get { questions[Int(number)] }
        _modify { yield &questions[Int(number)] }
    }

    /// Takes a place for what a client asks; nil when there are as many questions as may be.
    mutating func open(_ question: Question) -> Ticket? {
        guard let ticket = openBeside(question) else { return nil }
        numbers[question.request.shard][Int(question.request.pending)] = ticket.number
        return ticket
    }

    /// Opens a row without a client of its own, in addition to the one of `question`; nil if the
    /// table is full.
    mutating func openBeside(_ question: Question) -> Ticket? {
        guard openCount < capacity else { return nil }
        let number: UInt32
        if let last = free.popLast() {
            number = last
            questions[Int(number)] = question
        } else {
            number = UInt32(questions.count)
            questions.append(question)
            generations.append(0)
        }
        return Ticket(number: number, generation: generations[Int(number)])
    }

    /// Whether the question that `ticket` names is open still.
    func isOpen(_ ticket: Ticket) -> Bool {
        questions[Int(ticket.number)] != nil && generations[Int(ticket.number)] == ticket.generation
    }

    /// The task has ended, and sends no further messages.
    mutating func close(_ number: UInt32) {
        assert(questions[Int(number)] != nil)
        questions[Int(number)] = nil
        generations[Int(number)] &+= 1
        deadlines.cancel(Int(number))
        free.append(number)
    }

    /// The pending request of a question is answered, so its place may soon be another's.
    mutating func forgetPending(of request: StoreThread.OpenRequest) {
        numbers[request.shard][Int(request.pending)] = HandlerTable.none
    }

    /// The question that a pending request is about; nil when it is answered.
    func number(ofPending pending: UInt32, shard: Int) -> UInt32? {
        let number = numbers[shard][Int(pending)]
        return number == HandlerTable.none ? nil : number
    }

    /// What names the question in this place now.
    func ticket(of number: UInt32) -> Ticket {
        Ticket(number: number, generation: generations[Int(number)])
    }

    /// Every question that is open.
    var openNumbers: [UInt32] {
        questions.indices.filter { questions[$0] != nil }.map { UInt32($0) }
    }

    // MARK: Names of taken uploads

    func uploadName(of number: UInt32) -> UInt32 {
        HandlerTable.takenFlag | (generations[Int(number)] & 0x7FFF) << 16 | number
    }

    /// The question that takes an upload; nil when it has ended.
    func number(ofUpload name: UInt32) -> UInt32? {
        let number = name & 0xFFFF
        guard Int(number) < questions.count, questions[Int(number)] != nil else { return nil }
        return uploadName(of: number) == name ? number : nil
    }

    // MARK: Words

    var hasWords: Bool { nextWord < words.count }

    mutating func add(_ new: [HandlerQueue.Word]) {
        if !hasWords {
            words = new
            nextWord = 0
        } else {
            words += new
        }
    }

    mutating func takeWord() -> HandlerQueue.Word? {
        guard hasWords else {
            words.removeAll(keepingCapacity: true)
            nextWord = 0
            return nil
        }
        defer { nextWord += 1 }
        return words[nextWord]
    }

    // MARK: Deadlines

    /// Sets the deadline of a question, in place of the one before.
    mutating func setDeadline(_ number: UInt32, at deadline: UInt64, now: UInt64) {
        deadlines.catchUp(now: now)
        deadlines.schedule(Int(number), at: deadline)
    }

    func nanosecondsUntilDeadline(now: UInt64) -> UInt64? {
        deadlines.nanosecondsUntilNext(now: now)
    }

    /// Takes one question whose deadline has passed.
    mutating func popExpired(now: UInt64) -> UInt32? {
        deadlines.popExpired(now: now).map { UInt32($0) }
    }
}

extension HandlerTable.Question {
    /// Whether the client still waits for an answer.
    var waits: Bool {
        switch phase {
        case .asked, .joining: true
        case .supplying(let supplying): !supplying.isAnswered
        case .taking, .reading, .abandoned: false
        }
    }
}
