internal import CLinux
internal import Synchronization
internal import TFTPCore
internal import TFTPNames
internal import TFTPServing
internal import TFTPStore

/// A thread that finds out which file a name means: it runs the rules, and walks where the kernel
/// can not follow.
///
/// The store thread asks and is woken when there are answers. Rules take a bounded number of steps;
/// a folder on a slow disk keeps other names waiting, but no transfer.
final class NameResolver: Sendable {
    /// A name, and what the rules may want to know.
    struct Question: Sendable {
        var number: StoreThread.OpenRequest
        var request: NameRequest
        var upload: Upload?
    }

    /// What an upload's request says besides.
    struct Upload: Sendable {
        var byteCount: UInt64
    }

    struct Answer: Sendable {
        var question: Question
        var outcome: Outcome
        /// Where files of the name can be, in order, whatever files there are; empty where that may
        /// change.
        var meanings: [NameWalk.Place] = []
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

    /// The path that the kernel has of the first root.
    let rootPath: String
    private let configuredRoot: String
    private let wakesStore: Int32
    private let wakeup: Int32
    private let state: Mutex<State>
    private let published: Atomic<UInt64>
    private let directories = NameDirectories()
    /// Whether rules have seen names as they came, now or before a reload.
    private let wasLiteral: Atomic<Bool>

    private static let questionsMax = 4096

    /// Opens the folders of a configuration; `root` is open already.
    init(
        _ configuration: ReactorConfiguration, root: Int32, wakesStore: Int32
    ) throws(StartError) {
        let first = NameTrees(first: root, path: configuration.root)
        let names = try NameSet(
            configuration.names, root: configuration.root, trees: first, generation: 1)
        rootPath = first.trees[0].path
        configuredRoot = configuration.root
        self.wakesStore = wakesStore
        wakeup = clinux_eventfd()
        state = Mutex(State(names: names))
        published = Atomic(names.word.rawValue)
        wasLiteral = Atomic(names.plan.isLiteral)
        directories.note(names.trees)
    }

    deinit {
        directories.destroy()
        clinux_close(wakeup)
    }

    // MARK: What counts now

    /// What shards have to know; they look once a turn.
    var word: NameWord { NameWord(rawValue: published.load(ordering: .acquiring)) }

    /// Whether a name may mean anything but itself. A name that came while rules saw names
    /// unchanged is judged here even after a reload has ended that.
    var isAsked: Bool { word.isActive || wasLiteral.load(ordering: .relaxed) }

    /// The folder of a number. Numbers stay as they are.
    func directory(of tree: Int) -> Int32 { directories[tree] }

    /// Puts other rules, hosts and folders in place of those that count now.
    ///
    /// - Throws: the folder that cannot be opened; nothing changes then.
    func replace(_ configuration: NameConfiguration) throws(StartError) {
        let old = state.withLock(\.names)
        let names = try NameSet(
            configuration, root: configuredRoot, trees: old.trees,
            generation: old.word.generation &+ 1)
        if names.plan.isLiteral { wasLiteral.store(true, ordering: .relaxed) }
        directories.note(names.trees)
        state.withLock { $0.names = names }
        published.store(names.word.rawValue, ordering: .releasing)
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

    func takeAnswers() -> [Answer] {
        state.withLock { state in
            defer { state.answers.removeAll(keepingCapacity: true) }
            return state.answers
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
        while true {
            clinux_wait(wakeup)
            clinux_eventfd_clear(wakeup)
            let (questions, names, isStopping) = state.withLock { state in
                defer { state.questions.removeAll(keepingCapacity: true) }
                return (state.questions, state.names, state.isStopping)
            }
            if isStopping { return }
            for question in questions {
                let answer = names.answer(question, &clients)
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
        case .failed(let errno): self = StoreFailure(errno: errno)
        }
    }
}
