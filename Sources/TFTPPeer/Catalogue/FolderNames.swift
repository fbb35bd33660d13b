internal import Synchronization
internal import TFTPFetch

/// The names of all files of a folder, as far as they are known, for other nodes.
final class FolderNames: Sendable {
    private struct State {
        var hashes: Set<UInt64> = []
        /// Whether `hashes` are all that there are.
        var isComplete = false
        var revision = 0
        /// Of `revision`, as sent.
        var filter: [UInt8]?
    }

    private let state = Mutex(State())

    /// All names, as they have just been read.
    func set(_ names: some Collection<String>, isComplete: Bool) {
        let hashes = Set(names.map { NameFilter.hash(of: $0) })
        change { state in
            guard state.hashes != hashes || state.isComplete != isComplete else { return false }
            state.hashes = hashes
            state.isComplete = isComplete
            return true
        }
    }

    func insert(_ names: some Collection<String>) {
        change { state in
            let count = state.hashes.count
            for name in names { state.hashes.insert(NameFilter.hash(of: name)) }
            return state.hashes.count != count
        }
    }

    func remove(_ name: String) {
        change { $0.hashes.remove(NameFilter.hash(of: name)) != nil }
    }

    /// A file has appeared whose name is unknown: peers have to query the node from now on.
    func forget() {
        change { state in
            defer { state.isComplete = false }
            return state.isComplete
        }
    }

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

    private func change(_ body: (inout State) -> Bool) {
        state.withLock { state in
            guard body(&state) else { return }
            state.revision += 1
            state.filter = nil
        }
    }
}
