internal import CLinux
internal import Files
internal import Synchronization
internal import SystemPackage
internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore

/// A thread that resolves names to files: it runs the rules, and walks paths that the kernel cannot
/// follow.
///
/// The store thread asks and is woken when there are answers. Rules take a bounded number of steps;
/// a folder on a slow disk keeps other names waiting, but no transfer.
final class NameResolver: Sendable {
    /// A name, and what the rules may want to know.
    struct Question: Sendable {
        var number: OpenRequest
        var request: NameRequest
        var upload: Upload?
    }

    /// Further facts of an upload's request.
    struct Upload: Sendable {
        var byteCount: UInt64
    }

    struct Answer: Sendable {
        var question: Question
        var outcome: Outcome
        /// Where files of the name can be, in order, whatever files there are; empty where that may
        /// change.
        var meanings: [NameWalk.Place] = []
        /// The first name that the rules have made of the one that was asked, where no file has it.
        var mapped: FileName?
        /// Which names counted when it was found out.
        var generation: UInt32
    }

    enum Outcome: Sendable {
        /// Read it, or write it, here.
        case place(NameWalk.Place)
        case refused(StoreFailure)
        /// The rules refuse: the words for the client are in the refusal.
        case refusedByRule(NameRefusal)
        /// A handler makes the content.
        case made(NameTemplate)
    }

    private struct State {
        var questions: [Question] = []
        var answers: [Answer] = []
        var isStopping = false
        var names: NameSet
    }

    let root: NameRoot
    private let configuredRoot: String
    private let wakesStore: Int32
    private let wakeup: Int32
    private let state: Mutex<State>
    private let published: PublishedNames
    /// Whether rules have seen names as they came, now or before a reload.
    private let wasLiteral: Atomic<Bool>

    private static let questionsMax = 4096

    /// Opens the folders of a configuration but `root`.
    init(
        _ configuration: ReactorConfiguration, root: ServedRoot, _ published: PublishedNames,
        wakesStore: Int32
    ) throws(StartError) {
        self.root = NameRoot(root, published)
        self.published = published
        let names = try NameSet(
            configuration.names, root: configuration.root, trees: NameTrees(self.root),
            generation: 1)
        configuredRoot = configuration.root
        self.wakesStore = wakesStore
        wakeup = clinux_eventfd()
        state = Mutex(State(names: names))
        wasLiteral = Atomic(names.plan.isLiteral)
        published.note(names.trees)
        published.setWord(names.word)
    }

    deinit { clinux_close(wakeup) }

    // MARK: What counts now

    /// Whether a name may mean anything but itself. A name that came while rules saw names
    /// unchanged is judged here even after a reload has ended that.
    var isAsked: Bool { published.word.isActive || wasLiteral.load(ordering: .relaxed) }

    /// The folder of a number. Numbers stay as they are.
    func directory(of tree: Int) -> Int32 {
        tree == 0 ? root.served.descriptor : published.directory(of: tree)
    }

    /// Puts other rules, hosts and folders in place of those that count now.
    ///
    /// - Throws: the folder that cannot be opened; nothing changes then.
    func replace(_ configuration: NameConfiguration) throws(StartError) {
        let old = state.withLock(\.names)
        let names = try NameSet(
            configuration, root: configuredRoot, trees: old.trees,
            generation: old.word.generation &+ 1)
        if names.plan.isLiteral { wasLiteral.store(true, ordering: .relaxed) }
        published.note(names.trees)
        state.withLock { $0.names = names }
        published.setWord(names.word)
    }

    // MARK: The store's side

    /// Asks; false when too many questions wait.
    func ask(_ question: Question) -> Bool {
        let isTaken = state.withLock { state in
            guard state.questions.count < NameResolver.questionsMax else { return false }
            state.questions.append(question)
            return true
        }
        if isTaken { clinux_eventfd_ring(wakeup) }
        return isTaken
    }

    /// The first `countMax` answers.
    func takeAnswers(countMax: Int) -> [Answer] {
        state.withLock { state in
            let taken = Array(state.answers.prefix(countMax))
            state.answers.removeFirst(taken.count)
            return taken
        }
    }

    /// Ends the thread once it has done what it does now.
    func stop() {
        state.withLock { $0.isStopping = true }
        clinux_eventfd_ring(wakeup)
    }

    // MARK: The thread

    /// Answers until it is stopped.
    func run() {
        unsafe clinux_name_self("names")
        var clients = NameClients()
        let listings = FoldedListings()
        while true {
            clinux_wait(wakeup)
            clinux_eventfd_clear(wakeup)
            let (questions, names, isStopping) = state.withLock { state in
                defer { state.questions.removeAll(keepingCapacity: true) }
                return (state.questions, state.names, state.isStopping)
            }
            if isStopping { return }
            let lookup = NameLookup(names: names, listings: listings)
            for question in questions {
                let answer = lookup.answer(question, &clients)
                state.withLock { $0.answers.append(answer) }
                clinux_eventfd_ring(wakesStore)
            }
        }
    }
}

extension StoreFailure {
    init(_ failure: NameWalk.Failure) {
        switch failure {
        case .notFound: self = .notFound
        case .outside: self = .outside
        case .notRegular: self = .notRegular
        case .failed(let errno): self = StoreFailure(Errno(rawValue: errno))
        }
    }
}
