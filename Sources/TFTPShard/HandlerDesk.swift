internal import TFTPStore

/// The requests that handlers are asked about, on the store thread.
///
/// A question keeps its place until its task has ended, so that a handler that heeds no cancellation counts for as long
/// as it runs.
struct HandlerDesk {
    struct Question {
        var request: StoreThread.OpenRequest
        var question: HandlerQuestion
        /// When the client is told that it takes too long.
        var deadline: UInt64
        var task: Task<Void, Never>?
        var phase = Phase.asked
    }

    enum Phase {
        /// The handler has not answered.
        case asked
        /// It hands in content.
        case supplying(Supplying)
        /// It takes an upload.
        case taking(Taking)
        /// Nobody waits for it any more.
        case abandoned
    }

    struct Supplying {
        let image: ImageID
        /// Whether whoever asked has heard of the image, or does not wait any more.
        var isAnswered = false
        /// What was handed in last, and how much of it is in the image.
        var bytes: [UInt8] = []
        var doneByteCount = 0
        /// Who handed it in.
        var writer: CheckedContinuation<Void, any Error>?
        /// The task has ended.
        var isLast = false
    }

    struct Taking {
        /// Chunks of the shard's pool, oldest first, and how full they are.
        var chunks: [(chunk: UInt32, byteCount: Int)] = []
        /// Who waits for the next.
        var reader: CheckedContinuation<[UInt8]?, any Error>?
        var isLastSeen = false
        /// Whether the task has ended, and how.
        var end: Bool?
    }

    private var questions: [Question?] = []
    /// Tells a question from an earlier one in the same place.
    private var generations: [UInt32] = []
    private var free: [UInt32] = []
    private var words: [HandlerInbox.Word] = []
    private var nextWord = 0
    /// Questions in the order in which they were asked, which is that of their deadlines.
    private var asked: [(number: UInt32, deadline: UInt64)] = []
    private var firstAsked = 0
    private let capacity: Int
    /// For each shard, which question each pending request is about.
    private var numbers: [[UInt32]]

    static let none = UInt32.max
    /// What tells an upload that a handler takes from one in `UploadBook`.
    static let takenFlag: UInt32 = 1 << 31
    /// Questions at once at most: their numbers have 16 bits in the name of an upload.
    static let questionsMax = 1 << 16

    init(capacity: Int, shardCount: Int, pendingsMax: Int) {
        precondition(capacity <= HandlerDesk.questionsMax)
        self.capacity = capacity
        let nothing = [UInt32](repeating: HandlerDesk.none, count: pendingsMax)
        numbers = Array(repeating: nothing, count: shardCount)
    }

    var openCount: Int { questions.count - free.count }

    subscript(number: UInt32) -> Question? {
        get { questions[Int(number)] }
        _modify { yield &questions[Int(number)] }
    }

    /// Takes a place; nil when there are as many questions as may be.
    mutating func open(_ question: Question) -> UInt32? {
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
        asked.append((number, question.deadline))
        numbers[question.request.shard][Int(question.request.pending)] = number
        return number
    }

    /// The task has ended, and nobody will speak of it again.
    mutating func close(_ number: UInt32) {
        assert(questions[Int(number)] != nil)
        questions[Int(number)] = nil
        generations[Int(number)] = (generations[Int(number)] + 1) & 0x7FFF
        free.append(number)
    }

    /// The pending request of a question is answered, so its place may soon be another's.
    mutating func forgetPending(of request: StoreThread.OpenRequest) {
        numbers[request.shard][Int(request.pending)] = HandlerDesk.none
    }

    /// The question that a pending request is about; nil when it is answered.
    func number(ofPending pending: UInt32, shard: Int) -> UInt32? {
        let number = numbers[shard][Int(pending)]
        return number == HandlerDesk.none ? nil : number
    }

    /// Every question that is open.
    var openNumbers: [UInt32] {
        questions.indices.filter { questions[$0] != nil }.map { UInt32($0) }
    }

    // MARK: Names of taken uploads

    func uploadName(of number: UInt32) -> UInt32 {
        HandlerDesk.takenFlag | generations[Int(number)] << 16 | number
    }

    /// The question that takes an upload; nil when it has ended.
    func number(ofUpload name: UInt32) -> UInt32? {
        let number = name & 0xFFFF
        guard Int(number) < questions.count, questions[Int(number)] != nil else { return nil }
        return uploadName(of: number) == name ? number : nil
    }

    // MARK: Words

    var hasWords: Bool { nextWord < words.count }

    mutating func add(_ new: [HandlerInbox.Word]) {
        if !hasWords {
            words = new
            nextWord = 0
        } else {
            words += new
        }
    }

    mutating func takeWord() -> HandlerInbox.Word? {
        guard hasWords else {
            words.removeAll(keepingCapacity: true)
            nextWord = 0
            return nil
        }
        defer { nextWord += 1 }
        return words[nextWord]
    }

    // MARK: Deadlines

    /// The earliest deadline that may still matter; nil when there is none.
    var nextDeadline: UInt64? { firstAsked < asked.count ? asked[firstAsked].deadline : nil }

    /// Takes one question whose deadline has passed and that waits still.
    mutating func popExpired(now: UInt64) -> UInt32? {
        defer {
            if firstAsked > 1024 && firstAsked * 2 > asked.count {
                asked.removeFirst(firstAsked)
                firstAsked = 0
            }
        }
        while firstAsked < asked.count {
            let (number, deadline) = asked[firstAsked]
            let isWaiting = questions[Int(number)].map { $0.deadline == deadline && $0.waits }
            guard isWaiting != true || deadline <= now else { return nil }
            firstAsked += 1
            if isWaiting == true { return number }
        }
        return nil
    }
}

extension HandlerDesk.Question {
    /// Whether the client still waits for an answer.
    var waits: Bool {
        switch phase {
        case .asked: true
        case .supplying(let supplying): !supplying.isAnswered
        case .taking, .abandoned: false
        }
    }
}
