internal import Synchronization
internal import TFTPFetch

/// The names of all files of a folder, as far as they are known, for other nodes.
///
/// A folder is walked while its files change: what changes during a walk counts for more than what
/// the walk has seen. Until all folders have been walked the names are not all that there are, and
/// no name is denied.
final class FolderNames: Sendable {
    private struct State {
        var hashes: Set<UInt64> = []
        /// Whether the last walk of everything has seen everything.
        var isWalked = false
        /// Folders that have appeared, each as often as it has, and are not walked yet.
        var unwalked: [String: Int] = [:]
        /// How often names have been lost that only a walk of everything finds again.
        var lossCount = 0
        /// What has changed since the walk of everything began that is under way; nil: none is.
        var walk: Walk?
        var revision = 0
        /// Of `revision`, as sent.
        var filter: [UInt8]?

        var isComplete: Bool { isWalked && unwalked.isEmpty }

        mutating func noteWalked(_ folder: String, _ count: Int) {
            guard let all = unwalked[folder] else { return }
            unwalked[folder] = all > count ? all - count : nil
        }
    }

    private struct Walk {
        /// Whether the name is there.
        var changes: [UInt64: Bool] = [:]
        let unwalked: [String: Int]
        let lossCount: Int
    }

    private let state = Mutex(State())

    // MARK: Walks

    /// A walk of everything begins.
    func beginWalk() {
        state.withLock { $0.walk = Walk(unwalked: $0.unwalked, lossCount: $0.lossCount) }
    }

    /// It has ended.
    ///
    /// - Parameter isComplete: whether it has seen everything.
    func endWalk(_ names: some Collection<String>, isComplete: Bool) {
        var hashes = Set(names.map { NameFilter.hash(of: $0) })
        change { state in
            let walk = state.walk
            state.walk = nil
            for (hash, isThere) in walk?.changes ?? [:] {
                if isThere { hashes.insert(hash) } else { hashes.remove(hash) }
            }
            for (folder, count) in walk?.unwalked ?? [:] { state.noteWalked(folder, count) }
            let isOther = state.hashes != hashes
            state.hashes = hashes
            state.isWalked = isComplete && walk?.lossCount == state.lossCount
            return isOther
        }
    }

    /// How often a folder has appeared that is to be walked now.
    func appearances(of folder: String) -> Int { state.withLock { $0.unwalked[folder] ?? 0 } }

    /// A folder has been walked.
    ///
    /// - Parameters:
    ///   - appearances: what there were when the walk began.
    ///   - isComplete: whether everything in it has been seen.
    func endWalk(
        of folder: String, appearances: Int, _ names: some Collection<String>, isComplete: Bool
    ) {
        insert(names)
        if !isComplete { lose() }
        change { state in
            state.noteWalked(folder, appearances)
            return false
        }
    }

    // MARK: Changes

    func insert(_ names: some Collection<String>) {
        change { state in
            let count = state.hashes.count
            for name in names {
                let hash = NameFilter.hash(of: name)
                state.hashes.insert(hash)
                state.walk?.changes[hash] = true
            }
            return state.hashes.count != count
        }
    }

    func remove(_ name: String) {
        change { state in
            let hash = NameFilter.hash(of: name)
            state.walk?.changes[hash] = false
            return state.hashes.remove(hash) != nil
        }
    }

    /// A folder has appeared: peers have to query the node until it has been walked.
    func note(newFolder folder: String) {
        change { state in
            state.unwalked[folder, default: 0] += 1
            return false
        }
    }

    /// Files may be there whose names are unknown: peers have to query the node until everything
    /// has been walked.
    func lose() {
        change { state in
            state.lossCount += 1
            state.isWalked = false
            return false
        }
    }

    // MARK: What is known

    /// For the node's state; nil while not all are known.
    var names: NodeState.Names? {
        state.withLock { state in
            guard state.isComplete else { return nil }
            let isFew = state.hashes.count <= NodeState.hashesMax
            return NodeState.Names(
                revision: state.revision, count: state.hashes.count,
                hashes: isFew ? state.hashes : nil)
        }
    }

    /// The filter of a revision, as sent.
    var filter: (revision: Int, bytes: [UInt8]) {
        state.withLock { state in
            let bytes = state.filter ?? NameFilter(state.hashes).bytes
            state.filter = bytes
            return (state.revision, bytes)
        }
    }

    /// - Parameter body: returns whether the names are others; whether all are known is seen here.
    private func change(_ body: (inout State) -> Bool) {
        state.withLock { state in
            let wasComplete = state.isComplete
            guard body(&state) || state.isComplete != wasComplete else { return }
            state.revision += 1
            state.filter = nil
        }
    }
}
