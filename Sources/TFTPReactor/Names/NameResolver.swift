internal import CLinux
internal import Files
internal import Synchronization
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
        var number: StoreThread.OpenRequest
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
        /// What the name means, whatever files there are; nil where that may change.
        var meaning: NameWalk.Place?
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
        var hosts: HostTable
    }

    let plan: NamePlan
    let trees: NameTrees
    private let wakesStore: Int32
    private let wakeup: Int32
    private let state: Mutex<State>

    private static let questionsMax = 4096

    init(plan: NamePlan, hosts: HostTable, trees: NameTrees, wakesStore: Int32) {
        self.plan = plan
        self.trees = trees
        self.wakesStore = wakesStore
        wakeup = clinux_eventfd()
        state = Mutex(State(hosts: hosts))
    }

    /// Opens the folders of a configuration but `root`.
    convenience init(
        _ configuration: ReactorConfiguration, root: ServedRoot, wakesStore: Int32
    ) throws(StartError) {
        let (plan, roots) = configuration.names.settled(root: configuration.root)
        let trees = try NameTrees(
            first: root, otherRoots: roots, followed: configuration.names.followed)
        self.init(
            plan: plan, hosts: configuration.names.hosts, trees: trees, wakesStore: wakesStore)
    }

    deinit { clinux_close(wakeup) }

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
            let (questions, hosts, isStopping) = state.withLock { state in
                defer { state.questions.removeAll(keepingCapacity: true) }
                return (state.questions, state.hosts, state.isStopping)
            }
            if isStopping { return }
            for question in questions {
                let answer = answer(question, hosts, &clients)
                state.withLock { $0.answers.append(answer) }
                clinux_eventfd_ring(wakesStore)
            }
        }
    }

    private func answer(
        _ question: Question, _ hosts: HostTable, _ clients: inout NameClients
    ) -> Answer {
        var request = question.request
        let dependencies = plan.dependencies
        if dependencies.contains(.host) || hosts.count > 0 {
            clients.complete(&request, hosts, now: clinux_now())
        }
        var meaning: NameWalk.Place?
        let outcome = outcome(request, question.upload, &meaning)
        if !dependencies.isDisjoint(with: [.host, .files, .server]) { meaning = nil }
        return Answer(question: question, outcome: outcome, meaning: meaning)
    }

    /// Decides on each name that the request may have meant, until a file is found or a rule
    /// refuses.
    private func outcome(
        _ request: NameRequest, _ upload: Upload?, _ meaning: inout NameWalk.Place?
    ) -> Outcome {
        var worst = Outcome.refused(.notFound)
        let path = trees.path(of: 0, before: request.name)
        for (number, spelling) in plan.spellings(of: request.name, rootPath: path).enumerated() {
            var request = request
            request.name = spelling
            switch plan.decide(request, exists: { self.exists($0) }) {
            case .template(let path, let variables):
                return .made(NameTemplate(path: path, variables: variables))
            case .refused(let refusal): return .refusedByRule(refusal)
            case .files(let candidates):
                if let refusal = refusalBehindPath(request, path) { return .refusedByRule(refusal) }
                if number == 0 && upload == nil { meaning = onlyMeaning(candidates) }
                let outcome = upload == nil ? find(candidates) : target(candidates)
                guard case .refused(let failure) = outcome else { return outcome }
                if failure != .notFound { worst = outcome }
            }
        }
        return worst
    }

    /// Where a file can only be at one place, that.
    private func onlyMeaning(_ candidates: [NameCandidate]) -> NameWalk.Place? {
        guard candidates.count == 1, let candidate = candidates.first, !plan.isAnyCase else {
            return nil
        }
        guard candidate.root != nil || plan.searchedRootCount == 1 else { return nil }
        let root = candidate.root ?? 0
        let names = plan.names(
            of: candidate, rootPath: trees.path(of: root, before: candidate.name))
        guard names.count == 1 else { return nil }
        return NameWalk.Place(tree: root, name: names[0])
    }

    /// A map file may be written for names with the root's path in front or without; a name that
    /// has it must not get past a rule that refuses the rest of it.
    private func refusalBehindPath(_ request: NameRequest, _ path: String) -> NameRefusal? {
        guard plan.isLiteral, let name = try? FileName(literal: unsafe request.name.span.bytes),
            let inner = name.dropping(prefix: path)
        else { return nil }
        for slash in [[], [UInt8(ascii: "/")]] {
            var behind = request
            behind.name = slash + inner.byteArray
            if case .refused(let refusal) = plan.decide(behind, exists: { self.exists($0) }) {
                return refusal
            }
        }
        return nil
    }

    // MARK: Looking

    private func exists(_ name: [UInt8]) -> Bool {
        if case .place = find([NameCandidate(name: name)]) { return true }
        return false
    }

    /// The first file that exists.
    private func find(_ candidates: [NameCandidate]) -> Outcome {
        var worst = NameWalk.Failure.notFound
        for candidate in candidates {
            let roots = candidate.root.map { $0...$0 } ?? 0...(plan.searchedRootCount - 1)
            for root in roots {
                for name in plan.names(
                    of: candidate, rootPath: trees.path(of: root, before: candidate.name))
                {
                    do throws(NameWalk.Failure) {
                        return .place(try walk(root, name))
                    } catch {
                        if error != .notFound { worst = error }
                    }
                }
            }
        }
        return .refused(StoreFailure(worst))
    }

    private func walk(
        _ root: Int, _ name: FileName
    ) throws(NameWalk.Failure) -> NameWalk.Place {
        // Most names lead there without help.
        if look(root, name) { return NameWalk.Place(tree: root, name: name) }
        var walk = NameWalk(
            trees, from: root, name, isAnyCase: plan.isAnyCase, staysInside: plan.isLiteral)
        return try walk.run()
    }

    private func look(_ root: Int, _ name: FileName) -> Bool {
        let descriptor = unsafe name.withUnsafeCString { path in
            unsafe clinux_open_beneath(
                trees.directory(of: root), path, clinux_flags_path(), 0,
                UInt64(CLINUX_RESOLVE_BENEATH))
        }
        guard descriptor >= 0 else { return false }
        defer { clinux_close(descriptor) }
        var status = clinux_status()
        return unsafe clinux_status_of(descriptor, &status) == 0 && status.is_regular
    }

    /// Where an upload goes: the last name, in its root or the first one.
    private func target(_ candidates: [NameCandidate]) -> Outcome {
        guard let candidate = candidates.last else { return .refused(.notFound) }
        let root = candidate.root ?? 0
        let names = plan.names(
            of: candidate, rootPath: trees.path(of: root, before: candidate.name))
        guard let name = names.last, name.isWritable else { return .refused(.forbidden) }
        return .place(NameWalk.Place(tree: root, name: name))
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
